"""Generators give points of the unit cube; `Random` is uniform, `SinglePoint` always the initial values."""

import numpy as np
import pytest

from optim.generators.random import Random
from optim.generators.single_point import SinglePoint
from optim.run_state import RunState
from optim.testing.starts import GeneratorConformance


class TestRandom(GeneratorConformance):
    @pytest.fixture
    def generator(self):
        return Random()


class TestSinglePoint(GeneratorConformance):
    @pytest.fixture
    def generator(self):
        return SinglePoint()


def test_random_points_fill_the_cube_evenly():
    points = [Random().point(np.zeros(2), RunState(2), np.random.default_rng(seed)) for seed in range(2000)]
    counts, _ = np.histogramdd(np.array(points), bins=2, range=[(0, 1)] * 2)
    assert counts == pytest.approx(np.full((2, 2), 500), rel=0.15)


def test_a_single_point_is_the_initial_one():
    assert SinglePoint().point(np.array([0.2, 0.3]), RunState(2), np.random.default_rng(0)).tolist() == [
        0.2,
        0.3,
    ]
