"""Workers that somebody else starts, somewhere else, at some time.

Invariants:

* What a run file uploads reaches every worker, late ones too, and is imported from nowhere else; the next run may bring
  another module of the same name. Only what lies in the run file's folder can be sent.
* A worker of another version, late or not, is given nothing, evaluates nothing and fails nothing; the run says what
  differs, waits for one that fits, and goes on with it.
* A run that begins with one worker uses a second one that comes in the middle.
* What would not come back in time is not sent to a worker that closes before.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed import Client, LocalCluster

from flows.lanes import dask_lane
from flows.launch import run_as_flow
from flows.reports.outlook import Outlook
from flows.run.request import request_of
from flows.run_files.faults import InvalidSettingsError
from flows.settings import RunSettings
from flows.workers import admission
from flows.workers import watch as worker_watch
from flows.workers.admission import _difference
from flows.workers.cluster import local_cluster
from flows.workers.task_runner import SharedContextTaskRunner
from flows.workers.upload import MOST_BYTES, packed
from flows.workers.user_code import UserCode
from optim.store import open_run
from optim.strategy import ContradictionsError
from tasks.child import Isolation
from tasks.evaluate import evaluate, take_evaluation

ROOT = Path(__file__).parents[3]
FIT = """
from far_package.number import NUMBER

def loss(x):
    assert "shoal-upload-" in __file__
    return NUMBER
"""
MEET = """
import os, time
from pathlib import Path

def loss(x):
    folder = Path({folder!r})
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while x[0] != 0.5 and len(os.listdir(folder)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return float(x[0] ** 2)
"""
PLAIN = "def loss(x):\n    return float(x[0] ** 2)\n"


@pytest.fixture
def scheduler(server: str) -> Iterator[LocalCluster]:
    """A scheduler without workers, which gives nothing up."""
    with local_cluster(n_workers=0) as cluster:
        yield cluster


@pytest.fixture
def start_worker(scheduler: LocalCluster, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a worker as people do, in a folder of its own; gives its address once the scheduler knows it."""
    processes = []

    def start(*arguments: str, path: Path | None = None) -> str:
        folder = tmp_path / f"worker-{len(processes)}"
        folder.mkdir()
        before = set(scheduler.scheduler.workers)
        command = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler.scheduler_address]
        options = ["--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--local-directory", str(folder)]
        search = os.pathsep.join([*([str(path)] if path else []), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": search, "PYTHONSAFEPATH": "1"}
        with (folder / "log").open("wb") as log:
            whole = [*command, *options, *arguments]
            processes.append(subprocess.Popen(whole, cwd=folder, env=environment, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while not (new := set(scheduler.scheduler.workers) - before):
            assert processes[-1].poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        return str(new.pop())

    yield start
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture
def other_version(tmp_path: Path) -> Path:
    """A folder that makes a worker believe that it has another shoal."""
    folder = tmp_path / "site"
    (folder / "shoal-9.9.9.dist-info").mkdir(parents=True)
    (folder / "shoal-9.9.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: shoal\nVersion: 9.9.9\n"
    )
    return folder


@contextmanager
def running(cluster: LocalCluster) -> Iterator[SharedContextTaskRunner]:
    with SharedContextTaskRunner(address=cluster.scheduler_address) as runner:
        runner.prepare(evaluate)
        yield runner


def evaluated(runner: SharedContextTaskRunner, problem: str, **more: Any) -> Any:
    call = {"problem": problem, "folder": "/not/there", "optimizer": 1, "call": 1, "x": [0.5]}
    return runner.submit(evaluate, call | more)


def code(folder: Path, number: float) -> Path:
    (folder / "far_package").mkdir(parents=True)
    (folder / "far_package" / "__init__.py").touch()
    (folder / "far_package" / "number.py").write_text(f"NUMBER = {number}\n")
    (folder / "far_fit.py").write_text(FIT)
    return folder


@pytest.mark.services
def test_uploaded_code_reaches_a_worker_that_does_not_see_its_folder(scheduler, start_worker, tmp_path):
    start_worker()
    for number in (7.0, 8.0):  # the second run has another module of the same name
        folder = code(tmp_path / f"code-{number}", number)
        archive = packed(["far_fit.py", "far_package/"], str(folder))
        shutil.rmtree(folder)
        with running(scheduler) as runner:
            runner.admission.equip("upload", UserCode(runner.session, archive))
            if number == 8.0:
                late = start_worker()
                while late not in runner.admission.workers:
                    time.sleep(0.02)
            futures = [evaluated(runner, "far_fit:loss", call=call) for call in range(4)]
            futures.append(evaluated(runner, "far_fit:loss", isolation=Isolation()))
            found = [take_evaluation(future) for future in futures]
            assert [one.loss for one in found] == [number] * 5, found
        assert "far_fit" not in sys.modules
    assert "far_fit" not in sys.modules
    with Client(scheduler, set_as_default=False) as client:
        left = client.run(lambda dask_worker: os.listdir(dask_worker.local_directory))
    assert not [name for names in left.values() for name in names if name.startswith("shoal-upload-")]


@pytest.mark.services
def test_a_worker_that_does_not_answer_holds_nobody_up_and_is_used_once_it_does(
    scheduler, start_worker, tmp_path, monkeypatch
):
    monkeypatch.setattr(admission, "ANSWERS_WITHIN_S", 0.5)
    (tmp_path / "plain_fit.py").write_text(PLAIN)

    def evaluate_some(runner):
        futures = [evaluated(runner, "plain_fit:loss", call=call, folder=str(tmp_path)) for call in range(4)]
        return [take_evaluation(future).loss for future in futures]

    silent, other = start_worker(), start_worker()
    pid = scheduler.scheduler.workers[silent].pid
    os.kill(pid, signal.SIGSTOP)
    with running(scheduler) as runner:
        while not runner.admission.workers:
            time.sleep(0.02)
        assert runner.admission.workers == {other}
        assert evaluate_some(runner) == [0.25] * 4
        os.kill(pid, signal.SIGCONT)
        while runner.admission.workers != {silent, other}:
            time.sleep(0.02)
        os.kill(pid, signal.SIGSTOP)
        runner.admission.equip("late", UserCode("late", None))
        assert runner.admission.workers == {other}
        late = start_worker()
        while runner.admission.workers != {other, late}:
            time.sleep(0.02)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.services
@pytest.mark.parametrize("isolation", [None, Isolation()], ids=["in the worker", "isolated"])
def test_a_worker_that_goes_on_evaluates_what_each_run_has_in_its_folder(
    scheduler, start_worker, tmp_path, isolation
):
    start_worker()
    for name, number in (("one", 7.0), ("another", 8.0), ("one", 9.75)):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "near_fit.py").write_text(f"def loss(x):\n    return {number}\n")
        call = {
            "problem": "near_fit:loss",
            "folder": str(tmp_path / name),
            "isolation": isolation,
        }
        with running(scheduler) as runner:
            runner.admission.equip(runner.session, UserCode(runner.session, None))
            future = runner.submit(evaluate, call | {"optimizer": 1, "call": 1, "x": [0.5]})
            assert take_evaluation(future).loss == number


def test_only_what_lies_in_the_folder_of_the_run_file_is_uploaded(tmp_path):
    folder = code(tmp_path / "code", 1.0)
    (tmp_path / "secret.py").touch()
    (folder / "link.py").symlink_to(tmp_path / "secret.py")
    (folder / "linked").mkdir()
    (folder / "linked" / "deep.py").symlink_to("/etc/hostname")
    with (folder / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for name, message in (
        ("../secret.py", "must be below the folder"),
        (str(folder / "far_fit.py"), "must be below the folder"),
        ("far_package/../../secret.py", "must be below the folder"),
        ("link.py", "must be below the folder"),
        ("linked", "leads out of"),
        ("nothing.py", "there is no 'nothing.py'"),
        ("large", "more than 64 MiB"),
    ):
        with pytest.raises(ContradictionsError) as error:
            packed(["far_fit.py", name], str(folder))
        (fault,) = error.value.contradictions
        assert fault.path == ("cluster", "upload", 1)
        assert message in fault.message
    with pytest.raises(ContradictionsError, match="there is no folder"):
        packed(["far_fit.py"], None)


def test_a_run_file_that_uploads_what_is_not_there_is_refused_with_its_line(tmp_path):
    settings = run_settings({"upload": ["near_fit.py"]}, "near_fit:loss", tmp_path)
    (tmp_path / "near.yaml").write_text(
        yaml.safe_dump(settings.model_dump(mode="json", exclude_defaults=True))
    )
    with pytest.raises(InvalidSettingsError, match=r"line \d+.*upload.*there is no 'near_fit\.py'"):
        request_of(tmp_path / "near.yaml", in_this_process=False)


def test_a_worker_of_another_version_gets_nothing_and_the_tasks_wait_for_one_that_fits(
    scheduler, start_worker, other_version, tmp_path
):
    (tmp_path / "plain_fit.py").write_text(PLAIN)
    misfits = {start_worker(path=other_version)}
    with running(scheduler) as runner:
        futures = [evaluated(runner, "plain_fit:loss", call=call, folder=str(tmp_path)) for call in range(4)]
        misfits.add(start_worker(path=other_version))
        told: list[str] = []
        while len(told) < 2:
            told += runner.admission.news()
            time.sleep(0.02)
        assert all(f"The worker {one} is left out: shoal is 9.9.9 there" in "".join(told) for one in misfits)
        assert not runner.admission.workers
        assert not any(future.wrapped_future.done() for future in futures)
        fitting = start_worker()
        assert [take_evaluation(future).loss for future in futures] == [0.25] * 4
        assert runner.admission.workers == {fitting}
        with Client(scheduler, set_as_default=False) as client:
            have = client.run(
                lambda dask_worker: [*dask_worker.plugins, *dask_worker.state.available_resources]
            )
        for address in misfits:
            assert not [name for name in have[address] if name.startswith(("prefect", "shoal"))]
        assert have[fitting]


def test_what_differs_is_said_in_words():
    here = {"shoal": "0.1.0", "python": "3.11.4.final.0", "numpy": "2.4.0"}
    assert _difference(here, {**here, "python": "3.11.9.final.0"}) == ""
    assert _difference(here, {**here, "shoal": None}) == "shoal is not installed there"
    assert _difference(here, {**here, "python": "3.12.1.final.0", "numpy": None}) == (
        "python is 3.12 there, and 3.11 here; numpy is missing there, and 2.4.0 here; install the same versions"
    )


@pytest.mark.services
def test_a_worker_that_will_close_soon_rests_and_the_others_do_the_work(scheduler, start_worker, tmp_path):
    (tmp_path / "plain_fit.py").write_text(PLAIN)
    mortal = start_worker("--lifetime", "1 hour")
    with running(scheduler) as runner:
        assert runner.admission.workers == {mortal}
        runner.admission.rest_those_that_end_within(7200)
        assert (runner.admission.workers, runner.admission.resting) == (frozenset(), {mortal})
        futures = [evaluated(runner, "plain_fit:loss", call=call, folder=str(tmp_path)) for call in range(4)]
        immortal = start_worker()
        assert [take_evaluation(future).loss for future in futures] == [0.25] * 4
        runner.admission.rest_those_that_end_within(7200)
        assert runner.admission.workers == {immortal}
        runner.admission.rest_those_that_end_within(1)
        assert runner.admission.workers == {mortal, immortal}


def run_settings(cluster: dict[str, Any], problem: str, folder: Path) -> RunSettings:
    return RunSettings.model_validate(
        {
            "problem": problem,
            "parameter": [{"name": "a", "initial": 0.5, "lower": -1.0, "upper": 1.0}],
            "parallel_optimizers": 2,
            "generator": {"type": "Random"},
            "optimizer": [{"type": "Scipy"}],
            "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": 6}],
            "cluster": cluster,
            "store": {"location": str(folder / "runs")},
        }
    )


class Lines(logging.Handler):
    """Keeps what a run says, and does something when it says a certain thing."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.on: dict[str, Callable[[], object]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        for words in [words for words in self.on if words in self.lines[-1]]:
            threading.Thread(target=self.on.pop(words)).start()


def seen_by(lines: Lines) -> Outlook:
    outlook = Outlook()
    outlook.handlers.append(lines)
    return outlook


@pytest.mark.services
def test_a_run_waits_for_a_worker_that_fits_and_uses_one_that_comes_in_the_middle(
    scheduler, start_worker, other_version, tmp_path
):
    (tmp_path / "meeting").mkdir()
    (tmp_path / "meet_fit.py").write_text(MEET.format(folder=str(tmp_path / "meeting")))
    start_worker(path=other_version)
    lines = Lines()
    lines.on["the run waits for one"] = start_worker
    lines.on["Run "] = start_worker
    cluster = {"address": scheduler.scheduler_address, "upload": ["meet_fit.py"]}
    settings = run_settings(cluster, "meet_fit:loss", tmp_path)
    result = run_as_flow("optimize", seen=seen_by(lines), settings=settings, code_folder=str(tmp_path))
    assert result.status == "finished", lines.lines
    assert any("shoal is 9.9.9 there" in line for line in lines.lines)
    evaluations = open_run(result.path / "run.zarr").evaluations()
    assert evaluations["outcome"].values.tolist() == [0] * 6
    assert len(set(evaluations["worker"].values.tolist())) == 2


@pytest.mark.services
def test_a_run_sends_nothing_to_a_worker_that_closes_before_it_comes_back(
    scheduler, start_worker, tmp_path, monkeypatch
):
    (tmp_path / "plain_fit.py").write_text(PLAIN)
    start_worker("--lifetime", "1 hour")
    monkeypatch.setattr(dask_lane, "PER_THREAD", 10**12)  # so that every evaluation seems to take hours
    monkeypatch.setattr(worker_watch, "RECOUNT_EVERY_S", 0.0)
    lines = Lines()
    lines.on["evaluations may take"] = start_worker
    settings = run_settings({"address": scheduler.scheduler_address}, "plain_fit:loss", tmp_path)
    settings = settings.model_copy(
        update={"evaluation": settings.evaluation.model_copy(update={"max_in_flight": 1})}
    )
    result = run_as_flow("optimize", seen=seen_by(lines), settings=settings, code_folder=str(tmp_path))
    assert result.status == "finished", lines.lines
    workers = open_run(result.path / "run.zarr").evaluations()["worker"].values.tolist()
    assert workers == [0, 1, 1, 1, 1, 1]
