"""The main flow: a run, each of whose evaluations is a Prefect task run on Dask."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger, runtime
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Completed, Failed

from flows.cluster import task_runner
from flows.dask_lane import DaskLane
from flows.interruption import interruptible
from flows.location import runs_location
from flows.reports.outlook import Outlook
from flows.request import NO_FILE, described, request_for, request_to_resume
from flows.run import OpenRun, RunRequest, RunResult, opened_run
from flows.run_files.faults import Fault, InvalidSettingsError, located
from flows.run_files.reading import RunFile, read_settings
from flows.server import wait_until_recorded
from flows.settings import RunSettings
from flows.task_runner import SharedContextTaskRunner
from optim.errors import RunLockedError, StoreError
from optim.store import RunFolder, list_runs, read_attributes
from tasks.evaluate import evaluate, validate
from tasks.problem import describe

outlook: ContextVar[Outlook | None] = ContextVar("outlook", default=None)
"""How the person who started the flow in this process follows it; None: only in the dashboard."""


@flow(name="optimize", persist_result=False)
def optimize(
    run_file: str | None = None,
    name: str | None = None,
    seed: int | None = None,
    overrides: list[str] | None = None,
    settings: RunSettings | None = None,
    code_folder: str | None = None,
) -> State[RunResult]:
    """Run many optimizers on one problem, watched and managed.

    Args:
        run_file: Path of a run file (TOML, YAML or ParAMS blocks) on the machine that runs the flow; its folder is
            where user code is looked for besides installed packages.
        name: Of the run; by default the problem's, with a number.
        seed: Of all random numbers; by default the run file's.
        overrides: Settings that win over the run file, as `exit_condition.1.max=500`.
        settings: Full settings, in place of a run file.
        code_folder: With settings: where user code is looked for besides installed packages.

    Returns:
        Completed, Failed, or Cancelled when a signal interrupted it; the data is a `RunResult`.

    Raises:
        InvalidSettingsError: With every fault of the settings.
        StoreError: The name is taken or not allowed, or the run cannot be written.
    """
    if (begun := _begun_by_this_flow_run(run_file, settings, overrides or [])) is not None:
        return _carried_on(begun)
    chosen = [*(overrides or []), *([] if seed is None else [f"seed={seed}"])]
    file, found, run_file_folder = _settings(run_file, settings, chosen)
    with task_runner(found.cluster) as runner:
        runner.prepare(evaluate, validate)
        with located(file.name, file.places):
            request = _request(runner, found, file, name, run_file_folder or code_folder)
        result = _run_on(runner, request)
    return _state(result)


@flow(name="resume", persist_result=False)
def resume(name: str, location: str | None = None) -> State[RunResult]:
    """Go on with a run, however it was interrupted.

    Args:
        name: Of the run.
        location: Folder of all runs; by default `SHOAL_LOCATION`, or else `./runs`.

    Returns:
        As `optimize`. A run that has finished is left as it is.

    Raises:
        RunNameError: There is no such run.
        RunLockedError: Another process works on it.
        DivergenceError: What computes here does something else than what the run recorded.
    """
    return _carried_on(RunFolder.find(runs_location(location), name))


def _carried_on(folder: RunFolder) -> State[RunResult]:
    attributes = read_attributes(folder.store)
    if attributes["status"] == "finished":
        result = RunResult(folder.path, "finished", attributes["reason"], is_interrupted=False)
        return Completed(message=f"Run {folder.name} has finished; nothing was changed.", data=result)
    if holder := folder.holder():
        raise RunLockedError(f"{folder.path} is being worked on by {holder}")
    request = request_to_resume(folder, str(runtime.flow_run.id))
    with task_runner(request.settings.cluster) as runner:
        runner.prepare(evaluate, validate)
        return _state(_run_on(runner, request))


def _begun_by_this_flow_run(
    run_file: str | None, settings: RunSettings | None, overrides: list[str]
) -> RunFolder | None:
    """The run that an earlier attempt of this flow run has begun: Retry in the dashboard goes on with it."""
    if runtime.flow_run.run_count <= 1:
        return None
    found = _settings(run_file, settings, overrides)[1]
    for folder in list_runs(runs_location(found.store.location)):
        try:
            if read_attributes(folder.store).get("flow_run_id") == str(runtime.flow_run.id):
                return folder
        except StoreError:  # begun by a process that died before its first commit, or not ours
            continue
    return None


def _settings(
    run_file: str | None, settings: RunSettings | None, overrides: list[str]
) -> tuple[RunFile, RunSettings, str | None]:
    if (run_file is None) == (settings is None):
        fault = Fault("", "", "give either a run file or settings")
        raise InvalidSettingsError("the parameters of the flow", [fault])
    if run_file is not None:
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
    client: Any = runner.client  # Dask's methods have no types
    description = described(
        settings, code_folder, lambda *problem: client.submit(describe, *problem, pure=False).result()
    )
    return request_for(
        settings,
        description,
        file=file,
        name=name,
        code_folder=code_folder,
        flow_run_id=str(runtime.flow_run.id),
    )


def _run_on(runner: SharedContextTaskRunner, request: RunRequest) -> RunResult:
    handler = _ToPrefect()
    with (
        interruptible() as interruption,
        opened_run(request, "dask", outlook.get() or Outlook(), [handler]) as run,
    ):
        _name_flow_run(run.folder.name)
        lane = DaskLane(run, request.settings, request.code_folder, runner)
        lane.drive(interruption)
        _wait_for_records(run, lane.sent)
    return run.result(interruption())


def _name_flow_run(name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(runtime.flow_run.id, name=name)


def _wait_for_records(run: OpenRun, sent: int) -> None:
    recorded = wait_until_recorded(runtime.flow_run.id, sent)
    if recorded < sent:
        run.logger.warning("The dashboard shows %d of %d evaluations; the store has all.", recorded, sent)


def _state(result: RunResult) -> State[RunResult]:
    if result.is_interrupted:
        return Cancelled(message=f"Interrupted; run {result.name} is saved.", data=result)
    if result.status == "failed":
        return Failed(message=f"Run {result.name} failed: {result.reason}", data=result)
    return Completed(message=f"Run {result.name}: {result.reason}", data=result)


class _ToPrefect(logging.Handler):
    """Passes the run's log on to the flow run's, which the dashboard shows."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._logger = get_run_logger()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one line on."""
        self._logger.log(record.levelno, "%s", record.getMessage())
