"""The process of `shoal serve`: a Prefect server, and the flows that its dashboard can start, retry and cancel.

Each flow run is a process of its own, a child of this one. On SIGTERM every one of them is cancelled, which saves it,
before this process ends. It does the same when its standard input ends, as it does with the command that started it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.deployments.runner import RunnerDeployment
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.runner import Runner
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, PREFECT_UI_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType

from flows.crashed import mark_crashed
from flows.environment import HEARTBEAT_S
from flows.location import runs_location
from flows.optimize import optimize, resume
from flows.server import SERVER_SETTINGS, local_server, where_password_is
from optim.errors import ServerError, ShoalError
from optim.store import list_runs

POLL_S = 2.0
"""How soon a flow run starts that the dashboard asks for, or is cancelled if it must, seconds."""
SETTINGS = {**SERVER_SETTINGS, "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "true"}
"""Of the server: automations need triggers."""
RETRIES = 8
"""Of requests at the start; a busy SQLite database answers 503 now and then."""
EMPTY = {"run_file": "", "name": "", "overrides": []}
"""With these, the form of the dashboard has fields to type into where it would have switches from None to text."""
STANDARD_INPUT = 0
AUTOMATION = "shoal: flow runs without a heartbeat have crashed"


def main(name: str, port: str, private: str = "") -> None:
    """Serve until SIGTERM.

    Args:
        name: Of the deployments.
        port: Of a new Prefect server.
        private: Not empty: the server must ask for a password.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with local_server(port=int(port), settings=SETTINGS, private=bool(private)) as url:
        mark_crashed(list_runs(runs_location(None)), url)
        asyncio.run(_serve(name, PREFECT_UI_URL.value() or url.removesuffix("/api"), where_password_is(url)))


async def _serve(name: str, dashboard: str, password: Path | None) -> None:
    runner = _Runner(query_seconds=POLL_S, pause_on_shutdown=False)
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: RETRIES}):
            await _watch_heartbeats()
            for deployment in await _deployments(name):
                await runner.aadd_deployment(deployment)
    except httpx.HTTPError as error:
        raise ServerError(
            f"the Prefect server at {dashboard} does not take the deployments: {error}"
        ) from error
    print(_welcome(name, dashboard, password), flush=True)  # noqa: T201  for the person at the terminal
    await runner.start()


class _Runner(Runner):
    """Prefect's own handler of SIGTERM waits in the event loop's thread for the loop."""

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Cancel every flow run, and end."""
        self.execute_in_background(self.astop)


async def _deployments(name: str) -> Sequence[RunnerDeployment]:
    here = f"Run files are looked for in `{Path.cwd()}`; runs are kept in `{runs_location(None).resolve()}`."
    return [
        await flow.ato_deployment(
            name,
            parameters=EMPTY if flow is optimize else {},
            description=f"{flow.description}\n\n{here}",
            entrypoint_type=EntrypointType.MODULE_PATH,  # found where shoal is installed, wherever this runs
        )
        for flow in (optimize, resume)
    ]


async def _watch_heartbeats() -> None:
    """Have the server set flow runs to Crashed whose heartbeats end, if nobody has told it to yet."""
    heartbeat = "prefect.flow-run.heartbeat"
    ends = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}
    automation = AutomationCore(
        name=AUTOMATION,
        description="Made by `shoal serve`.",
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat, *ends},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={
                "prefect.resource.role": "flow",
                "prefect.resource.name": [optimize.name, resume.name],
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=3 * HEARTBEAT_S),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat for a while.")],
    )
    async with get_client() as client:
        if known := await client.read_automations_by_name(AUTOMATION):
            await client.update_automation(known[0].id, automation)
        else:
            await client.create_automation(automation)


def _welcome(name: str, dashboard: str, password: Path | None) -> str:
    locked = f"\nIts password is all of what is in {password}" if password else ""
    return f"""\
Dashboard: {dashboard}{locked}
To start a run: Deployments, optimize > {name}, Run, Custom run.
Run files are looked for in {Path.cwd()}, runs are kept in {runs_location(None).resolve()}.
Ctrl-C ends all of it. Runs that go on are saved; Retry in the dashboard and `shoal resume` go on with them."""


def _end_with_parent() -> None:
    os.read(STANDARD_INPUT, 1)  # nothing is ever written: it returns when the other end is gone
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ShoalError as error:
        sys.exit(f"shoal: {error}")
