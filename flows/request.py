"""From a run file to a request: settings checked, the problem described, the space known; nothing started yet."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from flows.faults import Fault, InvalidSettingsError
from flows.run import RunRequest
from flows.run_file import read_settings
from flows.settings import RunSettings, space_of
from optim.errors import ProblemError, SpaceError
from tasks.problem import describe, parameters_of


def request_of(
    path: Path, overrides: Sequence[str] = (), name: str | None = None, *, in_this_process: bool
) -> RunRequest:
    """Read a run file, and look at its problem.

    Args:
        path: Of the run file; its folder is where user code is looked for besides installed packages.
        overrides: `key=value`; see `read_settings`.
        name: Of the run.
        in_this_process: Import the problem here; otherwise a child process does.

    Raises:
        InvalidSettingsError: With every fault.
    """
    file, settings = read_settings(path, overrides)
    folder = str(path.resolve().parent)
    try:
        description = (describe if in_this_process else describe_in_child)(settings.problem, folder)
        return request_for(settings, description, text=file.text, name=name, code_folder=folder)
    except ProblemError as error:
        fault = Fault(file.places.get(("problem",), ""), "problem", str(error))
    except SpaceError as error:
        fault = Fault(file.places.get(("parameter", 0), ""), "parameter", str(error))
    raise InvalidSettingsError(file.name, [fault])


def request_for(
    settings: RunSettings,
    description: dict[str, Any],
    *,
    text: str = "",
    name: str | None = None,
    code_folder: str | None = None,
    flow_run_id: str = "",
) -> RunRequest:
    """A request, from a problem's description.

    Raises:
        SpaceError: The settings' parameters do not go with the problem's, or an optimizer not with the space.
    """
    space = space_of(parameters_of(description), settings.parameters)
    faults = [fault for block in settings.optimizers if (fault := block.fault(space.dimension))]
    if faults:
        raise SpaceError("; ".join(faults))
    return RunRequest(settings, space, description["name"], text, name, code_folder, flow_run_id)


def describe_in_child(entry_point: str, folder: str | None) -> dict[str, Any]:
    """Describe a problem without importing it here.

    Raises:
        ProblemError: It cannot be imported.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as executor:
        try:
            return executor.submit(describe, entry_point, folder).result()
        except BrokenProcessPool:
            raise ProblemError(f"importing {entry_point!r} ended its process") from None
