"""Runs from Python: the functions behind `import shoal`."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optim.errors import ShoalError
from optim.problem import Problem

if TYPE_CHECKING:
    from flows.pictures.colours import ColourBy, Theme
    from flows.pictures.figures import Figures
    from flows.reports.summary import RunSummary
    from flows.run.opened import RunResult
    from flows.settings import RunSettings
    from optim.store import RunFolder, RunReader


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


def open_run(run: str | os.PathLike[str], location: str | os.PathLike[str] | None = None) -> RunReader:
    """Open a run, also while it goes on: attributes, xarray datasets and pandas frames of all that happened.

    Args:
        run: Its name, or its folder.
        location: Folder of all runs, where a name is looked for; by default `SHOAL_LOCATION`, or else `./runs`.

    Raises:
        StoreError: There is no run, or it is damaged.
    """
    from optim.store import open_run as open_store

    return open_store(_folder(run, location).store)


def figures(
    run: str | os.PathLike[str],
    location: str | os.PathLike[str] | None = None,
    colour_by: ColourBy | None = None,
    optimizers: Collection[int] | None = None,
    theme: Theme = "light",
) -> Figures:
    """The plots of a run, each a `plotly.graph_objects.Figure`: `figures("lj_argon-1").losses().show()`.

    Args:
        run: Its name, or its folder.
        location: As for `open_run`.
        colour_by: `optimizer`, `type` or `minimum`; None: what suits the run.
        optimizers: The numbers of those that are shown; None: all.
        theme: `light` or `dark`.

    Raises:
        StoreError: There is no run, or it is damaged.
    """
    from flows.pictures.figures import Figures
    from flows.pictures.reading import read_picture
    from optim.store import open_run as open_store

    folder = _folder(run, location)
    picture = read_picture(folder.name, open_store(folder.store))
    return Figures(picture, colour_by, theme, None if optimizers is None else set(optimizers))


def _folder(run: str | os.PathLike[str], location: str | os.PathLike[str] | None) -> RunFolder:
    from flows.run.location import runs_location
    from optim.store import RunFolder

    is_name = location is not None or (isinstance(run, str) and os.path.basename(run) == run)
    if is_name and not (location is None and RunFolder(Path(run)).store.exists()):
        return RunFolder.find(
            runs_location(None if location is None else os.fspath(location)), os.fspath(run)
        )
    return RunFolder(Path(run))


def _run_here(problem: Problem | str, settings: RunSettings, name: str | None) -> RunResult:
    from flows.lanes.local import run_in_process
    from flows.reports.outlook import Outlook
    from flows.run.request import request_for
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

    return run_as_flow(
        "optimize",
        cluster=settings.cluster,
        private=settings.private,
        settings=settings,
        name=name,
        code_folder=os.getcwd(),
    )
