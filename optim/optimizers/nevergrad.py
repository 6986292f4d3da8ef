"""Algorithms of nevergrad, an optional package, with random numbers from the optimizer's own stream only."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from optim.ask_tell import Batch, End, EndKind, Point, Start, Steps
from optim.optimizers.base import Optimizer
from optim.optimizers.passed_on import check_names

ALGORITHMS = (
    *("OnePlusOne", "CauchyOnePlusOne", "OnePlusLambda", "NoisyOnePlusOne", "OptimisticNoisyOnePlusOne"),
    *("CMA", "CMAstd", "CMAsmall", "CMApara", "CMAbounded", "CMAtuning", "DiagonalCMA", "ECMA"),
    *("DE", "OnePointDE", "TwoPointsDE", "RotatedTwoPointsDE", "RotationInvariantDE", "NoisyDE"),
    *("AlmostRotationInvariantDE", "LhsDE", "QrDE", "QODE", "SODE", "SPQODE"),
    *("MiniDE", "MiniLhsDE", "MiniQrDE"),
    *("PSO", "RealSpacePSO", "QOPSO", "SOPSO", "SQOPSO"),
    *("ES", "RecES", "MixES", "RecMixES", "MutDE", "RecMutDE"),
    *("EDA", "IsoEMNA", "AnisoEMNA", "NaiveIsoEMNA", "NaiveAnisoEMNA", "TBPSA", "NaiveTBPSA"),
)
"""Those of nevergrad's registry that search a continuous space by themselves, and are known to be repeatable."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("NGOpt", "Shiwa", "Wiz"), "it picks other algorithms, some in threads; name one"),
        **dict.fromkeys(
            ("BFGS", "Cobyla", "LBFGSB", "NelderMead", "Powell", "SQP"), "take the optimizer Scipy"
        ),
        **dict.fromkeys(("RandomSearch", "LHSSearch"), "take RandomSampling or SobolSampling"),
    }
)
"""Algorithms of nevergrad that people will think of, and what to do instead."""

REFUSED_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "fcmaes": "it needs another package",
        "high_speed": "it changes only what nevergrad recommends at the end; a run keeps its own best",
        "inopts": "take the optimizer CMAES, which checks the options of pycma",
    }
)
"""Settings of nevergrad's algorithms that no run may set, and why."""

SIGMA = 1 / 6
"""Standard deviation of a first step, of the unit cube: nevergrad's own choice for a bounded parameter."""


class Nevergrad(Optimizer):
    """An algorithm of nevergrad's in the unit cube; points beyond bounce off its faces.

    The starting point is the first that is evaluated. It is told to the algorithm, where that takes points which are
    not its own, and is the middle of its first steps. Nevergrad has no criteria of convergence, so it gives up when
    its budget is spent.

    Nevergrad is an optional package: pip install 'shoal[nevergrad]'.

    Source: Rapin & Teytaud, Nevergrad: a gradient-free optimization platform (2018).
    """

    may_converge: ClassVar[bool] = False

    algorithm: str = Field(default="OnePlusOne", validate_default=True)
    """By nevergrad's name, as `OnePlusOne`, `TwoPointsDE`, `PSO`, `CMA` or `TBPSA`. Those that pick other algorithms
    as they go (`NGOpt`), or wrap other libraries, are not among them."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """What differs from the algorithm's own configuration, by the names of its family in `nevergrad.families`."""

    budget: PositiveInt = 1000
    """Calls until it ends; some algorithms plan with it."""

    num_workers: PositiveInt = 1
    """Points that are asked at once, and may be evaluated at the same time."""

    @property
    def title(self) -> str:
        """The label, or the algorithm's name when none is given."""
        return self.label or self.algorithm

    @field_validator("algorithm")
    @classmethod
    def _check_algorithm(cls, algorithm: str) -> str:
        if importlib.util.find_spec("nevergrad") is None:
            raise ValueError(
                "Nevergrad needs the package nevergrad: install it with pip install 'shoal[nevergrad]'"
            )
        check_names("algorithm", [algorithm], ALGORITHMS, REFUSED)
        return algorithm

    @field_validator("settings")
    @classmethod
    def _check_settings(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        algorithm = info.data.get("algorithm")
        if settings and algorithm is not None:
            check_names(f"{algorithm} setting", settings, _setting_names(algorithm), REFUSED_SETTINGS)
            try:
                with _own_world(np.random.RandomState(0)):
                    _configured(algorithm, settings)
            except (AssertionError, KeyError, TypeError, ValueError) as error:
                reason = str(error) or "a value is out of its range"
                raise ValueError(f"nevergrad refuses the settings {settings}: {reason}") from error
        return settings

    def warm_up(self, dimension: int) -> int:
        """The starting point and a first generation; by default none is larger."""
        return 1 + max(40, 4 * dimension)

    def steps(self, start: Start) -> Steps:
        """Ask and tell nevergrad."""
        stream, common_stream = (_random_state(start.rng) for _ in range(2))
        with _own_world(common_stream):
            algorithm = self._algorithm(start.x0, stream)
            candidates = self._ask(algorithm)
        has_finite_loss = False
        while candidates:
            losses = yield Batch([_point(candidate) for candidate in candidates])
            has_finite_loss = has_finite_loss or any(map(math.isfinite, losses))
            with _own_world(common_stream):
                for candidate, loss in zip(candidates, losses, strict=True):
                    _tell(algorithm, candidate, loss)
                candidates = self._ask(algorithm)
        reason = f"budget = {self.budget}"
        return End(EndKind.GAVE_UP, reason if has_finite_loss else f"every loss was infinite ({reason})")

    def _algorithm(self, x0: Point, stream: np.random.RandomState) -> Any:
        ng = _import_nevergrad()
        space = ng.p.Array(init=x0.copy()).set_mutation(sigma=SIGMA)
        space.random_state = stream  # before the bounds, which would seed one from numpy's global stream
        space.set_bounds(0.0, 1.0, full_range_sampling=False)
        algorithm = _configured(self.algorithm, self.settings)(
            space, budget=self.budget, num_workers=self.num_workers
        )
        algorithm.suggest(x0.copy())
        return algorithm

    def _ask(self, algorithm: Any) -> list[Any]:
        """As many candidates as may be evaluated at the same time, or as the budget has left."""
        return [algorithm.ask() for _ in range(min(self.num_workers, self.budget - algorithm.num_ask))]


def _point(candidate: Any) -> Point:
    """A copy: the candidate goes back to its algorithm."""
    return np.clip(np.array(candidate.value, dtype=np.float64), 0.0, 1.0)


def _tell(algorithm: Any, candidate: Any, loss: float) -> None:
    # Only the starting point is not the algorithm's own, and some do not take it. An infinite loss counts as 5e20.
    with contextlib.suppress(_import_nevergrad().errors.TellNotAskedNotSupportedError):
        algorithm.tell(candidate, loss)


def _configured(algorithm: str, settings: Mapping[str, Any]) -> Any:
    """What makes a living algorithm: an entry of the registry, or one of its family with other settings."""
    entry = _import_nevergrad().optimizers.registry[algorithm]
    return type(entry)(**{**entry.config(), **settings}) if settings else entry


def _setting_names(algorithm: str) -> set[str]:
    entry = _import_nevergrad().optimizers.registry[algorithm]
    if inspect.isclass(entry):  # no family, nothing to set
        return set()
    return set(inspect.signature(type(entry)).parameters)


def _random_state(rng: np.random.Generator) -> np.random.RandomState:
    return np.random.RandomState(rng.integers(2**32, dtype=np.uint32))


@contextlib.contextmanager
def _own_world(common_stream: np.random.RandomState) -> Iterator[None]:
    """What belongs to the whole process is the optimizer's own meanwhile, and left as it was.

    Some algorithms draw from numpy's global stream besides their own, and there are warnings about losses, bounds and
    populations that nobody who reads the record of a run can act on.
    """
    outside = np.random.get_state()
    np.random.set_state(common_stream.get_state())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        common_stream.set_state(np.random.get_state())
        np.random.set_state(outside)


@cache
def _import_nevergrad() -> Any:
    """Apart from any optimizer's world, as the import itself draws from numpy's global stream."""
    with _own_world(np.random.RandomState(0)):
        return importlib.import_module("nevergrad")
