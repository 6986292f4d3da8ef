"""Runs from Python: the functions behind `import shoal`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optim.errors import ShoalError
from optim.problem import Problem

if TYPE_CHECKING:
    from flows.reports.summary import RunSummary
    from flows.run import RunResult
    from flows.settings import RunSettings
    from optim.store import RunReader


def run(
    problem: Problem | str, *, local: bool = True, name: str | None = None, **settings: Any
) -> RunSummary:
    """Run many optimizers on a problem, and wait for the end.

    Args:
        problem: A `Problem`; or, also for a flow, the `module:attribute` of one or of a plain loss.
        local: In this process, one evaluation after the other, or in `evaluation={"processes": N}` of this machine;
            otherwise as a Prefect flow on Dask.
        name: Of the run; by default the problem's, with a number.
        settings: As in a run file, with lists in the plural (`optimizers`, `stoppers`, `exit_conditions`,
            `parameters`).

    Returns:
        What it has come to. The run stays in its folder, by default in `./runs`.

    Raises:
        pydantic.ValidationError: Settings that cannot be used, with every fault.
        ShoalError: Anything else that people can mend.
    """
    from flows.reports.summary import summarize
    from flows.settings import RunSettings
    from optim.store import RunFolder

    entry_point = problem if isinstance(problem, str) else "__main__:problem"
    checked = RunSettings.model_validate({"problem": entry_point, **settings})
    if local:
        result = _run_here(problem, checked, name)
    elif isinstance(problem, str):
        result = _run_as_flow(checked, name)
    else:
        raise ShoalError(
            "workers import a problem by name; give it as 'module:attribute', as in 'my_fit:problem'"
        )
    folder = RunFolder(result.path)
    return summarize(folder.name, open_run(folder.path))


def open_run(folder: str | os.PathLike[str]) -> RunReader:
    """Open a run by its folder, also while it goes on: attributes, and xarray datasets of all that happened.

    Raises:
        StoreError: There is no run, or it is damaged.
    """
    from optim.store import RunFolder
    from optim.store import open_run as open_store

    return open_store(RunFolder(Path(folder)).store)


def _run_here(problem: Problem | str, settings: RunSettings, name: str | None) -> RunResult:
    from flows.local import run_in_process
    from flows.reports.outlook import Outlook
    from flows.request import request_for
    from tasks.problem import describe, description_of

    folder = os.getcwd()
    if isinstance(problem, str):
        loss, description = None, describe(problem, folder)
    elif not settings.local_processes:
        loss, description = problem.loss, description_of(problem)
    else:
        raise ShoalError(
            "an isolated loss, and one with evaluation.processes, is imported by name; give its problem as"
            " 'module:attribute', as in 'my_fit:problem'"
        )
    request = request_for(settings, description, name=name, code_folder=folder)
    return run_in_process(request, Outlook(), loss)


def _run_as_flow(settings: RunSettings, name: str | None) -> RunResult:
    from flows.environment import set_prefect_defaults

    set_prefect_defaults()
    from flows.launch import run_as_flow
    from flows.optimize import optimize

    return run_as_flow(
        optimize, private=settings.private, settings=settings, name=name, code_folder=os.getcwd()
    )
