"""The process of `shoal serve`: a Prefect server, and the flows that its dashboard can start, retry and cancel.

Each flow run is a process of its own, a child of this one. On SIGTERM every one of them is cancelled, which saves it,
before this process ends. It does the same when its standard input ends, as it does with the command that started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.deployments.runner import RunnerDeployment
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, PREFECT_UI_URL, temporary_settings
from prefect.states import Cancelled
from prefect.types.entrypoint import EntrypointType
from tzlocal import get_localzone_name

from flows.environment import HEARTBEAT_S
from flows.optimize import optimize, resume
from flows.run.existing import IfExists
from flows.run.location import runs_location
from flows.server.crashed import mark_crashed
from flows.server.local_server import SERVER_SETTINGS, local_server, where_password_is
from optim.errors import ServerError, ShoalError
from optim.store import list_runs, run_name

POLL_S = 2.0
"""How soon a flow run starts that the dashboard asks for, or is cancelled if it must, seconds."""
SETTINGS = {**SERVER_SETTINGS, "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "true"}
"""Of the server: automations need triggers."""
RETRIES = 8
"""Of requests at the start; a busy SQLite database answers 503 now and then."""
EMPTY = {"run_file": "", "name": "", "walltime": "", "overrides": []}
"""With these, the form of the dashboard has fields to type into where it would have switches from None to text."""
SLUG = "shoal-serve"
"""Of the schedules that are made here, which the server tells from those that people make in the dashboard."""
STANDARD_INPUT = 0
AUTOMATION = "shoal: flow runs without a heartbeat have crashed"


def main(given: str) -> None:
    """Serve until SIGTERM.

    Args:
        given: A `Serving`, as JSON.
    """
    serving = Serving(**json.loads(given))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with local_server(port=serving.port, settings=SETTINGS, private=serving.private) as url:
        mark_crashed(list_runs(runs_location(None)), url)
        asyncio.run(
            _serve(serving, PREFECT_UI_URL.value() or url.removesuffix("/api"), where_password_is(url))
        )


async def _serve(serving: Serving, dashboard: str, password: Path | None) -> None:
    runner = _Runner(query_seconds=POLL_S, pause_on_shutdown=False)
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: RETRIES}):
            await _watch_heartbeats()
            await _forget_schedules(serving.name)
            served = [await runner.aadd_deployment(deployment) for deployment in await _deployments(serving)]
            await _give_up_late(served)
    except httpx.HTTPError as error:
        raise ServerError(
            f"the Prefect server at {dashboard} does not take the deployments: {error}"
        ) from error
    print(_welcome(serving, dashboard, password), flush=True)  # noqa: T201  for the person at the terminal
    await runner.start()


class Serving(NamedTuple):
    """What is served; it goes to the process that serves as JSON.

    Attributes:
        name: Of the deployments of the flows; those of run files are called `FILE in NAME`.
        port: Of a new Prefect server.
        private: The server must ask for a password.
        run_files: Each gets a deployment that starts it without any typing.
        cron: When these start by themselves, in this machine's time zone; empty: not so.
        every_s: So, too, every so many seconds; 0: not so.
        if_exists: What they do when their run exists.
        walltime: Of each of their runs; empty: none.
    """

    name: str
    port: int = 4200
    private: bool = False
    run_files: tuple[str, ...] = ()
    cron: str = ""
    every_s: float = 0.0
    if_exists: IfExists = "refuse"
    walltime: str = ""

    def deployment_of(self, run_file: str) -> str:
        """The name of the deployment of a run file."""
        return f"{Path(run_file).name} in {self.name}"

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Of the deployment of each run file; what goes on if it exists, or is counted, is called like the file."""
        is_named = self.if_exists != "refuse"
        return {
            run_file: {
                **EMPTY,
                "run_file": run_file,
                "name": run_name(Path(run_file).stem) if is_named else "",
                "if_exists": self.if_exists,
                "walltime": self.walltime,
            }
            for run_file in self.run_files
        }

    @property
    def schedule(self) -> Schedule | None:
        """When run files start by themselves."""
        if self.cron:
            return Cron(self.cron, timezone=get_localzone_name(), slug=SLUG)
        return Interval(timedelta(seconds=self.every_s), slug=SLUG) if self.every_s else None


class _Runner(Runner):
    """Prefect's own handler of SIGTERM waits in the event loop's thread for the loop."""

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Cancel every flow run, and end."""
        self.execute_in_background(self.astop)


async def _deployments(serving: Serving) -> Sequence[RunnerDeployment]:
    here = f"Run files are looked for in `{Path.cwd()}`; runs are kept in `{runs_location(None).resolve()}`."
    by_module = EntrypointType.MODULE_PATH  # found where shoal is installed, wherever this runs
    described = f"{optimize.description}\n\n{here}"
    # No concurrency limit: a flow run that has one is ended by Prefect when the server is away for a while.
    scheduled: dict[str, Any] = {"schedules": [serving.schedule]} if serving.schedule else {}
    return [
        await optimize.ato_deployment(
            serving.name, parameters=EMPTY, description=described, entrypoint_type=by_module
        ),
        await resume.ato_deployment(
            serving.name, description=f"{resume.description}\n\n{here}", entrypoint_type=by_module
        ),
        *[
            await optimize.ato_deployment(
                serving.deployment_of(run_file),
                parameters=parameters,
                description=f"Starts `{run_file}`.\n\n{described}",
                entrypoint_type=by_module,
                **scheduled,
            )
            for run_file, parameters in serving.parameters.items()
        ],
    ]


async def _forget_schedules(name: str) -> None:
    """Delete the schedules of an earlier `shoal serve`, which the server has kept."""
    async with get_client() as client:
        named = FlowFilterName(any_=[optimize.name])
        for deployment in await client.read_deployments(flow_filter=FlowFilter(name=named)):
            if deployment.name.endswith(f" in {name}"):
                for schedule in deployment.schedules:
                    if schedule.slug == SLUG:
                        await client.delete_deployment_schedule(deployment.id, schedule.id)


async def _give_up_late(deployments: list[UUID]) -> None:
    """Cancel what was due by a schedule while nobody served: else it would start now, all at once."""
    late = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=deployments),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
    async with get_client() as client:
        for flow_run in await client.read_flow_runs(flow_run_filter=late):
            if flow_run.auto_scheduled:
                state: State[Any] = Cancelled(message="Nobody served when it was due.")
                await client.set_flow_run_state(flow_run.id, state, force=True)


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


def _welcome(serving: Serving, dashboard: str, password: Path | None) -> str:
    lines = [f"Dashboard: {dashboard}"]
    if password:
        lines.append(f"Its password is all of what is in {password}")
    if serving.run_files:
        names = ", ".join(f"optimize > {serving.deployment_of(run_file)}" for run_file in serving.run_files)
        lines.append(f"To start a run file: Deployments, {names}, Run, Quick run.")
    if serving.cron:
        lines.append(f"By themselves they start at {serving.cron!r} ({get_localzone_name()}).")
    if serving.every_s:
        lines.append(f"By themselves they start every {serving.every_s:g} s.")
    lines += [
        f"To start any other run: Deployments, optimize > {serving.name}, Run, Custom run.",
        f"Run files are looked for in {Path.cwd()}, runs are kept in {runs_location(None).resolve()}.",
        "Ctrl-C ends all of it. Runs that go on are saved; Retry in the dashboard and `shoal resume` go on with them.",
    ]
    return "\n".join(lines)


def _end_with_parent() -> None:
    os.read(STANDARD_INPUT, 1)  # nothing is ever written: it returns when the other end is gone
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ShoalError as error:
        sys.exit(f"shoal: {error}")
