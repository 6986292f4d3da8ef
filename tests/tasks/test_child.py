"""A loss in a process of its own.

Invariants:

* The process is kept from one evaluation to the next, and replaced when it is gone, also while it had nothing to do.
* What hangs is killed after its time, which counts from the call of the loss, with the programs that it has started.
* A loss that has used up its memory leaves the next one with all of it.
* When whoever wants the evaluations is gone, however it went, so are the process and its programs, whatever they do.
* What a loss raised comes back as text, whether or not it can be pickled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from optim.errors import ProblemError
from optim.outcome import Outcome
from tasks.child import Child, Isolation, ToldInChild, describe_in_child, evaluate_in_child
from tasks.evaluation import Evaluation

HERE = str(Path(__file__).parent)
PATIENCE_S = 60.0

SLOW_MODULE = """
import time
time.sleep(1)

def loss(x):
    return 2.0
"""
PARENT = """
import sys
from tasks.child import Child, Isolation
Child(Isolation()).evaluate(f"misbehaving:{sys.argv[1]}", sys.argv[2], [1.0])
"""


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """In the environment of every process that a test starts, and of no other."""
    monkeypatch.setenv("TEST_MARK", str(tmp_path))
    return str(tmp_path)


@pytest.fixture
def child() -> Iterator[Child]:
    with Child(Isolation(timeout_s=0.5)) as child:
        yield child


def evaluated(child: Child, loss: str) -> Evaluation:
    return child.evaluate(f"misbehaving:{loss}", HERE, [3.0])[0]


def test_one_process_evaluates_one_point_after_the_other(child):
    before_s = time.time()
    first, second = evaluated(child, "behaves"), evaluated(child, "behaves")
    assert (first.outcome, first.loss, first.text) == (Outcome.OK, 9.0, "")
    assert first.worker == second.worker
    assert not first.worker.endswith(f"/{os.getpid()}")
    assert before_s <= first.started_s <= first.finished_s <= second.started_s <= second.finished_s


@pytest.mark.parametrize("loss", ["hangs_in_c", "hangs_in_a_program"])
def test_what_hangs_is_killed_with_what_it_has_started(mark, child, loss):
    evaluation = evaluated(child, loss)
    assert (evaluation.outcome, evaluation.text) == (Outcome.TIMEOUT, "the loss took more than 0.5 s")
    assert evaluation.finished_s - evaluation.started_s >= 0.5
    assert _marked(mark) == []
    assert evaluated(child, "behaves").loss == 9.0
    assert len(_marked(mark)) == 2  # the guard and the process


def test_the_time_counts_from_the_call_of_the_loss(child, tmp_path):
    (tmp_path / "slow_to_import.py").write_text(SLOW_MODULE)
    evaluation, _ = child.evaluate("slow_to_import:loss", str(tmp_path), [1.0])
    assert (evaluation.outcome, evaluation.loss) == (Outcome.OK, 2.0)


def test_without_a_timeout_a_process_that_ends_well_is_still_noticed():
    with Child(Isolation()) as child:
        evaluation = evaluated(child, "ends_as_if_well")
    assert evaluation.outcome is Outcome.WORKER_LOST
    assert evaluation.text == "the process of the loss ended with exit code 0"


def test_a_process_that_died_with_nothing_to_do_is_replaced(child):
    first = evaluated(child, "behaves")
    os.kill(_pid(first), signal.SIGKILL)
    psutil.wait_procs([process for process in psutil.Process().children() if process.pid == _pid(first)], 10)
    second = evaluated(child, "behaves")
    assert second.loss == 9.0
    assert second.worker != first.worker


@pytest.mark.skipif(sys.platform != "linux", reason="macOS does not hold anybody to this limit")
@pytest.mark.parametrize("loss", ["leaks", "leaks_in_crumbs"])
def test_memory_that_runs_out_is_an_exception_and_none_of_it_is_kept(loss):
    with Child(Isolation(memory_limit=400_000_000)) as child:
        spent = evaluated(child, loss)
        after = evaluated(child, "behaves")
    assert spent.outcome is Outcome.EXCEPTION
    assert "MemoryError" in spent.text
    assert after.loss == 9.0
    assert after.worker != spent.worker


def test_a_fork_that_returns_is_no_second_evaluation(child):
    assert evaluated(child, "forks").loss == 1.0
    assert [evaluated(child, "behaves").loss for _ in range(3)] == [9.0] * 3


def test_what_was_raised_comes_back_as_text(child):
    evaluation, told = child.evaluate("misbehaving:raises_unspeakably", HERE, [1.0])
    assert evaluation.text == "SpeechlessError"
    assert isinstance(told, ToldInChild)
    assert "in raises_unspeakably" in str(told)
    missing, _ = child.evaluate("misbehaving:no_such", HERE, [1.0])
    assert missing.outcome is Outcome.EXCEPTION
    assert "has no attribute 'no_such'" in missing.text


def test_a_process_that_cannot_be_started_is_lost(child, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    evaluation = evaluated(child, "behaves")
    assert evaluation.outcome is Outcome.WORKER_LOST
    assert "no process for the loss can be started: " in evaluation.text


def test_each_thread_keeps_its_own_and_another_isolation_another():
    one, other = Isolation(), Isolation(timeout_s=60)
    found = [
        evaluate_in_child("misbehaving:behaves", HERE, [1.0], how)[0].worker for how in (one, one, other)
    ]
    assert found[0] == found[1] != found[2]
    assert len([p for p in psutil.Process().children() if p.pid in {_pid_of(w) for w in found}]) == 1


@pytest.mark.parametrize("loss", ["hangs_in_c", "hangs_in_a_program"])
def test_it_ends_with_whoever_started_it(loss):
    command = [sys.executable, "-c", PARENT, loss, HERE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "hanging\n"
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
        gone, alive = psutil.wait_procs(family, PATIENCE_S)
    assert alive == []
    assert len(gone) == (2 if loss == "hangs_in_c" else 3)  # the guard, the process, and the program


def test_a_problem_is_described_by_a_process_of_its_own(tmp_path):
    (tmp_path / "odd_problem.py").write_text("def loss(x): ...\nnumber = 7")
    (tmp_path / "ends_at_once.py").write_text("import os; os._exit(3)")
    found = describe_in_child("odd_problem:loss", str(tmp_path))
    assert found == {"name": "odd_problem", "parameters": [], "constraints": []}
    with pytest.raises(ProblemError, match="'odd_problem:number' is of type int"):
        describe_in_child("odd_problem:number", str(tmp_path))
    with pytest.raises(
        ProblemError, match="importing 'ends_at_once:loss' ended its process with exit code 3"
    ):
        describe_in_child("ends_at_once:loss", str(tmp_path))
    assert "odd_problem" not in sys.modules


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_who_describes_a_problem_ends_with_whoever_asked(tmp_path, end):
    (tmp_path / "hangs_at_import.py").write_text(
        "import signal\nprint('hanging', flush=True)\nsignal.pause()"
    )
    ask = "import sys; from tasks.child import describe_in_child; describe_in_child('hangs_at_import:x', sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", ask, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "hanging\n"
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(end)
        _, alive = psutil.wait_procs(family, PATIENCE_S)
    assert alive == []


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.pid != os.getpid() and process.environ().get("TEST_MARK") == mark
        except psutil.Error:  # it has ended, or is somebody else's
            continue
        if is_ours and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def _pid(evaluation: Evaluation) -> int:
    return _pid_of(evaluation.worker)


def _pid_of(worker: str) -> int:
    return int(worker.rpartition("/")[2])
