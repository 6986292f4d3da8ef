"""How Prefect behaves in a process that a person started with `shoal`; set before Prefect is imported."""

from __future__ import annotations

import os

HEARTBEAT_S = 30
DEFAULTS = {
    # A run has its own log; what Prefect logs goes to the dashboard, where each task run has its traceback.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # One local server, which we start and stop; Prefect by itself would start others, and leave them behind.
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # A server that has gone away holds nobody up for minutes (by default each request is repeated for one), and what
    # it missed is said once, at the end, not with a page on the terminal for every event.
    "PREFECT_CLIENT_MAX_RETRIES": "2",
    "PREFECT_API_REQUEST_TIMEOUT": "20",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    # The shortest that Prefect allows; `shoal serve` has flow runs without one shown as Crashed.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
    "DO_NOT_TRACK": "1",
}


def set_prefect_defaults() -> None:
    """Set what the environment does not say; child processes inherit it."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
