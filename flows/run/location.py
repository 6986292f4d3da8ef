"""Where runs are kept."""

from __future__ import annotations

import os
from pathlib import Path


def runs_location(given: str | None) -> Path:
    """The folder of all runs: as given, or else `SHOAL_LOCATION`, or else `./runs`."""
    return Path(runs_place(given))


def runs_place(given: str | None) -> str:
    """The same, for who only reads; it may be a URL."""
    return given or os.environ.get("SHOAL_LOCATION") or "runs"
