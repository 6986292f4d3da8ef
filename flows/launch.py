"""Starts a flow for a person at a terminal: with a Prefect server, and something to watch."""

from __future__ import annotations

from typing import Any, NoReturn

import httpx
from prefect import Flow, State
from prefect.settings import PREFECT_UI_URL
from rich.console import Console

from flows.optimize import on_result, outlook
from flows.reports.outlook import Outlook
from flows.run.opened import RunResult
from flows.server.local_server import local_server, where_password_is
from optim.errors import ServerError, ShoalError


def run_as_flow(
    flow: Flow[..., State[RunResult]],
    console: Console | None = None,
    seen: Outlook | None = None,
    private: bool = False,
    **parameters: Any,
) -> RunResult:
    """Run a flow, on the Prefect server that is configured or else on a local one.

    Args:
        flow: `optimize` or `resume`.
        console: Where the dashboard is announced.
        seen: How the person follows the run.
        private: Only on a server that asks for a password.
        parameters: Of the flow.

    Raises:
        ShoalError: What stopped the flow.
    """
    console = console or Console(quiet=True)
    console.print("Starting Prefect ...", style="dim")
    with local_server(private=private) as url:
        console.print(f"Dashboard: {PREFECT_UI_URL.value() or url.removesuffix('/api')}", soft_wrap=True)
        if path := where_password_is(url):
            console.print(f"Its password is all of what is in {path}", soft_wrap=True, highlight=False)
        results: list[RunResult] = []
        tokens = outlook.set(seen or Outlook()), on_result.set(results.append)
        try:
            state: State[Any] = flow(**parameters, return_state=True)
        except httpx.HTTPError as error:  # Prefect's engine could not tell the server how the flow run stands
            if not results:
                raise ServerError(
                    f"the Prefect server at {url} does not answer any more ({error})"
                ) from error
            console.print(f"The dashboard does not show the end: {url} does not answer.", style="yellow")
            return results[0]
        finally:
            outlook.reset(tokens[0])
            on_result.reset(tokens[1])
    return results[0] if results else _refused(state)


def _refused(state: State[Any]) -> NoReturn:
    found = getattr(state.data, "result", state.data)
    if isinstance(found, BaseException):
        raise found
    raise ShoalError(f"the flow ended as {state.name}: {state.message}")
