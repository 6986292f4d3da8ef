"""Lennard-Jones argon: fit (eps, rmin) to energies and forces of an ab initio pair potential.

The data are four snapshots of a free droplet of 32 argon atoms (`ar32_frames.npy`, angstrom); the reference
energies and forces are computed from the pair potential when the module is first used.

Source of the reference: Jaeger, Hellmann, Bich & Vogel, Mol. Phys. 107, 2181 (2009).
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.problem import Problem
from optim.space import Parameter

Floats = NDArray[np.float64]

KELVIN_PER_HARTREE = 315775.02480407
ENERGY_SCALE = 1e-3  # hartree
FORCE_SCALE = 1e-4  # hartree per angstrom

# V(R) in kelvin, R in nm: A exp(a1 R + a2 R^2 + m1/R + m2/R^2) - damped dispersion (Tang & Toennies)
_A, _A1, _A2, _M1, _M2, _B = 4.61330146e7, -29.8337630, -9.71208881, 0.0275206827, -0.0101489050, 40.2517211
_C = {
    6: 0.442812017,
    8: 0.0326707684,
    10: 2.45656537e-3,
    12: 1.88246247e-4,
    14: 1.47012192e-5,
    16: 1.17006343e-6,
}


class Pairs(NamedTuple):
    """Every pair of atoms of every frame.

    Attributes:
        r: Distances, angstrom, shape (frames, pairs).
        unit: Unit vectors from the second atom of the pair to the first, shape (frames, pairs, 3).
        incidence: +1 for the first atom of a pair, -1 for the second, shape (atoms, pairs).
    """

    r: Floats
    unit: Floats
    incidence: Floats


class Reference(NamedTuple):
    """What a fit is compared with: energies to frame 0 (hartree) and forces (hartree per angstrom)."""

    pairs: Pairs
    energies: Floats
    forces: Floats


def reference_potential(r: Floats) -> tuple[Floats, Floats]:
    """The ab initio pair potential of argon.

    Args:
        r: Distances, angstrom.

    Returns:
        Energy (hartree) and its derivative with respect to r (hartree per angstrom), each of the shape of r.
    """
    nm = r / 10
    exponent = _A1 * nm + _A2 * nm**2 + _M1 / nm + _M2 / nm**2
    repulsion = _A * np.exp(exponent)
    energy = repulsion
    slope = repulsion * (_A1 + 2 * _A2 * nm - _M1 / nm**2 - 2 * _M2 / nm**3)
    bR = _B * nm  # noqa: N806  the paper's symbol
    for order, c in _C.items():
        partial = sum(bR**k / math.factorial(k) for k in range(order + 1))
        damping = 1 - np.exp(-bR) * partial
        damping_slope = _B * np.exp(-bR) * bR**order / math.factorial(order)
        energy = energy - c / nm**order * damping
        slope = slope - c / nm**order * (damping_slope - order / nm * damping)
    return energy / KELVIN_PER_HARTREE, slope / KELVIN_PER_HARTREE / 10


def lennard_jones(r: Floats, eps: float, rmin: float) -> tuple[Floats, Floats]:
    """eps [(rmin/r)^12 - 2 (rmin/r)^6] and its derivative with respect to r.

    Args:
        r: Distances, angstrom.
        eps: Depth of the well, hartree.
        rmin: Distance of the minimum, angstrom.
    """
    sixth = (rmin / r) ** 6
    return eps * (sixth**2 - 2 * sixth), 12 * eps * (sixth - sixth**2) / r


def forces(pairs: Pairs, slope: Floats) -> Floats:
    """Forces on the atoms, hartree per angstrom, shape (frames, atoms, 3)."""
    pulls: Floats = pairs.incidence @ (-slope[..., np.newaxis] * pairs.unit)
    return pulls


def pairs_of(frames: Floats) -> Pairs:
    """All pairs of snapshots of shape (frames, atoms, 3), angstrom."""
    first, second = np.triu_indices(frames.shape[1], k=1)
    between = frames[:, first] - frames[:, second]
    r = np.linalg.norm(between, axis=-1)
    numbers = np.arange(len(first))
    incidence = np.zeros((frames.shape[1], len(first)))
    incidence[first, numbers] = 1
    incidence[second, numbers] = -1
    return Pairs(r, between / r[..., np.newaxis], incidence)


@cache
def reference() -> Reference:
    """The frames that the package ships, with the reference's energies and forces."""
    with (files("optim.problems") / "ar32_frames.npy").open("rb") as file:
        pairs = pairs_of(np.load(file, allow_pickle=False))
    energy, slope = reference_potential(pairs.r)
    total = energy.sum(axis=-1)
    return Reference(pairs, total[1:] - total[0], forces(pairs, slope))


def loss(x: Floats) -> float:
    """Mean squared deviation of energy differences plus that of force components, each in its scale.

    Args:
        x: (eps, rmin) in hartree and angstrom.
    """
    eps, rmin = x
    known = reference()
    energy, slope = lennard_jones(known.pairs.r, eps, rmin)
    total = energy.sum(axis=-1)
    energy_error = (total[1:] - total[0] - known.energies) / ENERGY_SCALE
    force_error = (forces(known.pairs, slope) - known.forces) / FORCE_SCALE
    return float(np.mean(energy_error**2) + np.mean(force_error**2))


problem = Problem(
    loss,
    [
        Parameter(name="eps", initial=3e-4, lower=1e-5, upper=1e-2, unit="hartree"),
        Parameter(name="rmin", initial=4.0, lower=1.0, upper=8.0, unit="angstrom"),
    ],
    name="lj_argon",
)
