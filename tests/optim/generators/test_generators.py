"""Generators give points of the unit cube.

Invariants: `Random` is uniform; `SinglePoint` is always the initial values; `Perturbation` is a normal distribution
around them, cut off at the bounds.
"""

import numpy as np
import pytest

from optim.generators.perturbation import Perturbation
from optim.generators.random import Random
from optim.generators.single_point import SinglePoint
from optim.run_state import RunState
from optim.space import Parameter, Space
from optim.testing.starts import GeneratorConformance


class TestRandom(GeneratorConformance):
    @pytest.fixture
    def generator(self):
        return Random()


class TestSinglePoint(GeneratorConformance):
    @pytest.fixture
    def generator(self):
        return SinglePoint()


class TestPerturbation(GeneratorConformance):
    @pytest.fixture(params=[1e-6, 0.2, 1e6])
    def generator(self, request):
        return Perturbation(standard_deviation=request.param)


def space_at(*initial):
    return Space(
        Parameter(name=f"p{at}", initial=value, lower=0.0, upper=1.0) for at, value in enumerate(initial)
    )


def drawn_around(initial, standard_deviation, count=4000):
    generator, space = Perturbation(standard_deviation=standard_deviation), space_at(*initial)
    streams = np.random.SeedSequence(7).spawn(count)
    return np.array([generator.point(space, RunState(2), np.random.default_rng(seed)) for seed in streams])


def test_perturbed_points_are_normal_where_the_bounds_are_far():
    points = drawn_around([0.5, 0.4], 0.05)
    assert points.mean(axis=0) == pytest.approx([0.5, 0.4], abs=0.005)
    assert points.std(axis=0) == pytest.approx([0.05, 0.05], rel=0.05)


def test_perturbed_points_at_a_bound_are_half_a_normal_distribution_and_do_not_pile_up():
    points = drawn_around([0.0, 1.0], 0.1)
    assert points.mean(axis=0) == pytest.approx([0.0798, 0.9202], abs=0.006)
    assert len(np.unique(points[:, 0])) == len(points)


def test_random_points_fill_the_cube_evenly():
    space = space_at(0.0, 0.0)
    points = [Random().point(space, RunState(2), np.random.default_rng(seed)) for seed in range(2000)]
    counts, _ = np.histogramdd(np.array(points), bins=2, range=[(0, 1)] * 2)
    assert counts == pytest.approx(np.full((2, 2), 500), rel=0.15)


def test_a_single_point_is_the_initial_one():
    point = SinglePoint().point(space_at(0.2, 0.3), RunState(2), np.random.default_rng(0))
    assert point.tolist() == [0.2, 0.3]
