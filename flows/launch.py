"""Starts a flow for a person at a terminal: with a Prefect server, and something to watch."""

from __future__ import annotations

from typing import Any

from prefect import Flow, State
from prefect.settings import PREFECT_UI_URL
from rich.console import Console

from flows.optimize import outlook
from flows.reports.outlook import Outlook
from flows.run import RunResult
from flows.server import local_server
from optim.errors import ShoalError


def run_as_flow(
    flow: Flow[..., State[RunResult]],
    console: Console | None = None,
    seen: Outlook | None = None,
    **parameters: Any,
) -> RunResult:
    """Run a flow, on the Prefect server that is configured or else on a local one.

    Args:
        flow: `optimize` or `resume`.
        console: Where the dashboard is announced.
        seen: How the person follows the run.
        parameters: Of the flow.

    Raises:
        ShoalError: What stopped the flow.
    """
    console = console or Console(quiet=True)
    console.print("Starting Prefect ...", style="dim")
    with local_server() as url:
        console.print(f"Dashboard: {PREFECT_UI_URL.value() or url.removesuffix('/api')}", soft_wrap=True)
        token = outlook.set(seen or Outlook())
        try:
            state: State[Any] = flow(**parameters, return_state=True)
        finally:
            outlook.reset(token)
    return _result(state)


def _result(state: State[Any]) -> RunResult:
    found = getattr(state.data, "result", state.data)
    if isinstance(found, RunResult):
        return found
    if isinstance(found, BaseException):
        raise found
    raise ShoalError(f"the flow ended as {state.name}: {state.message}")
