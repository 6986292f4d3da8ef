"""From a run file to a request: settings checked, the problem described, the space known; nothing started yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flows.run.opened import RunRequest
from flows.run.stored import present_settings
from flows.run_files.faults import Places, faults_at, located
from flows.run_files.reading import RunFile, read_settings
from flows.settings import RunSettings, space_of
from flows.workers.upload import packed
from optim.advice import advice
from optim.errors import ProblemError
from optim.store import RunFolder, open_run
from optim.strategy import Contradiction, ContradictionsError
from tasks.child import describe_in_child
from tasks.problem import describe, described_space

NO_FILE = RunFile("the settings", "", {}, Places())
"""What settings that were made in Python were read from."""


def request_of(
    path: Path, overrides: Sequence[str] = (), name: str | None = None, *, in_this_process: bool
) -> RunRequest:
    """Read a run file, and look at its problem.

    Args:
        path: Of the run file; its folder is where user code is looked for besides installed packages.
        overrides: `key=value`; see `read_settings`.
        name: Of the run.
        in_this_process: Import the problem here, unless other processes evaluate it; otherwise a child process does.

    Raises:
        InvalidSettingsError: With every fault.
    """
    file, settings = read_settings(path, overrides)
    folder = str(path.resolve().parent)
    with located(file.name, file.places):
        is_here = in_this_process and not settings.local_processes
        packed(settings.cluster.upload, folder)  # only to see that it can be
        description = described(settings, folder, describe if is_here else describe_in_child)
        return request_for(settings, description, file=file, name=name, code_folder=folder)


def request_for(
    settings: RunSettings,
    description: dict[str, Any],
    *,
    file: RunFile = NO_FILE,
    name: str | None = None,
    code_folder: str | None = None,
    flow_run_id: str = "",
) -> RunRequest:
    """A request, from a problem's description.

    Raises:
        ContradictionsError: Settings that do not go with the problem's parameters.
    """
    space = space_of(described_space(description), settings)
    advised = tuple(map(str, faults_at(advice(settings, space), file.places)))
    return RunRequest(
        settings, space, description["name"], file.text, name, code_folder, flow_run_id, advised
    )


def request_to_resume(
    folder: RunFolder,
    flow_run_id: str = "",
    accept_divergence: bool = False,
    ends_at: float | None = None,
) -> RunRequest:
    """A request to go on with a run, by what its store says: the run file may have changed since.

    Args:
        folder: Of the run.
        flow_run_id: Of the Prefect flow run that goes on with it; empty: none.
        accept_divergence: Let an optimizer that does something else than before go on from its best.
        ends_at: When the session must be over, seconds since the epoch; None: it takes what it takes.

    Raises:
        StoreError: The run cannot be read.
    """
    reader = open_run(folder.store)
    attributes = reader.attributes
    return RunRequest(
        present_settings(reader),
        reader.space(),
        attributes["problem"],
        code_folder=attributes["code_folder"] or None,
        flow_run_id=flow_run_id,
        resumes=folder,
        accept_divergence=accept_divergence,
        ends_at=ends_at,
    )


def described(
    settings: RunSettings, folder: str | None, look: Callable[[str, str | None], dict[str, Any]]
) -> dict[str, Any]:
    """The description of a run's problem; its validation loss is looked at, too.

    Args:
        settings: Of the run.
        folder: Where user code is looked for besides installed packages.
        look: `describe`, here or in another process.

    Raises:
        ContradictionsError: One of them cannot be imported.
    """
    descriptions = []
    for path, entry_point in settings.entry_points.items():
        try:
            descriptions.append(look(entry_point, folder))
        except ProblemError as error:
            raise ContradictionsError([Contradiction(path, str(error))]) from None
    return descriptions[0]
