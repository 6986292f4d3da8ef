"""Every method of `scipy.optimize` that needs no gradient from the user, run unmodified."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from optim.ask_tell import Batch, End, EndKind, Start, Steps
from optim.optimizers.base import Optimizer
from optim.optimizers.passed_on import check_names
from optim.optimizers.scipy_bridge import Objective, StuckError, SuspendableCall, pass_by_cobyqa_lock

LOCAL: Mapping[str, str] = MappingProxyType(
    {
        "Nelder-Mead": "_minimize_neldermead",
        "Powell": "_minimize_powell",
        "CG": "_minimize_cg",
        "BFGS": "_minimize_bfgs",
        "L-BFGS-B": "_minimize_lbfgsb",
        "TNC": "_minimize_tnc",
        "COBYLA": "_minimize_cobyla",
        "COBYQA": "_minimize_cobyqa",
        "SLSQP": "_minimize_slsqp",
        "trust-constr": "_minimize_trustregion_constr",
    }
)
"""The methods of `scipy.optimize.minimize`, each with SciPy's function that names its options."""

GRADIENT = frozenset({"CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", "trust-constr"})
"""Those that take finite differences, which SciPy hands over as one batch."""

UNBOUNDED = frozenset({"CG", "BFGS"})
"""Those that know no bounds."""

GLOBAL = ("differential_evolution", "dual_annealing", "direct", "shgo", "basinhopping")
"""The functions of `scipy.optimize` that are algorithms by themselves."""

POPULATION = frozenset({"differential_evolution", "shgo"})
"""Those whose `workers` take populations and samples, not finite differences."""

HOPPING = frozenset({"dual_annealing", "basinhopping"})
"""Those whose local searches take the arguments of `minimize`."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("fun", "func", "x0", "args", "bounds", "callback", "workers"), "shoal sets it"),
        **dict.fromkeys(("vectorized", "updating", "rng", "seed"), "shoal sets it"),
        **dict.fromkeys(
            ("disp", "iprint", "mesg_num", "verbose", "return_all"), "shoal keeps its own record"
        ),
        **dict.fromkeys(("jac", "grad", "hess", "hessp", "constraints"), "shoal does not support it"),
        **dict.fromkeys(("sparse_jacobian", "take_step", "accept_test"), "shoal does not support it"),
        "maxtime": "a clock would break a replay; use an exit condition",
        "tol": "give `tolerance` instead",
    }
)
"""Parameters of SciPy's that no run may set, and why."""

LOCAL_SEARCH = ("method", "tol", "options")
"""Keys of `minimizer_kwargs`, with which the hopping methods choose their local one."""

SHGO_OPTIONS = (
    *("f_min", "f_tol", "ftol", "infty_constraints", "local_iter", "maxev", "maxfev", "maxiter"),
    *("minhgrd", "minimize_every_iter", "symmetry"),
)
"""Keys of shgo's `options`, which its signature does not name."""

SAME_POINT = 1e-9
"""Distance in the unit cube up to which two points are one that was rounded differently."""


class Scipy(Optimizer):
    """An algorithm of SciPy's in the unit cube.

    Bounds are given to every method that takes them. CG and BFGS know none, and others may step outside for a
    moment: they see the loss mirrored at the faces of the cube, so every evaluated point lies inside.

    The starting point is evaluated first, also where SciPy does not (direct and shgo do not know it, COBYLA
    and COBYQA move it away from the faces): then together with SciPy's own first points, as one batch.

    Finite differences are batches of probes. Where SciPy takes them one by one (in the local searches of shgo
    and the polishing of differential_evolution) nothing tells them from steps.

    It has converged when SciPy reports success and a loss was finite. It gives up, too, when it goes on without
    anything that can be evaluated, as some algorithms do between infinite losses.
    """

    algorithm: str = "Nelder-Mead"
    """`Nelder-Mead`, `Powell`, `CG`, `BFGS`, `L-BFGS-B`, `TNC`, `COBYLA`, `COBYQA`, `SLSQP`, `trust-constr`,
    `differential_evolution`, `dual_annealing`, `direct`, `shgo` or `basinhopping`."""

    tolerance: float | None = Field(default=None, gt=0)
    """SciPy's `tol`; none: its default."""

    settings: dict[str, Any] = Field(default_factory=dict)
    """Further settings of the algorithm, by SciPy's names: the `options` of `minimize`, or the keyword
    arguments of a global method, whose `minimizer_kwargs` may hold `method`, `tol` and `options`."""

    @property
    def title(self) -> str:
        """The label, or the algorithm's name when none is given."""
        return self.label or self.algorithm

    @field_validator("algorithm")
    @classmethod
    def _check_algorithm(cls, algorithm: str) -> str:
        check_names("algorithm", [algorithm], (*LOCAL, *GLOBAL))
        return algorithm

    @field_validator("tolerance")
    @classmethod
    def _check_tolerance(cls, tolerance: float | None, info: ValidationInfo) -> float | None:
        algorithm = info.data.get("algorithm")
        if tolerance is not None and algorithm in GLOBAL and algorithm != "differential_evolution":
            raise ValueError(f"{algorithm} has no tolerance of that kind; leave it out, and see its settings")
        return tolerance

    @field_validator("settings")
    @classmethod
    def _check_settings(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        algorithm = info.data.get("algorithm")
        if settings and algorithm is not None:
            _check_names_for(algorithm, settings)
        return settings

    @property
    def is_deterministic(self) -> bool:
        """The local methods, and direct."""
        return self.algorithm in LOCAL or self.algorithm == "direct"

    def warm_up(self, dimension: int) -> int:
        """Calls of a simplex, a population or a first sampling; two where finite differences do not count."""
        return _warm_up(self.algorithm, self.settings, dimension)

    def steps(self, start: Start) -> Steps:
        """Suspend and resume SciPy's own call."""
        objective = Objective(maps_probes=self.algorithm not in POPULATION)
        call = SuspendableCall(self._call(objective, start))
        has_loss = has_finite_loss = False
        try:
            batch = call.resume(None)
            if batch is not None and not _holds(batch, start):
                first, *losses = yield Batch([start.x0.copy(), *batch.points], batch.probes)
                has_loss, has_finite_loss = True, any(map(math.isfinite, (first, *losses)))
                batch = call.resume(losses)
            while batch is not None:
                losses = yield batch
                has_loss = True
                has_finite_loss = has_finite_loss or any(map(math.isfinite, losses))
                batch = call.resume(losses)
        except StuckError as error:
            return End(EndKind.GAVE_UP, f"{self.algorithm} {error}")
        except Exception as error:
            if has_loss and not has_finite_loss:  # Powell and dual_annealing raise between infinite losses
                return End(EndKind.GAVE_UP, f"every loss was infinite ({error})")
            raise
        finally:
            call.close()
        return _end(call.result, has_loss, has_finite_loss)

    def _call(self, objective: Objective, start: Start) -> Callable[[], Any]:
        x0 = start.x0.copy()
        bounds = [(0.0, 1.0)] * len(x0)
        if self.algorithm in LOCAL:
            arguments = _local_search(objective, bounds, self.algorithm, self.tolerance, self.settings)
            return partial(_scipy("minimize"), objective, x0, **arguments)
        ours = {
            "x0": x0,
            "bounds": bounds,
            "rng": start.rng,
            "workers": objective.map,
            "updating": "deferred",
        }
        known = _parameters(self.algorithm)
        arguments = self.settings | {name: value for name, value in ours.items() if name in known}
        if self.tolerance is not None:
            arguments["tol"] = self.tolerance
        if self.algorithm in HOPPING:
            search = self.settings.get("minimizer_kwargs") or _default_search(self.algorithm, len(x0))
            arguments["minimizer_kwargs"] = _local_search(objective, bounds, **search)
        return partial(_scipy(self.algorithm), objective, **arguments)


def _default_search(algorithm: str, dimension: int) -> dict[str, Any]:
    """What SciPy takes by itself, said aloud so that `workers` can be added."""
    if algorithm == "dual_annealing":
        return {"options": {"maxiter": min(max(6 * dimension, 100), 1000)}}
    return {}


def _local_search(
    objective: Objective,
    bounds: Sequence[tuple[float, float]],
    method: str = "L-BFGS-B",
    tol: float | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The keyword arguments of `minimize`."""
    if method == "COBYQA":
        pass_by_cobyqa_lock()
    arguments: dict[str, Any] = {"method": method, "tol": tol, "options": dict(options)}
    if method in GRADIENT:
        arguments["options"]["workers"] = objective.map
    if method not in UNBOUNDED:
        arguments["bounds"] = bounds
    if method == "trust-constr":
        arguments["callback"] = objective.count_iteration
    return arguments


def _holds(batch: Batch, start: Start) -> bool:
    return any(np.abs(point - start.x0).max() <= SAME_POINT for point in batch.points)


def _end(result: Any, has_loss: bool, has_finite_loss: bool) -> End:
    message = result.message if isinstance(result.message, str) else ", ".join(result.message)
    if not has_finite_loss:
        what = "every loss was infinite" if has_loss else "nothing was evaluated"
        return End(EndKind.GAVE_UP, f"{what} ({message})")
    return End(EndKind.CONVERGED if result.success else EndKind.GAVE_UP, message)


def _scipy(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(importlib.import_module("scipy.optimize"), name)
    return function


def _parameters(algorithm: str) -> set[str]:
    """What SciPy's function for an algorithm takes."""
    if algorithm in LOCAL:
        # Private, because the public `show_options` is a text that leaves names out.
        function = getattr(importlib.import_module("scipy.optimize._minimize"), LOCAL[algorithm])
    else:
        function = _scipy(algorithm)
    return set(inspect.signature(function).parameters) - {"unknown_options"}


def _check_names_for(algorithm: str, settings: Mapping[str, Any]) -> None:
    refused = dict(REFUSED)
    if algorithm == "shgo":
        refused["minimizer_kwargs"] = "SciPy drops most of it"
        check_names("shgo option", settings.get("options") or {}, SHGO_OPTIONS, refused)
    check_names(f"{algorithm} setting", settings, _parameters(algorithm), refused)
    if search := settings.get("minimizer_kwargs"):
        check_names("key of minimizer_kwargs", search, LOCAL_SEARCH)
        method = search.get("method", "L-BFGS-B")
        check_names("local method", [method], LOCAL)
        _check_names_for(method, search.get("options") or {})


def _warm_up(algorithm: str, settings: Mapping[str, Any], dimension: int) -> int:
    match algorithm:
        case "Nelder-Mead" | "Powell" | "COBYLA":
            return dimension + 1
        case "COBYQA" | "dual_annealing":
            return 2 * dimension + 1
        case "direct":
            return 2 * dimension + 2  # the starting point, the centre, and two along each axis
        case "differential_evolution":
            init = settings.get("init", "latinhypercube")
            if not isinstance(init, str):
                return len(init)
            population: int = max(5, settings.get("popsize", 15) * dimension)
            return 1 << (population - 1).bit_length() if init == "sobol" else population
        case "shgo":
            samples: int = settings.get("n", 100)
            is_simplicial = settings.get("sampling_method", "simplicial") == "simplicial"
            return 1 + (2**dimension + 1 if is_simplicial and samples == 100 else samples)
        case "basinhopping":
            search = settings.get("minimizer_kwargs") or {}
            return _warm_up(search.get("method", "L-BFGS-B"), search.get("options") or {}, dimension)
        case _:
            return 2
