"""Local runs that evaluate in processes of their own (`evaluation.processes`, `shoal run --local --workers N`).

Invariants:

* So many losses run at once, each in its process; results are numbered as they come, without a gap.
* What a loss does to its process is its own outcome, and is tried again as in every other lane; the others go on.
* While losses run people are heard: a pause, Ctrl-C, SIGTERM and the walltime end the session, and what is in flight is
  recorded or given up.
* However a session ends, also by SIGKILL, its processes end with it; a resume has as many.
* The process of the run imports nothing of the problem.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from itertools import pairwise

import click
import psutil
import pytest
from click.testing import CliRunner

import shoal
from flows import launch
from flows.cli import shoal as command
from flows.lanes import interruption
from flows.lanes.local import run_in_process
from flows.reports.outlook import Outlook
from flows.run.inbox import leave_wish
from flows.run.opened import RunResult
from flows.run.request import request_for
from flows.run.steering import by_whom
from flows.settings import RunSettings
from optim.errors import ShoalError
from optim.journal import EventKind
from optim.steering import PauseRun
from optim.store import RunFolder

LOSS = """\
import os
import signal
import time
from pathlib import Path

HERE = Path(__file__).parent


def call():
    with (HERE / "calls").open("a") as file:
        file.write(f"{os.getpid()} ")


def callers():
    return set((HERE / "calls").read_text().split())


def wait_until(is_so):
    until_s = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > until_s:
            raise TimeoutError
        time.sleep(0.005)


def line(x):
    call()
    return float(x[0])


def meets_two_others(x):
    call()
    wait_until(lambda: len(callers()) >= 3)
    return float(x[0])


def waits(x):
    call()
    wait_until((HERE / "released").exists)
    return float(x[0])


def dies(x):
    waits(x)
    os._exit(3)


def misbehaves(x):
    call()
    if round(x[0]) == 1:
        os._exit(3)
    if round(x[0]) == 2:
        signal.pause()
    if round(x[0]) == 3:
        raise ValueError("no convergence")
    return float(x[0])
"""
RUN_FILE = """\
problem = "places:{loss}"
seed = 1

[[parameter]]
name = "place"
initial = 0.0
lower = 0.0
upper = 99.0

[[optimizer]]
type = "GridSampling"
points_per_axis = 100

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 60
"""
PATIENCE_S = 60.0


@pytest.fixture
def place(tmp_path, monkeypatch):
    before = _descendants()
    (tmp_path / "places.py").write_text(LOSS)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert "places" not in sys.modules
    assert _descendants() <= before


def request(place, loss, count=5, **evaluation):
    """A run that evaluates a loss at 0, 0, 1, ..., count - 1, all of which are asked for at once."""
    settings = RunSettings.model_validate(
        {
            "problem": f"places:{loss}",
            "seed": 1,
            "parallel_optimizers": 1,
            "baseline": False,
            "parameter": [{"name": "place", "initial": 0.0, "lower": 0.0, "upper": count - 1.0}],
            "generator": {"type": "SinglePoint"},
            "optimizer": [{"type": "GridSampling", "points_per_axis": count}],
            "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": count + 1}],
            "evaluation": {"processes": 2, **evaluation},
        }
    )
    description = {"name": "places", "parameters": [], "constraints": []}
    return request_for(settings, description, name="r", code_folder=str(place))


def run(*words, **more) -> RunResult:
    return run_in_process(request(*words, **more), Outlook())


def rows(place):
    return list(shoal.open_run(place / "runs" / "r").evaluation_rows())


def outcomes(place):
    return {round(float(row.x[0])): (row.outcome.label, row.attempts) for row in rows(place)}


def wait_until(is_so):
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def two_run(place):
    """Whether two losses have been called."""
    return (place / "calls").exists() and len((place / "calls").read_text().split()) == 2


def meanwhile(place, do):
    """Do something in another thread once two losses run; they wait until they are released."""

    def person():
        wait_until(lambda: two_run(place))
        do()

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def notice(monkeypatch):
    """Where the first signal is acknowledged."""
    there, here = os.pipe()
    monkeypatch.setattr(interruption, "STANDARD_ERROR", here)
    yield there
    os.close(there)
    os.close(here)


def test_as_many_losses_run_at_once_as_there_are_processes(place):
    assert run(place, "meets_two_others", 20, processes=3).status == "finished"
    found = rows(place)
    assert sorted(row.call for row in found) == [*range(1, 22)]
    assert sorted(round(float(row.x[0])) for row in found) == [0, *range(20)]
    assert [row.loss for row in found] == [row.x[0] for row in found]
    assert len({row.worker for row in found}) == 3
    assert not any(row.worker.endswith(f"/{os.getpid()}") for row in found)
    assert all(row.submitted_s <= row.started_s <= row.finished_s for row in found)


def test_no_more_are_in_flight_than_the_settings_allow(place):
    assert run(place, "line", 20, processes=3, max_in_flight=1).status == "finished"
    found = rows(place)
    assert all(one.finished_s <= other.submitted_s for one, other in pairwise(found))
    assert len({row.worker for row in found}) == 1


def test_what_a_loss_does_to_its_process_is_its_own_outcome(place):
    assert run(place, "misbehaves", timeout_s=0.5).status == "finished"
    assert outcomes(place) == {
        0: ("ok", 1),
        1: ("worker_lost", 1),
        2: ("timeout", 1),
        3: ("exception", 1),
        4: ("ok", 1),
    }
    events = shoal.open_run(place / "runs" / "r").event_rows()
    texts = [row.text for row in events if row.kind is EventKind.FAILURE]
    assert sorted(texts) == [
        "ValueError: no convergence",
        "the loss took more than 0.5 s",
        "the process of the loss ended with exit code 3",
    ]


def test_what_may_pass_the_second_time_is_tried_again(place):
    run(place, "misbehaves", timeout_s=0.5, retries=1)
    found = outcomes(place)
    assert [found[at] for at in range(4)] == [("ok", 1), ("worker_lost", 2), ("timeout", 2), ("exception", 1)]


def test_processes_that_cannot_be_started_are_lost(place, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    run(place, "line", retries=9)
    assert {(row.outcome.label, row.attempts) for row in rows(place)} == {("worker_lost", 3)}


def test_a_pause_is_heard_while_losses_run(place):
    folder = RunFolder(place / "runs" / "r")

    def pause():
        wish = leave_wish(folder, PauseRun(**by_whom()))
        wait_until(lambda: not wish.exists())
        (place / "released").touch()

    person = meanwhile(place, pause)
    result = run(place, "waits")
    person.join(PATIENCE_S)
    assert (result.status, result.reason[:9]) == ("paused", "paused by")
    assert len(rows(place)) == 2


@pytest.fixture
def interrupted(place, notice):
    """Ctrl-C once two losses run, which are released when it was heard."""

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        os.read(notice, 1)
        (place / "released").touch()

    meanwhile(place, interrupt)


@pytest.mark.usefixtures("interrupted")
def test_ctrl_c_records_what_is_in_flight_and_ends(place):
    result = run(place, "waits")
    assert (result.status, result.is_interrupted) == ("paused", True)
    assert [row.outcome.label for row in rows(place)] == ["ok", "ok"]


@pytest.mark.usefixtures("interrupted")
def test_after_ctrl_c_nothing_is_tried_again(place):
    result = run(place, "dies", retries=9)
    assert (result.status, result.is_interrupted) == ("paused", True)
    assert "is given up; a resume evaluates it again" in (place / "runs" / "r" / "log").read_text()
    assert two_run(place)
    assert rows(place) == []


def test_a_second_ctrl_c_ends_it_at_once(place, notice):
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        os.read(notice, 1)
        os.kill(os.getpid(), signal.SIGINT)

    meanwhile(place, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(place, "waits")
    assert shoal.open_run(place / "runs" / "r").attributes["status"] == "paused"
    assert rows(place) == []


def test_what_outlives_the_patience_after_sigterm_is_given_up(place, monkeypatch, notice):
    monkeypatch.setattr(interruption, "DRAIN_S", 0.1)
    meanwhile(place, lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = run(place, "waits")
    assert (result.status, result.is_interrupted) == ("paused", True)
    assert "is given up" in (place / "runs" / "r" / "log").read_text()
    assert rows(place) == []


def test_what_outlives_the_walltime_is_given_up(place):
    result = run_in_process(request(place, "waits")._replace(ends_at=time.time() + 1), Outlook())
    assert (result.status, result.reason[:10]) == ("paused", "walltime: ")
    assert rows(place) == []


def test_a_run_that_is_killed_takes_its_processes_along_and_goes_on_with_as_many(place):
    (place / "run.toml").write_text(RUN_FILE.format(loss="waits"))
    words = ["run", "run.toml", "--local", "--workers", "2", "--name", "r", "-q", "--set", "baseline=false"]
    with subprocess.Popen([sys.executable, "-c", "from flows.cli import main; main()", *words]) as process:
        wait_until(lambda: process.poll() is not None or two_run(place))
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert psutil.wait_procs(family, PATIENCE_S)[1] == []
    killed = {int(pid) for pid in (place / "calls").read_text().split()}
    assert killed <= {one.pid for one in family}
    (place / "released").touch()
    assert CliRunner().invoke(command, ["resume", "r", "-q"], standalone_mode=False).return_value == 0
    found = rows(place)
    assert sorted(row.call for row in found) == [*range(1, 61)]
    assert len({row.worker for row in found}) == 2
    assert Counter(row.outcome.label for row in found) == {"ok": 60}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--local", "--workers", "0"], "0 is not in the range x>=1"),
        (["--local", "--workers", "two"], "'two' is not a valid integer"),
        (
            ["--local", "--workers", "2", "--set", "evaluation.processes=3"],
            "--workers 2 is evaluation.processes=2, and --set evaluation.processes=3 was given, too",
        ),
        (["--workers", "2", "--set", "cluster.workers = 3"], "--workers 2 is cluster.workers=2, and --set"),
        (["--local", "--set", "evaluation.processes=0"], "evaluation.processes"),
        (["--workers", "2", "--set", "cluster.address='tcp://a:1'"], "leave out workers"),
    ],
)
def test_what_is_no_number_of_processes_is_refused(place, words, message):
    (place / "run.toml").write_text(RUN_FILE.format(loss="line"))
    error = CliRunner().invoke(command, ["run", "run.toml", *words], standalone_mode=False).exception
    assert isinstance(error, (click.UsageError, ShoalError))
    assert message in str(error)
    assert not (place / "runs").exists()


def test_as_a_flow_workers_are_those_of_dask(place, monkeypatch):
    (place / "run.toml").write_text(RUN_FILE.format(loss="line"))
    seen = []

    def run_as_flow(*_, overrides, **__):
        seen.extend(overrides)
        raise ShoalError("not today")

    monkeypatch.setattr(launch, "run_as_flow", run_as_flow)
    with suppress(ShoalError):
        CliRunner().invoke(command, ["run", "run.toml", "--workers", "3"], standalone_mode=False)
    assert seen == ["cluster.workers=3"]


def test_a_problem_that_has_no_name_cannot_be_sent_to_processes():
    problem = shoal.Problem(lambda x: 1.0, [shoal.Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)])
    with pytest.raises(ShoalError, match=r"evaluation\.processes, is imported by name"):
        shoal.run(problem, evaluation={"processes": 2})


def _descendants():
    """Processes that were started from here, but for the one that multiprocessing keeps."""
    found = psutil.Process().children(recursive=True)
    return {process for process in found if "resource_tracker" not in " ".join(_command_line(process))}


def _command_line(process):
    with suppress(psutil.Error):
        return process.cmdline()
    return []
