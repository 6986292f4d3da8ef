"""The tasks that evaluate losses, without a server; `tests/flows/workers/test_task_runner.py` runs it on a cluster.

Invariants:

* A good evaluation is returned, with its times and its process; any other is raised, chained to what the user raised.
* What is raised pickles, whatever the user raised.
* An isolated loss differs in nothing but its process. One that took workers with it was tried as often as they died.
* Several in one task run come to what each comes to alone; the task run says how many failed, and fails if all did.
* What nobody was left to tell is told of all that a task run carried.
* The tasks have no cache, no retries, no tags, and store nothing.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from distributed import KilledWorker
from prefect import State
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import StateType
from prefect.logging import disable_run_logger

from optim.outcome import Outcome
from tasks.child import Isolation
from tasks.evaluate import (
    EvaluationFailed,
    evaluate,
    evaluate_several,
    take_evaluation,
    take_evaluations,
)
from tasks.evaluation import Evaluation

CODE = """
import os
from asyncio import CancelledError

class Awkward(Exception):
    def __reduce__(self):
        raise TypeError("cannot be pickled")

def square(x):
    return float((x**2).sum())

def raises(x):
    raise Awkward("no convergence")

def cancels(x):
    raise CancelledError("no more")

def interrupts(x):
    raise KeyboardInterrupt

def nan(x):
    return float("nan")

def fails_below_zero(x):
    return square(x) if x[0] >= 0 else raises(x)

def ends_below_zero(x):
    return square(x) if x[0] >= 0 else os._exit(3)
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
        ("cancels", Outcome.EXCEPTION, "CancelledError: no more"),
        ("interrupts", Outcome.EXCEPTION, "KeyboardInterrupt"),
        ("nan", Outcome.NONFINITE, "the loss returned nan"),
        (
            "missing",
            Outcome.EXCEPTION,
            "ProblemError: module 'losses_to_evaluate' has no attribute 'missing'",
        ),
    ],
)
@pytest.mark.parametrize("isolation", [None, Isolation()], ids=["here", "isolated"])
def test_a_failed_evaluation_is_raised_as_plain_data(folder, loss, outcome, text, isolation):
    with pytest.raises(EvaluationFailed) as failed:
        evaluate.fn(f"losses_to_evaluate:{loss}", folder, 1, 1, [1.0], isolation)
    assert str(failed.value).startswith(text)
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


@pytest.fixture
def no_log() -> Iterator[None]:
    with disable_run_logger():
        yield


def several(folder: str, loss: str, values: list[float], isolation: Isolation | None = None) -> State:
    calls = np.array([(1, call) for call, _ in enumerate(values, start=17)])
    points = np.array([[value, 1.0] for value in values])
    return evaluate_several.fn(
        f"losses_to_evaluate:{loss}", folder, len(values), 1, 17, calls, points, isolation
    )


@pytest.mark.parametrize("isolation", [None, Isolation()])
@pytest.mark.parametrize(
    ("loss", "values", "state", "message"),
    [
        ("square", [1.0, 2.0], StateType.COMPLETED, None),
        (
            "fails_below_zero",
            [1.0, -1.0, -2.0, 3.0],
            StateType.COMPLETED,
            "2 of 4 failed; the first is optimizer 1 call 18: Awkward: no convergence",
        ),
        (
            "nan",
            [1.0, 2.0],
            StateType.FAILED,
            "2 of 2 failed; the first is optimizer 1 call 17: the loss returned nan",
        ),
    ],
)
def test_several_come_to_what_each_comes_to_alone(folder, no_log, loss, values, state, message, isolation):
    together = several(folder, loss, values, isolation)
    assert (together.type, together.message) == (state, message)
    assert pickle.loads(pickle.dumps(together.data))[0].worker == together.data[0].worker
    times = [0.0]
    for value, evaluation in zip(values, together.data, strict=True):
        try:
            alone = evaluate.fn(f"losses_to_evaluate:{loss}", folder, 1, 1, [value, 1.0], isolation)
        except EvaluationFailed as failed:
            alone = failed.evaluation
        same = {"started_s": 0.0, "finished_s": 0.0}
        assert repr(evaluation._replace(**same)) == repr(alone._replace(**same))
        times += [evaluation.started_s, evaluation.finished_s]
    assert times == sorted(times)


def test_an_isolated_loss_that_crashes_leaves_the_others_alone(folder, no_log):
    state = several(folder, "ends_below_zero", [1.0, -1.0, 2.0], Isolation())
    assert [evaluation.outcome for evaluation in state.data] == [
        Outcome.OK,
        Outcome.WORKER_LOST,
        Outcome.OK,
    ]
    assert "1 of 3 failed; the first is optimizer 1 call 18: the process of the loss ended" in state.message


def finished(result: Any) -> SimpleNamespace:
    return SimpleNamespace(final_state=result, wrapped_future=SimpleNamespace(release=lambda: None))


def test_results_are_taken_in_their_order(folder, no_log):
    state = several(folder, "square", [1.0, 2.0])
    assert take_evaluations(finished(lambda: state), 2) == state.data
    one = Evaluation(Outcome.OK, 1.0, worker="a/1")
    assert take_evaluations(finished(lambda: SimpleNamespace(data=one)), 1) == [one]


@pytest.mark.parametrize("count", [1, 3])
def test_what_nobody_was_left_to_tell_is_told_of_all(count):
    crashed = SimpleNamespace(data=None, message="Execution was interrupted", name="Crashed")
    found = take_evaluations(finished(lambda: crashed), count)
    assert len(found) == count
    assert {(one.outcome, one.text, one.worker) for one in found} == {
        (Outcome.EXCEPTION, "Execution was interrupted", "")
    }


def test_what_took_three_workers_with_it_was_tried_three_times():
    def result() -> None:
        raise KilledWorker("evaluate-1", SimpleNamespace(address="tcp://a:1"), 2)

    evaluation = take_evaluation(finished(result))
    assert (evaluation.outcome, evaluation.attempts) == (Outcome.WORKER_LOST, 3)
    assert evaluation.text == "3 workers died evaluating it, the last one at tcp://a:1"


@pytest.mark.parametrize("task", [evaluate, evaluate_several])
def test_the_tasks_keep_nothing_and_lock_nothing(task):
    assert task.cache_policy is NO_CACHE
    assert task.persist_result is False
    assert task.retries == 0
    assert task.tags == set()
