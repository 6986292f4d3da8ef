"""How Prefect behaves in a process that a person started with `shoal`; set before Prefect is imported."""

from __future__ import annotations

import os

DEFAULTS = {
    # A run has its own log; what Prefect logs goes to the dashboard, where each task run has its traceback.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # One local server, which we start and stop; Prefect by itself would start others, and leave them behind.
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


def set_prefect_defaults() -> None:
    """Set what the environment does not say; child processes inherit it."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
