"""`shoal serve`: what the dashboard's buttons do, pressed as it presses them, on a real server.

Invariants:

* Each run file that is served has a deployment that needs no typing; its schedule is of this machine's time zone, and
  is forgotten by the next `shoal serve` that does not want it. What was due while nobody served does not start.
* What a form's plain fields say wins over the run file, whatever its exit conditions are.
* Retry goes on with the run that its own flow run has begun, after a cancellation, a refusal and a kill, whatever has
  become of the run file. While another process holds the run, Retry is refused.
* Bad input is a Failed flow run whose message has every fault, and no traceback. A name that is taken is refused.
* Ctrl-C ends all of it, and saves what goes on.
* A flow run that a dead process has left behind is marked as Crashed, with its task runs; one that is about to go on
  is not. Where there is no server, nothing happens. There is one automation for missing heartbeats.
* After SIGTERM a run has patience for a while, after Ctrl-C for as long as it takes.
* The deployments of `prefect.yaml` name flows, parameters and run files that are there.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
import pytest
import yaml
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.schedules import CronSchedule
from prefect.states import Running, Scheduled
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from tzlocal import get_localzone_name

from flows.cli import shoal
from flows.lanes.interruption import DRAIN_S, Interruption
from flows.optimize import optimize
from flows.run_files.chosen import chosen
from flows.run_files.reading import read_settings
from flows.serve import (
    AUTOMATION,
    SLUG,
    Serving,
    _deployments,
    _forget_schedules,
    _give_up_late,
    _watch_heartbeats,
)
from flows.server.crashed import mark_crashed
from optim.errors import StoreError
from optim.space import Parameter
from optim.store import RunFolder, RunWriter, open_run, read_attributes
from tests.flows.samples import TWO_PARAMETERS

ROOT = Path(__file__).parents[2]
PATIENCE_S = 200.0

FIT = """\
import time


def loss(x):
    time.sleep(0.02)
    return float((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)
"""

RUN_FILE = f"""\
problem = "fit:loss"
seed = 3
parallel_optimizers = 2

{TWO_PARAMETERS}
[[optimizer]]
type = "CMAES"

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 150

[cluster]
workers = 1
"""


class Served:
    """A folder that `shoal serve` serves, and its dashboard's requests."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        (folder / "fit.py").write_text(FIT)
        (folder / "run.toml").write_text(RUN_FILE)
        self.api = httpx.Client(base_url=url, timeout=30)
        self.name = f"served {uuid4()}"
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("shoal"), "serve", "run.toml", "--name", self.name],
            cwd=folder,
            env={**os.environ, "PREFECT_API_URL": url},
            stdout=subprocess.PIPE,
            text=True,
        )
        while not (line := self.process.stdout.readline()).startswith("Ctrl-C"):
            assert line, "shoal serve has ended"

    def start(self, _deployment: str = "", **parameters: Any) -> str:
        name = _deployment or self.name
        deployment = self.post("/deployments/filter", deployments={"name": {"any_": [name]}})
        (own,) = (found["id"] for found in deployment if found["entrypoint"] == "flows.optimize.optimize")
        return str(self.post(f"/deployments/{own}/create_flow_run", parameters=parameters)["id"])

    def retry(self, flow_run: str) -> None:
        state = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
        answer = self.post(f"/flow_runs/{flow_run}/set_state", state=state, force=False)
        assert answer["status"] == "ACCEPT"

    def cancel(self, flow_run: str) -> None:
        state = {"type": "CANCELLING", "name": "Cancelling", "message": "Cancelled from the UI"}
        self.post(f"/flow_runs/{flow_run}/set_state", state=state, force=True)

    def wait(self, flow_run: str, state_type: str, attempt: int) -> str:
        """Wait until an attempt of a flow run is in a state; its message."""

        def reached() -> bool:
            (found,) = self.post("/flow_runs/filter", flow_runs={"id": {"any_": [flow_run]}})
            return bool(found["run_count"] == attempt and found["state"]["type"] == state_type)

        until(reached)
        return str(self.api.get(f"/flow_runs/{flow_run}").json()["state"]["message"])

    def evaluations(self, name: str) -> int:
        try:
            return open_run(RunFolder(self.folder / "runs" / name).store).evaluations().sizes["evaluation"]
        except StoreError:  # it is not there yet
            return 0

    def status(self, name: str) -> str:
        return str(read_attributes(RunFolder(self.folder / "runs" / name).store)["status"])

    def post(self, path: str, **body: Any) -> Any:
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            answers.append(self.api.post(path, json=body))
            return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE  # SQLite is locked now and then

        until(is_answered)
        return answers[-1].raise_for_status().json()


def until(holds: Callable[[], bool]) -> None:
    given_up_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < given_up_s
        time.sleep(0.1)


def flow_process(flow_run: str) -> psutil.Process | None:
    for process in psutil.process_iter():
        try:
            is_engine = "prefect.engine" in process.cmdline()
            if is_engine and process.environ().get("PREFECT__FLOW_RUN_ID") == flow_run:
                return process
        except psutil.Error:
            continue
    return None


@pytest.fixture(scope="module")
def served(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"), server)
    yield served
    served.process.terminate()  # the last test has ended it already, if it was run
    served.process.communicate(timeout=PATIENCE_S)
    served.api.close()


@pytest.mark.services
def test_retry_goes_on_after_a_cancellation_a_refusal_and_a_kill(served):
    flow_run = served.start(run_file="run.toml", name="one", overrides=["seed=5"])
    until(lambda: served.evaluations("one") > 5)
    served.cancel(flow_run)
    assert "run one is saved" in served.wait(flow_run, "CANCELLED", 1)
    # once the process has ended, Prefect's runner says so again, and would undo a retry that came before
    until(lambda: "cancelled successfully" in served.wait(flow_run, "CANCELLED", 1))
    assert served.status("one") == "paused"
    cancelled_at = served.evaluations("one")
    assert 5 < cancelled_at < 150

    with RunFolder(served.folder / "runs/one").lock():
        served.retry(flow_run)
        assert f"process {os.getpid()} on" in served.wait(flow_run, "FAILED", 2)

    served.retry(flow_run)
    until(lambda: served.evaluations("one") > cancelled_at)
    flow_process(flow_run).kill()
    served.wait(flow_run, "CRASHED", 3)
    assert served.status("one") == "running"

    (served.folder / "run.toml").rename(served.folder / "kept.toml")  # what counts is the store
    served.retry(flow_run)
    assert "150 evaluations of 150" in served.wait(flow_run, "COMPLETED", 4)
    (served.folder / "kept.toml").rename(served.folder / "run.toml")
    assert served.evaluations("one") == 150
    assert [path.name for path in (served.folder / "runs").iterdir()] == ["one"]


@pytest.mark.services
def test_bad_input_is_a_failed_flow_run_with_every_fault_and_without_a_traceback(served):
    flow_run = served.start(
        run_file="run.toml", overrides=["exit_condition.1.max=-3", "generator.type=Randum"]
    )
    message = served.wait(flow_run, "FAILED", 1)
    assert "2 faults" in message
    assert "did you mean 'Random'?" in message

    until(lambda: flow_process(flow_run) is None)  # it sends its log before it ends
    lines = served.post("/logs/filter", logs={"flow_run_id": {"any_": [flow_run]}})
    assert [line["message"] for line in lines if line["level"] >= logging.ERROR] == [message]


@pytest.mark.services
def test_quick_run_starts_a_run_file_and_plain_fields_change_it(served):
    quick = f"run.toml in {served.name}"
    whole = served.start(quick)
    short = served.start(quick, name="short", seed=11, workers=2, max_evaluations=30)
    assert "150 evaluations of 150" in served.wait(whole, "COMPLETED", 1)
    assert "30 evaluations of 30" in served.wait(short, "COMPLETED", 1)
    settings = read_attributes(RunFolder(served.folder / "runs/short").store)["settings"]
    assert (settings["seed"], settings["cluster"]["workers"]) == (11, 2)
    assert served.status("fit-1") == "finished"


@pytest.mark.services
def test_ctrl_c_ends_all_of_it_and_saves_what_goes_on(served):
    flow_run = served.start(run_file="run.toml", name="cut", overrides=["exit_condition.1.max=100000"])
    until(lambda: served.evaluations("cut") > 5)
    children = psutil.Process(served.process.pid).children(recursive=True)
    assert len(children) > 2
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(PATIENCE_S) == 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert served.status("cut") == "paused"
    served.wait(flow_run, "CANCELLED", 1)


@pytest.mark.slow
def test_a_name_that_is_taken_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fit.py").write_text(FIT)
    Path("run.toml").write_text(RUN_FILE.replace("workers = 1", f'address = "{cluster.scheduler_address}"'))
    Path("runs/taken").mkdir(parents=True)
    state = optimize(run_file="run.toml", name="taken", return_state=True)
    assert state.is_failed()
    assert "choose another name" in state.message


@pytest.fixture
def left_behind(server: str, tmp_path: Path) -> tuple[RunFolder, str]:
    """A run whose process is gone, and its flow run, which still says Running, as a task run of it does."""
    with get_client(sync_client=True) as client:
        flow_run = client.create_flow_run(optimize, state=Running())
    folder = RunFolder.create(tmp_path, b"", name="left")
    attributes = {"status": "running", "problem": "none", "seed": 1, "flow_run_id": str(flow_run.id)}
    with (
        folder.lock(),
        RunWriter.create(folder.store, [Parameter(name="a", initial=0.5, lower=0, upper=1)], attributes),
    ):
        pass
    return folder, str(flow_run.id)


def state_of(flow_run: str) -> str:
    with get_client(sync_client=True) as client:
        return str(client.read_flow_run(flow_run).state.type.value)


def test_a_flow_run_that_a_dead_process_has_left_behind_is_marked_as_crashed(left_behind):
    folder, flow_run = left_behind
    with folder.lock():
        mark_crashed([folder])
        assert state_of(flow_run) == "RUNNING"
    mark_crashed([folder])
    assert state_of(flow_run) == "CRASHED"


def test_a_process_that_died_when_its_run_was_saved_is_found_by_whoever_goes_on(left_behind):
    folder, flow_run = left_behind
    with folder.lock(), RunWriter.resume(folder.store) as writer:
        writer.set_attributes(status="paused")
    mark_crashed([folder])
    assert state_of(flow_run) == "RUNNING"
    mark_crashed([folder], also_if_saved=True)
    assert state_of(flow_run) == "CRASHED"


def test_a_flow_run_that_is_about_to_take_the_lock_is_left_alone(left_behind):
    folder, flow_run = left_behind
    os.utime(folder.path / "lock", (0, 0))  # taken long before the flow run began to run
    mark_crashed([folder])
    assert state_of(flow_run) == "RUNNING"


def test_a_server_that_does_not_know_the_flow_run_or_does_not_answer_is_no_error(left_behind, server):
    folder, flow_run = left_behind
    mark_crashed([folder], "http://127.0.0.1:9/api")
    assert state_of(flow_run) == "RUNNING"
    with get_client(sync_client=True) as client:
        client.delete_flow_run(flow_run)
    mark_crashed([folder], server)


def test_there_is_one_automation_for_missing_heartbeats_however_often_it_is_made(server):
    async def make_twice() -> list[Any]:
        await _watch_heartbeats()
        await _watch_heartbeats()
        async with get_client() as client:
            return list(await client.read_automations_by_name(AUTOMATION))

    (automation,) = asyncio.run(make_twice())
    assert automation.enabled


def test_a_schedule_lasts_as_long_as_it_is_wanted(server):
    serving = Serving(f"scheduled {uuid4()}", run_files=("a/fit.toml",), cron="0 2 * * *", if_exists="new")

    async def schedules_of(serving: Serving) -> list[Any]:
        await _forget_schedules(serving.name)
        deployment = (await _deployments(serving))[-1]
        assert deployment.name == f"fit.toml in {serving.name}"
        identity = await deployment.aapply()
        async with get_client() as client:
            found = await client.read_deployment(identity)
            assert found.parameters == serving.parameters["a/fit.toml"]
            if serving.cron:
                by_hand = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 3 * * *"), slug="by hand")
                await client.create_deployment_schedules(identity, [by_hand])
            return [(schedule.slug, schedule.schedule) for schedule in found.schedules]

    ((slug, schedule),) = asyncio.run(schedules_of(serving))
    assert (slug, schedule.cron, schedule.timezone) == (SLUG, "0 2 * * *", get_localzone_name())
    ((slug, _),) = asyncio.run(schedules_of(serving._replace(cron="")))
    assert slug == "by hand"


def test_what_was_due_while_nobody_served_does_not_start(server):
    serving = Serving(f"late {uuid4()}", run_files=("fit.toml",), every_s=1.0)

    async def serve_again() -> list[tuple[bool, str]]:
        identity = await (await _deployments(serving))[-1].aapply()
        due = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[identity]))
        async with get_client() as client:
            wanted = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(hours=1))
            asked = await client.create_flow_run_from_deployment(identity, state=wanted)
            late: list[UUID] = []
            while not late:  # the server makes flow runs of a new schedule within seconds
                runs = await client.read_flow_runs(flow_run_filter=due)
                now = datetime.now(UTC)
                late = [run.id for run in runs if run.auto_scheduled and run.expected_start_time < now]
                await asyncio.sleep(0.2)
            await _give_up_late([identity])
            found = [await client.read_flow_run(run) for run in (asked.id, *late)]
            await client.delete_deployment(identity)
            return [(run.auto_scheduled, run.state.type.value) for run in found]

    asked, *late = asyncio.run(serve_again())
    assert asked == (False, "SCHEDULED")
    assert set(late) == {(True, "CANCELLED")}


def test_what_is_called_like_its_file_is_so_where_that_matters():
    served = Serving("here", run_files=("my fit.toml",))
    assert served.parameters["my fit.toml"]["name"] == ""
    assert served._replace(if_exists="resume").parameters["my fit.toml"]["name"] == "my-fit"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cron", "0 2 * * *"], "with at least one run FILE"),
        (["run.toml", "--cron", "0 2 * *"], "as in '0 2 * * *'"),
        (["run.toml", "--every", "often"], "a time is written as"),
        (["run.toml", "other/run.toml"], "need different names"),
        (["run.toml"], "1 fault"),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(
        RUN_FILE.replace("seed = 3", "sede = 3" if len(words) == 1 else "seed = 3")
    )
    outcome = CliRunner().invoke(shoal, ["serve", *words])
    assert outcome.exit_code != 0
    assert message in f"{outcome.output} {outcome.exception}"


TWO = """exit_condition = [{ type = "TimeLimit", seconds = 9 }, { type = "MaxOptimizersStopped", max = 2 }]
exit_condition_boolean_combination = "1 & 2"
"""


@pytest.mark.parametrize(
    ("given", "overrides", "count", "combination"),
    [
        ("exit_conditions = [{ type = 'MaxTotalFunctionCalls', max = 9 }]", [], 1, None),
        ("", ["exit_condition.1={type='TimeLimit', seconds=9}"], 2, None),
        ("", [], 1, None),
        (TWO, [], 3, "(1 & 2) | 3"),
    ],
)
def test_the_budget_of_a_form_holds_whatever_the_run_file_says(
    given, overrides, count, combination, tmp_path
):
    (tmp_path / "run.toml").write_text(f"problem = 'fit:loss'\n{given}\n")
    texts = chosen(str(tmp_path / "run.toml"), overrides, max_evaluations=50)
    settings = read_settings(tmp_path / "run.toml", texts)[1]
    assert [condition.budget for condition in settings.exit_conditions][-1] == 50
    assert len(settings.exit_conditions) == count
    assert settings.exit_condition_boolean_combination == combination


def test_after_sigterm_patience_ends_and_after_ctrl_c_it_does_not():
    terminated, interrupted = Interruption(), Interruption()
    assert terminated.patience_s == math.inf
    terminated.request(signal.SIGTERM, None)
    interrupted.request(signal.SIGINT, None)
    assert 0 < terminated.patience_s <= DRAIN_S
    assert interrupted.patience_s == math.inf


def test_the_deployments_name_what_is_there():
    file = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())
    run_files = []
    for deployment in file["deployments"]:
        module, name = deployment["entrypoint"].rsplit(".", 1)
        flow = getattr(importlib.import_module(module), name)
        schema = parameter_schema(flow).model_dump()
        assert validate(deployment["parameters"], schema) == []
        run_files.append(deployment["parameters"]["run_file"])
        read_settings(ROOT / run_files[-1])
    examples = [str(path.relative_to(ROOT)) for path in (ROOT / "deployments/examples").glob("*.toml")]
    nightly, template = "deployments/examples/lj_argon_2.toml", "deployments/template/my_fit.toml"
    assert run_files == [*sorted(examples), nightly, template]


def test_the_template_runs(tmp_path):
    copy = shutil.copytree(ROOT / "deployments/template", tmp_path / "mine")
    command = [Path(sys.executable).with_name("shoal"), "run", copy / "my_fit.toml", "--local"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "300 evaluations" in done.stdout
