"""What becomes of a new run whose name exists already: it is refused, or goes on, or gets a number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from flows.run.location import runs_location
from flows.run_files.faults import InvalidSettingsError
from flows.run_files.reading import read_settings
from optim.errors import RunNameError
from optim.store import RunFolder

IfExists = Literal["refuse", "resume", "new"]
"""`refuse`: nothing is done. `resume`: the run goes on, or is left as it is when it has finished. `new`: another one
is started, with a number behind the name."""


def run_to_resume(location: str | None, name: str | None) -> RunFolder | None:
    """The run of that name, to go on with it; None: there is none, and it can begin.

    Args:
        location: Folder of all runs, as the settings say it.
        name: Of the run.

    Raises:
        RunNameError: There is no name.
    """
    if not name:
        raise RunNameError("what shall go on if it exists needs a name; give one")
    try:
        return RunFolder.find(runs_location(location), name)
    except RunNameError:  # whoever begins it says whether the name is allowed
        return None


def location_in(run_file: Path, overrides: Sequence[str]) -> str | None:
    """The folder of all runs, as a run file says it; None: it does not, or cannot be read any more.

    Of a run that exists its store counts, so no fault of the file keeps it from going on.
    """
    try:
        return read_settings(run_file, overrides)[1].store.location
    except InvalidSettingsError:
        return None
