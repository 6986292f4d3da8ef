"""Starts a flow for a person at a terminal: with a Prefect server, and something to watch."""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType
from typing import Any, Literal, NoReturn

import httpx
from prefect import State
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_UI_URL
from rich.console import Console

from flows.reports.outlook import Outlook
from flows.run.opened import RunResult
from flows.server.local_server import local_server, where_password_is
from flows.settings import ClusterSettings
from optim.errors import ServerError, ShoalError


def run_as_flow(
    flow: Literal["optimize", "resume"],
    /,
    console: Console | None = None,
    seen: Outlook | None = None,
    cluster: ClusterSettings | None = None,
    private: bool = False,
    **parameters: Any,
) -> RunResult:
    """Run a flow, on the Prefect server that is configured or else on a local one.

    Args:
        flow: Which one.
        console: Where the dashboard is announced.
        seen: How the person follows the run.
        cluster: Settings of the cluster that the flow will have; None: nothing is started before it begins.
        private: Only on a server that asks for a password.
        parameters: Of the flow.

    Raises:
        ShoalError: What stopped the flow.
    """
    console = console or Console(quiet=True)
    console.print("Starting Prefect ...", style="dim")
    with (
        _sigterm_handled_as_before(),
        ExitStack() as workers,
        local_server(private=private, meanwhile=partial(_get_ready, workers, cluster, private)) as url,
    ):
        console.print(f"Dashboard: {PREFECT_UI_URL.value() or url.removesuffix('/api')}", soft_wrap=True)
        if path := where_password_is(url):
            console.print(f"Its password is all of what is in {path}", soft_wrap=True, highlight=False)
        return _run(_flows(), flow, url, console, seen or Outlook(), parameters)


def _flows() -> ModuleType:
    return importlib.import_module("flows.optimize")  # takes seconds


def _get_ready(workers: ExitStack, cluster: ClusterSettings | None, private: bool) -> None:
    """Load the flows, and start the local workers that they will want, until `workers` is closed."""
    _flows()
    if cluster:
        from flows.workers.cluster import started_ahead

        workers.enter_context(started_ahead(cluster, private))


def _run(
    flows: ModuleType, name: str, url: str, console: Console, seen: Outlook, parameters: dict[str, Any]
) -> RunResult:
    results: list[RunResult] = []

    def conclude(result: RunResult) -> None:
        results.append(result)
        _hear_no_sigterm()

    tokens = flows.outlook.set(seen), flows.on_result.set(conclude)
    try:
        state: State[Any] = getattr(flows, name)(**parameters, return_state=True)
    except (httpx.HTTPError, ObjectNotFound) as error:  # Prefect's engine cannot tell how the flow run stands
        if not results:
            raise ServerError(f"the Prefect server at {url} does not answer any more ({error})") from error
        why = "its flow run was deleted" if isinstance(error, ObjectNotFound) else f"{url} does not answer"
        console.print(f"The dashboard does not show the end: {why}.", style="yellow")
        return results[0]
    finally:
        flows.outlook.reset(tokens[0])
        flows.on_result.reset(tokens[1])
        if results:
            _hear_no_sigterm()  # Prefect's engine has put back what was before
    return results[0] if results else _refused(state)


@contextmanager
def _sigterm_handled_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _hear_no_sigterm() -> None:
    """The run is saved, and this process ends within seconds: with the exit code that says what the run has come to."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _refused(state: State[Any]) -> NoReturn:
    found = getattr(state.data, "result", state.data)
    if isinstance(found, BaseException):
        raise found
    raise ShoalError(f"the flow ended as {state.name}: {state.message}")
