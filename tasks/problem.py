"""A problem seen from outside: its name and space as plain data, told by a process that may import it.

The manager of a flow imports no user code: a worker, or a child process, describes the problem to it.
"""

from __future__ import annotations

from typing import Any

from optim.problem import Problem
from optim.space import Parameter, Space
from tasks.loss import load, load_loss


def describe(entry_point: str, folder: str | None) -> dict[str, Any]:
    """Import a problem and describe it, in JSON types.

    Args:
        entry_point: `module:attribute` of a `Problem` or a plain loss.
        folder: Appended to the module path.

    Returns:
        `name`, `parameters`: their settings; empty for a plain loss, and `constraints`.

    Raises:
        ProblemError: It cannot be imported, or is neither.
    """
    found = load(entry_point, folder)
    if isinstance(found, Problem):
        return description_of(found)
    load_loss(entry_point, folder)
    return {"name": default_name(entry_point), "parameters": [], "constraints": []}


def description_of(problem: Problem) -> dict[str, Any]:
    """A problem described, in JSON types."""
    parameters = [parameter.model_dump(mode="json") for parameter in problem.space.parameters]
    return {"name": problem.name, "parameters": parameters, "constraints": list(problem.space.constraints)}


def described_space(description: dict[str, Any]) -> Space | None:
    """The space of a described problem; None: it is a plain loss."""
    if not description["parameters"]:
        return None
    return Space(map(Parameter.model_validate, description["parameters"]), description["constraints"])


def default_name(entry_point: str) -> str:
    """What a plain loss is called: its module, as `cheap` for `fits.cheap:loss`."""
    return entry_point.partition(":")[0].rpartition(".")[2]
