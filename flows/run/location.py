"""Where runs are kept."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it loads numpy, and whoever asks for a kernel must be first
    from optim.store import RunFolder


def runs_location(given: str | None) -> Path:
    """The folder of all runs: as given, or else `SHOAL_LOCATION`, or else `./runs`."""
    return Path(runs_place(given))


def shown(path: Path) -> str:
    """A path as people here would type it."""
    here = _here()
    return str(path.relative_to(here) if here and path.is_relative_to(here) else path)


def command_on(folder: RunFolder, command: str) -> str:
    """What to type to do something with a run: `shoal plot NAME`, and where it is if no one would look there."""
    location, here = folder.path.parent, _here()
    is_default = here is not None and location == here / runs_location(None)
    where = "" if is_default else f" --location {shlex.quote(shown(location))}"
    return f"shoal {command} {folder.name}{where}"


def _here() -> Path | None:
    """The working directory; None: a loss has entered one that is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def runs_place(given: str | None) -> str:
    """The same, for who only reads; it may be a URL."""
    return given or os.environ.get("SHOAL_LOCATION") or "runs"
