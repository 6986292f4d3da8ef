"""Lennard-Jones argon has the values that are known for it.

Invariants: the loss at four known points; the reference potential's minimum; forces are the slope of the
energy.
"""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from optim.problems.lj_argon import (
    KELVIN_PER_HARTREE,
    forces,
    lennard_jones,
    loss,
    pairs_of,
    problem,
    reference,
    reference_potential,
)

OPTIMUM = np.array([4.477384e-4, 3.768400])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ((3e-4, 4.0), 104.7734),
        (OPTIMUM, 0.311186),
        ((1e-5, 1.0), 92.221603),
        ((119.8 / KELVIN_PER_HARTREE, 3.405 * 2 ** (1 / 6)), 3.278),
        ((1e-5, 4.6854), 49.4933),
    ],
    ids=["initial", "optimum", "no interaction", "textbook argon", "the valley on the bound"],
)
def test_the_loss_has_its_known_values(x, expected):
    assert loss(np.array(x)) == pytest.approx(expected, rel=1e-4)


def test_the_initial_values_are_those_of_the_tutorial():
    assert problem.loss(problem.space.initial) == pytest.approx(104.7734, rel=1e-6)


def test_the_optimum_is_a_minimum():
    found = minimize(lambda u: loss(OPTIMUM * u), [1.001, 0.999], method="Nelder-Mead", tol=1e-10)
    assert found.fun == pytest.approx(0.311186, abs=1e-6)
    assert found.x * OPTIMUM == pytest.approx(OPTIMUM, rel=1e-5)


def test_the_reference_potential_has_its_published_minimum():
    found = minimize_scalar(
        lambda r: reference_potential(np.array([r]))[0][0], bounds=(3, 5), method="bounded"
    )
    assert found.x == pytest.approx(3.7618, abs=1e-4)
    assert -found.fun * KELVIN_PER_HARTREE == pytest.approx(143.123, abs=1e-3)


@pytest.mark.parametrize(
    "potential", [reference_potential, lambda r: lennard_jones(r, 4e-4, 3.8)], ids=["reference", "model"]
)
def test_forces_are_finite_differences_of_the_energy(potential):
    frames = _frames()

    def energy(moved):
        return potential(pairs_of(moved).r)[0].sum(axis=-1)

    pairs = pairs_of(frames)
    expected = forces(pairs, potential(pairs.r)[1])
    step = 1e-4
    for atom, axis in [(0, 0), (7, 1), (31, 2)]:
        ahead, behind = frames.copy(), frames.copy()
        ahead[:, atom, axis] += step
        behind[:, atom, axis] -= step
        slope = (energy(ahead) - energy(behind)) / (2 * step)
        assert -slope == pytest.approx(expected[:, atom, axis], rel=1e-5, abs=1e-9)


def test_forces_add_up_to_nothing():
    assert reference().forces.sum(axis=1) == pytest.approx(0, abs=1e-12)


def test_losses_span_many_decades():
    assert loss(np.array([1e-2, 8.0])) > 1e13


def _frames():
    from importlib.resources import files

    with (files("optim.problems") / "ar32_frames.npy").open("rb") as file:
        frames = np.load(file, allow_pickle=False)
    assert frames.shape == (4, 32, 3)
    return frames
