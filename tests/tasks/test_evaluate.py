"""The task that evaluates a loss, without a server; `tests/flows/test_task_runner.py` runs it on a cluster.

Invariants:

* A good evaluation is returned, with its times and its process; any other is raised, chained to what the user raised.
* What is raised pickles, whatever the user raised.
* An isolated loss differs in nothing but its process. One that took workers with it was tried as often as they died.
* The task has no cache, no retries, no tags, and stores nothing.
"""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from distributed import KilledWorker
from prefect.cache_policies import NO_CACHE

from optim.outcome import Outcome
from tasks.child import Isolation
from tasks.evaluate import EvaluationFailed, evaluate, take_evaluation

CODE = """
class Awkward(Exception):
    def __reduce__(self):
        raise TypeError("cannot be pickled")

def square(x):
    return float((x**2).sum())

def raises(x):
    raise Awkward("no convergence")

def nan(x):
    return float("nan")
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "losses_to_evaluate.py").write_text(CODE)
    return str(tmp_path)


def test_a_good_evaluation_has_its_loss_times_and_process(folder):
    before_s = time.time()
    evaluation = evaluate.fn("losses_to_evaluate:square", folder, 1, 1, [1.0, 2.0])
    assert (evaluation.outcome, evaluation.loss, evaluation.text) == (Outcome.OK, 5.0, "")
    assert before_s <= evaluation.started_s <= evaluation.finished_s <= time.time()
    assert evaluation.worker.endswith(f"/{os.getpid()}")


@pytest.mark.parametrize(
    ("loss", "outcome", "text"),
    [
        ("raises", Outcome.EXCEPTION, "Awkward: no convergence"),
        ("nan", Outcome.NONFINITE, "the loss returned nan"),
        (
            "missing",
            Outcome.EXCEPTION,
            "ProblemError: module 'losses_to_evaluate' has no attribute 'missing'",
        ),
    ],
)
def test_a_failed_evaluation_is_raised_as_plain_data(folder, loss, outcome, text):
    with pytest.raises(EvaluationFailed) as failed:
        evaluate.fn(f"losses_to_evaluate:{loss}", folder, 1, 1, [1.0])
    assert str(failed.value) == text
    there = pickle.loads(pickle.dumps(failed.value))
    assert there.evaluation.outcome is outcome
    assert repr(there.evaluation) == repr(failed.value.evaluation)


def test_the_cause_is_what_the_user_raised(folder):
    with pytest.raises(EvaluationFailed) as failed:
        evaluate.fn("losses_to_evaluate:raises", folder, 1, 1, [1.0])
    assert type(failed.value.__cause__).__name__ == "Awkward"


def test_an_isolated_evaluation_is_the_same_in_another_process(folder):
    evaluation = evaluate.fn("losses_to_evaluate:square", folder, 1, 1, [1.0, 2.0], Isolation())
    assert (evaluation.outcome, evaluation.loss, evaluation.text) == (Outcome.OK, 5.0, "")
    assert not evaluation.worker.endswith(f"/{os.getpid()}")
    with pytest.raises(EvaluationFailed, match="Awkward: no convergence") as failed:
        evaluate.fn("losses_to_evaluate:raises", folder, 1, 1, [1.0], Isolation())
    assert repr(pickle.loads(pickle.dumps(failed.value)).evaluation) == repr(failed.value.evaluation)
    assert "in raises" in str(failed.value.__cause__)


def test_what_took_three_workers_with_it_was_tried_three_times():
    def result() -> None:
        raise KilledWorker("evaluate-1", SimpleNamespace(address="tcp://a:1"), 2)

    future = SimpleNamespace(wrapped_future=SimpleNamespace(result=result, release=lambda: None))
    evaluation = take_evaluation(future)
    assert (evaluation.outcome, evaluation.attempts) == (Outcome.WORKER_LOST, 3)
    assert evaluation.text == "3 workers died evaluating it, the last one at tcp://a:1"


def test_the_task_keeps_nothing_and_locks_nothing():
    assert evaluate.cache_policy is NO_CACHE
    assert evaluate.persist_result is False
    assert evaluate.retries == 0
    assert evaluate.tags == set()
