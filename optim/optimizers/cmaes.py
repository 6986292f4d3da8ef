"""CMA-ES by pycma, with random numbers from the optimizer's own stream only."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from types import MappingProxyType, ModuleType
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from optim.ask_tell import Batch, End, EndKind, Point, Start, Steps
from optim.errors import DimensionError
from optim.optimizers.base import Optimizer
from optim.optimizers.passed_on import check_names

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("timeout", "signals_filename", "seed", "randn"), "it would break a replay"),
        **dict.fromkeys(
            ("bounds", "BoundaryHandler", "popsize", "popsize_factor", "AdaptSigma"), "shoal sets it"
        ),
        **dict.fromkeys(("CMA_sampler", "CMA_sampler_options"), "give `sampler` instead"),
        **dict.fromkeys(("fixed_variables", "integer_variables"), "shoal does not support it"),
        **dict.fromkeys(
            ("scaling_of_variables", "typical_x", "transformation"), "a parameter has its own scale"
        ),
        **dict.fromkeys(("CMA_eigenmethod", "is_feasible", "termination_callback", "vv"), "it takes code"),
        **dict.fromkeys(
            ("eval_final_mean", "verbose", "verb_append", "verb_disp"), "a run has its own record"
        ),
        **dict.fromkeys(
            ("verb_disp_overwrite", "verb_filenameprefix", "verb_log"), "a run has its own record"
        ),
        **dict.fromkeys(("verb_log_expensive", "verb_plot", "verb_time"), "a run has its own record"),
    }
)
"""Options of pycma that no run may set, and why."""

CONVERGED = frozenset(
    {
        *("ftarget", "tolfun", "tolfunhist", "tolfunrel", "tolflatfitness", "tolx", "tolxstagnation"),
        *("tolstagnation", "noeffectaxis", "noeffectcoord"),
    }
)
"""What pycma stops for when there is nothing more to gain; its other stops are limits, or a search astray."""

SMALLEST_POPSIZE: Mapping[str, int] = MappingProxyType({"full": 2, "vd": 4, "vkd": 4})
"""Below, the restricted samplers have one parent, and divide by zero."""


class CMAES(Optimizer):
    """Covariance matrix adaptation evolution strategy, in the unit cube, bounds respected.

    The starting point is the first mean. It is evaluated with the first generation, but the strategy, which
    learns from samples only, is not told.

    Source: Hansen, "The CMA Evolution Strategy: A Tutorial" (2016); VD-CMA: Akimoto et al., GECCO 2014;
    VkD-CMA: Akimoto & Hansen, PPSN 2016.
    """

    sigma0: float = Field(default=0.3, gt=0)
    """Initial step size, of the unit cube."""

    popsize: int | None = Field(default=None, ge=2)
    """Points of a generation; none: 4 + floor(3 ln d)."""

    sampler: Literal["full", "vd", "vkd"] = "full"
    """Covariance matrix: `full`, or restricted, for many parameters, at a cost linear in their number: a
    diagonal and one direction (`vd`), or a diagonal and as many directions as prove useful (`vkd`)."""

    min_sigma: float | None = Field(default=None, gt=0)
    """Converged when the step size falls below, of the unit cube; none: pycma's own tolerances only."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Further options of pycma, by the names of `cma.CMAOptions`."""

    @field_validator("sampler")
    @classmethod
    def _check_sampler(cls, sampler: str, info: ValidationInfo) -> str:
        popsize, smallest = info.data.get("popsize"), SMALLEST_POPSIZE[sampler]
        if popsize is not None and popsize < smallest:
            raise ValueError(f"the sampler {sampler!r} needs a popsize of at least {smallest}, not {popsize}")
        return sampler

    @field_validator("settings")
    @classmethod
    def _check_settings(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if settings:
            is_restricted = info.data.get("sampler", "full") != "full"
            refused = {**REFUSED, "CMA_active": "the sampler sets it"} if is_restricted else REFUSED
            check_names("pycma option", settings, _import_cma().CMAOptions.defaults(), refused)
        return settings

    def warm_up(self, dimension: int) -> int:
        """The starting point and the first generation."""
        return 1 + (self.popsize or 4 + math.floor(3 * math.log(dimension)))

    def fault(self, dimension: int) -> str:
        """pycma does not support one parameter."""
        return "CMAES needs at least two parameters; take another optimizer" if dimension < 2 else ""

    def steps(self, start: Start) -> Steps:
        """Ask and tell pycma generation by generation.

        Raises:
            DimensionError: There is one parameter only.
        """
        if fault := self.fault(len(start.x0)):
            raise DimensionError(fault)
        return self._generations(start)

    def _generations(self, start: Start) -> Steps:
        strategy = self._strategy(start)
        ahead = [_read_only(start.x0)]
        while True:
            with np.errstate(all="ignore"):
                generation = strategy.ask()
            if not np.isfinite(generation).all():
                return End(EndKind.GAVE_UP, "the distribution has degenerated: a sample is not finite")
            answers = yield Batch([*ahead, *map(_read_only, generation)])
            losses, points = answers[len(ahead) :], answers.points[len(ahead) :]
            ahead = []
            with np.errstate(all="ignore"):
                strategy.tell([*map(partial(_as_evaluated, strategy), generation, points)], losses)
                stops = dict(strategy.stop())
            if self.min_sigma is not None and strategy.sigma < self.min_sigma:
                stops["min_sigma"] = self.min_sigma
            if stops:
                return _end(stops, losses)

    def _strategy(self, start: Start) -> Any:
        cma = _import_cma()
        rng = start.rng

        def randn(*shape: int) -> Point:
            return rng.standard_normal(shape)

        options = {
            **self.settings,
            "bounds": [0.0, 1.0],
            "randn": randn,
            "seed": np.nan,  # do nothing about numpy's global stream
            "signals_filename": "",
            "verbose": -10,  # prints nothing, writes nothing, reads no signals
        }
        if self.popsize is not None:
            options["popsize"] = self.popsize
        if self.sampler != "full":
            module = cma.restricted_gaussian_sampler
            sampler = module.GaussVDSampler if self.sampler == "vd" else module.GaussVkDSampler
            options = sampler.extend_cma_options(options) | {"CMA_sampler_options": {"randn": randn}}
        with _silence():
            strategy = cma.CMAEvolutionStrategy(start.x0, self.sigma0, options)
        # A self-test of the step-size rule for d >= 300, which draws from numpy's global stream.
        strategy.adapt_sigma.check_consistency = _no_check
        return strategy


def _as_evaluated(strategy: Any, asked: Point, evaluated: Point) -> Point:
    """The point that pycma has to be told, of one that was asked and perhaps evaluated a rounding away.

    pycma learns from coordinates that know no bounds, which it looks up by the point. Where the bounds have bent them
    (near a face, and beyond) they stay those that were asked: there, a rounding of the point would be a step of theirs.
    """
    if np.array_equal(asked, evaluated):
        return asked
    unbounded = strategy.sent_solutions[asked]["geno"]
    corrected = np.where(unbounded == asked, evaluated, unbounded)
    strategy.sent_solutions.insert(evaluated, geno=corrected, iteration=strategy.countiter)
    return evaluated


def _no_check(_strategy: Any) -> None:
    """Nothing."""


def _end(stops: dict[str, Any], losses: Sequence[float]) -> End:
    reason = ", ".join(f"{name} = {value}" for name, value in stops.items())
    if not any(map(math.isfinite, losses)):
        return End(EndKind.GAVE_UP, f"every loss of the last generation was infinite ({reason})")
    return End(EndKind.CONVERGED if stops.keys() & {*CONVERGED, "min_sigma"} else EndKind.GAVE_UP, reason)


def _read_only(point: Point) -> Point:
    copy = np.array(point, dtype=np.float64)
    copy.setflags(write=False)
    return copy


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What pycma says while it is set up: advice about dimensions, a filter for warnings of its own."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _import_cma() -> ModuleType:
    """Without matplotlib, which pycma would load for pictures that nobody here asks for; it takes most of a second."""
    without = _NoMatplotlib()
    sys.meta_path.insert(0, without)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Could not import matplotlib.pyplot", UserWarning)
            return importlib.import_module("cma")
    finally:
        sys.meta_path.remove(without)


class _NoMatplotlib(MetaPathFinder):
    """Hides matplotlib from the thread that makes it; others may import it meanwhile."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "matplotlib" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("matplotlib is hidden for a moment", name=fullname)
