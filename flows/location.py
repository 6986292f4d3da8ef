"""Where runs are kept."""

from __future__ import annotations

import os
from pathlib import Path


def runs_location(given: str | None) -> Path:
    """The folder of all runs: as given, or else `SHOAL_LOCATION`, or else `./runs`."""
    return Path(given or os.environ.get("SHOAL_LOCATION") or "runs")
