"""The main flow: a run, each of whose evaluations is a Prefect task run on Dask."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
from prefect import State, flow, get_run_logger, runtime
from prefect.client.orchestration import get_client
from prefect.exceptions import CancelledRun, FailedRun
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Completed, Failed

from flows.dashboard.events import RunEvents
from flows.dashboard.upkeep import Artifacts
from flows.durations import end_after
from flows.lanes.dask_lane import PULSE_S, DaskLane
from flows.lanes.interruption import Interruption, interruptible
from flows.reports.outlook import Outlook
from flows.run.existing import IfExists, location_in, run_to_resume
from flows.run.location import runs_location
from flows.run.opened import OpenRun, RunRequest, RunResult, opened_run
from flows.run.request import NO_FILE, described, request_for, request_to_resume
from flows.run_files.chosen import chosen
from flows.run_files.faults import Fault, InvalidSettingsError, Places, located
from flows.run_files.reading import RunFile, read_settings
from flows.server.crashed import mark_crashed
from flows.server.local_server import require_password
from flows.server.records import already_recorded, crash_the_silent, wait_until_recorded
from flows.settings import RunSettings
from flows.workers.cluster import dismiss, task_runner
from flows.workers.task_runner import SharedContextTaskRunner
from flows.workers.upload import packed
from flows.workers.user_code import UserCode
from flows.workers.watch import WorkerWatch
from optim.errors import RunLockedError, ShoalError, StoreError
from optim.store import RunFolder, list_runs, read_attributes
from tasks.evaluate import evaluate, evaluate_several, validate
from tasks.problem import describe
from tasks.user_code import run_in

RECORDS_S = 10.0
"""How long a run waits at its end for the server, which lags behind, when nothing new is recorded."""

outlook: ContextVar[Outlook | None] = ContextVar("outlook", default=None)
"""How the person who started the flow in this process follows it; None: only in the dashboard."""
on_result: ContextVar[Callable[[RunResult], None]] = ContextVar("on_result", default=lambda result: None)
"""Told what has come of the run, before the Prefect server is: that may have gone away meanwhile."""


@flow(name="optimize", persist_result=False)
def optimize(
    run_file: str | None = None,
    name: str | None = None,
    if_exists: IfExists = "refuse",
    seed: int | None = None,
    workers: int | None = None,
    max_evaluations: int | None = None,
    walltime: str | None = None,
    overrides: list[str] | None = None,
    settings: RunSettings | None = None,
    code_folder: str | None = None,
) -> State[RunResult]:
    """Run many optimizers on one problem, watched and managed.

    Args:
        run_file: Path of a run file (TOML, YAML or ParAMS blocks) on the machine that runs the flow; its folder is
            where user code is looked for besides installed packages. Empty: full settings are given below.
        name: Of the run; by default the problem's, with a number.
        if_exists: When there is a run of that name: refuse; or resume it by what its store says, and leave it as it is
            if it has finished; or start a new one, with a number behind the name.
        seed: Of all random numbers; by default the run file's.
        workers: How many local processes evaluate; by default the run file's.
        max_evaluations: How many evaluations the run may use; by default what the run file says.
        walltime: Save and end before so much time has passed, as 23h50m, to be resumed later.
        overrides: Any other settings that win over the run file, as `exit_condition.1.max=500`.
        settings: Full settings, in place of a run file and of what wins over it.
        code_folder: With settings: where user code is looked for besides installed packages.

    Returns:
        Completed with a `RunResult`; Failed; or Cancelled when a signal interrupted it. What a person can mend is in
        the message of a Failed state, and its data is the `ShoalError`: every fault of the settings, a name that is
        taken.
    """
    run_file = run_file or ""
    overrides = [text for text in overrides or [] if text.strip()]  # an item of the form may be left empty
    try:
        ends_at = end_after(walltime)
        if (begun := _begun_by_this_flow_run(run_file, settings, overrides)) is not None:
            return _carried_on(begun, ends_at=ends_at)
        if if_exists == "resume":
            location = _location(run_file, settings, overrides)
            if (known := run_to_resume(location, name)) is not None:
                return _carried_on(known, ends_at=ends_at)
        changes = chosen(run_file, overrides, seed=seed, workers=workers, max_evaluations=max_evaluations)
        file, found, run_file_folder = _settings(run_file, settings, changes)
        if found.private:
            require_password()
        with Artifacts() as artifacts, task_runner(found.cluster, found.private) as runner:
            runner.prepare(evaluate, evaluate_several, validate)
            with located(file.name, file.places):
                _bring_code(runner, found, run_file_folder or code_folder)
                request = _request(runner, found, file, name or None, run_file_folder or code_folder)
            request = request._replace(ends_at=ends_at, numbers_taken=if_exists == "new")
            return _concluded(_run_on(runner, request, artifacts))
    except ShoalError as error:
        return _refused(error)


@flow(name="resume", persist_result=False)
def resume(
    name: str, location: str | None = None, accept_divergence: bool = False, walltime: str | None = None
) -> State[RunResult]:
    """Go on with a run, however it was interrupted.

    Args:
        name: Of the run.
        location: Folder of all runs; by default `SHOAL_LOCATION`, or else `./runs`.
        accept_divergence: Let an optimizer that does something else here than before go on from its best.
        walltime: As for `optimize`.

    Returns:
        As `optimize`. A run that has finished is left as it is. Failed with a `ShoalError`, too, when there is no such
        run, when another process works on it, or when it would do something else here than it did before.
    """
    try:
        ends_at = end_after(walltime)
        return _carried_on(RunFolder.find(runs_location(location), name), accept_divergence, ends_at)
    except ShoalError as error:
        return _refused(error)


def _carried_on(
    folder: RunFolder, accept_divergence: bool = False, ends_at: float | None = None
) -> State[RunResult]:
    attributes, holder = read_attributes(folder.store), folder.holder()
    mark_crashed([folder], PREFECT_API_URL.value(), also_if_saved=True)
    if attributes["status"] == "finished":
        result = RunResult(folder.path, "finished", attributes["reason"], is_interrupted=False)
        on_result.get()(result)
        return Completed(message=f"Run {folder.name} has finished; nothing was changed.", data=result)
    if holder:
        raise RunLockedError(f"{folder.path} is being worked on by {holder}")
    request = request_to_resume(folder, str(runtime.flow_run.id), accept_divergence, ends_at)
    if request.settings.private:
        require_password()
    with Artifacts() as artifacts, task_runner(request.settings.cluster, request.settings.private) as runner:
        runner.prepare(evaluate, evaluate_several, validate)
        with located(f"run {folder.name}", Places()):
            _bring_code(runner, request.settings, request.code_folder)
        return _concluded(_run_on(runner, request, artifacts))


def _begun_by_this_flow_run(
    run_file: str, settings: RunSettings | None, overrides: list[str]
) -> RunFolder | None:
    """The run that an earlier attempt of this flow run has begun: Retry in the dashboard goes on with it."""
    if runtime.flow_run.run_count <= 1:
        return None
    for folder in list_runs(runs_location(_location(run_file, settings, overrides))):
        try:
            if str(runtime.flow_run.id) in read_attributes(folder.store).get("flow_run_ids", []):
                return folder
        except StoreError:  # damaged, or not ours
            continue
    return None


def _location(run_file: str, settings: RunSettings | None, overrides: list[str]) -> str | None:
    if run_file:
        return location_in(Path(run_file), overrides)
    return settings.store.location if settings else None


def _settings(
    run_file: str, settings: RunSettings | None, overrides: list[str]
) -> tuple[RunFile, RunSettings, str | None]:
    if bool(run_file) == (settings is not None):
        fault = Fault("", "", "give either a run file or settings")
        raise InvalidSettingsError("the parameters of the flow", [fault])
    if run_file:
        path = Path(run_file)
        file, found = read_settings(path, overrides)
        return file, found, str(path.resolve().parent)
    if settings is None or overrides:
        fault = Fault("", "", "overrides go with a run file; change the settings themselves")
        raise InvalidSettingsError("the parameters of the flow", [fault])
    return NO_FILE, settings, None


def _request(
    runner: SharedContextTaskRunner,
    settings: RunSettings,
    file: RunFile,
    name: str | None,
    code_folder: str | None,
) -> RunRequest:
    """A worker says what the problem is: the manager imports no user code."""
    description = described(settings, code_folder, lambda *problem: _described_by_worker(runner, *problem))
    return request_for(
        settings,
        description,
        file=file,
        name=name,
        code_folder=code_folder,
        flow_run_id=str(runtime.flow_run.id),
    )


def _bring_code(runner: SharedContextTaskRunner, settings: RunSettings, folder: str | None) -> None:
    """Send the workers what the settings name of the user's code; with the run they forget all of it."""
    archive = packed(settings.cluster.upload, folder) if settings.cluster.upload else None
    runner.admission.equip(runner.session, UserCode(runner.session, archive))


def _described_by_worker(runner: SharedContextTaskRunner, problem: str, folder: str | None) -> dict[str, Any]:
    """Wait for the description of a problem, and say what it is waited for; there is no log of the run yet."""
    client: Any = runner.client  # Dask's methods have no types
    future = client.submit(
        run_in, runner.session, describe, problem, folder, pure=False, resources=runner.admission.needs
    )
    watch = WorkerWatch(runner, _logger())
    while True:
        try:
            description: dict[str, Any] = future.result(timeout=PULSE_S)
        except TimeoutError:
            watch.look()
        else:
            return description


def _run_on(runner: SharedContextTaskRunner, request: RunRequest, artifacts: Artifacts) -> RunResult:
    events = RunEvents(request.problem_name)
    with interruptible() as interruption:
        with opened_run(request, "dask", outlook.get() or Outlook(), [_ToPrefect()], events.follow) as run:
            _name_flow_run(run.folder.name, request.problem_name)
            artifacts.follow(run, runtime.flow_run.id)
            lane = DaskLane(run, request.settings, request.code_folder, runner)
            recorded_before = already_recorded(runtime.flow_run.id) if runtime.flow_run.run_count > 1 else 0
            lane.drive(interruption)
            if given_up := run.session.in_flight:
                run.logger.warning("%d evaluations are given up; a resume sends them again", given_up)
        artifacts.conclude()
        dismiss(runner)
        _settle_records(run, recorded_before + lane.ended, interruption)
    result = run.result(interruption())
    events.end(result)
    return result


def _name_flow_run(name: str, problem: str) -> None:
    """Call the flow run like the run, and by its problem where the run's name does not say that."""
    if problem not in name:
        name = f"{name} ({problem})"
    try:
        with get_client(sync_client=True) as client:
            client.update_flow_run(runtime.flow_run.id, name=name)
    except httpx.HTTPError as error:
        get_run_logger().warning("The Prefect server does not know the name of the run: %s", error)


def _settle_records(run: OpenRun, ended: int, interruption: Interruption) -> None:
    """Leave the dashboard as complete as it gets."""
    patience_s = min(RECORDS_S, interruption.patience_s, run.session.patience_s)
    recorded = wait_until_recorded(runtime.flow_run.id, ended, patience_s)
    if recorded is None:
        _logger().warning(
            "The Prefect server does not answer: its dashboard may not show all of %d task runs; the store has all.",
            ended,
        )
    elif recorded < ended:
        _logger().warning(
            "The dashboard shows the end of %d of %d task runs; the store has all.", recorded, ended
        )
    if run.session.in_flight or (recorded is not None and recorded < ended):
        crash_the_silent(runtime.flow_run.id)


def _logger() -> logging.Logger:
    """Says what people should know while no run is open."""
    logger = logging.Logger("shoal")
    for handler in (*(outlook.get() or Outlook()).handlers, _ToPrefect()):
        logger.addHandler(handler)
    return logger


def _refused(error: ShoalError) -> State[RunResult]:
    """As a state: Prefect would write the traceback of an exception into the log."""
    get_run_logger().error("%s", error)
    return _told(Failed(message=str(error), data=error))


def _concluded(result: RunResult) -> State[RunResult]:
    on_result.get()(result)
    if result.is_interrupted:
        return _told(Cancelled(message=f"Interrupted; run {result.name} is saved."))
    if result.status == "failed":
        return _told(Failed(message=f"Run {result.name} failed: {result.reason}"))
    return Completed(message=f"Run {result.name}: {result.reason}", data=result)


def _told(state: State[RunResult]) -> State[RunResult]:
    """A state that says why the flow did not succeed; what Prefect's engine would add is a traceback of itself."""
    logging.getLogger("prefect.flow_runs").addFilter(_is_no_echo)
    return state


def _is_no_echo(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, ShoalError | CancelledRun | FailedRun)


class _ToPrefect(logging.Handler):
    """Passes the run's log on to the flow run's, which the dashboard shows."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._logger = get_run_logger()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one line on."""
        self._logger.log(record.levelno, "%s", record.getMessage())
