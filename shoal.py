"""Managed parallel optimization as a workflow: what users import.

    import shoal

    def loss(x):                                   # x: physical values, in the order of the parameters
        return (x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2

    problem = shoal.Problem(loss, [shoal.Parameter(name=n, initial=0.5, lower=-1, upper=2) for n in "ab"])
    found = shoal.run(problem, optimizers=[shoal.Scipy()], exit_conditions=[shoal.MaxTotalFunctionCalls(max=200)])
    print(found.best)

Every policy is here by the name that run files use, also those of other packages: `shoal.CMAES`, `shoal.Random`,
`shoal.MaxInteroptimizerDistance` and so on. A block as in a run file does as well, for instance
`optimizer_selector={"type": "Random"}` (`shoal.Random` is the generator).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.api import figures, open_run, run
from optim.errors import ShoalError
from optim.problem import Problem
from optim.space import Parameter, Space

if TYPE_CHECKING:
    from flows.reports.summary import RunSummary as RunSummary
    from flows.settings import RunSettings as RunSettings

__all__ = ["Parameter", "Problem", "ShoalError", "Space", "figures", "open_run", "run"]


def _policies() -> dict[str, Any]:
    from optim.registry import KINDS, catalogue

    found: dict[str, Any] = {}
    for kind in KINDS:
        found = {**catalogue(kind), **found}  # of two kinds with one name, the first has it
    return found


def __getattr__(name: str) -> Any:
    policies = _policies() if not name.startswith("_") else {}
    if name not in policies:
        raise AttributeError(f"module 'shoal' has no attribute {name!r}")
    return policies[name]


def __dir__() -> list[str]:
    return sorted([*__all__, *_policies()])
