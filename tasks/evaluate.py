"""The Prefect tasks that evaluate losses on a worker, one or several, and what their futures have to say.

What crosses from worker to manager is plain data, never an exception of the user's: it may not pickle, and the
manager imports no user code.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any

import numpy as np
from distributed import KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from numpy.typing import NDArray
from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from optim.errors import ClusterLostError
from optim.outcome import Outcome
from tasks.child import Isolation, evaluate_in_child
from tasks.evaluation import NAN, Evaluation, evaluate_here
from tasks.small_results import SmallResultFuture

SCHEDULER_LOST = "scheduler-connection-lost"
"""Why Dask's client cancels every future when its scheduler goes away."""
CLUSTER_LOST = (
    "the connection to the Dask scheduler is lost; what was finished is saved, and `shoal resume` goes on"
)


class EvaluationFailed(Exception):  # noqa: N818  what failed is the evaluation; the dashboard shows this name
    """The loss raised, returned no finite number, took too long or ended its process; ends a task run as Failed.

    Attributes:
        evaluation: What came of it.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        super().__init__(evaluation)
        self.evaluation = evaluation

    def __str__(self) -> str:
        return self.evaluation.text


@task(
    cache_policy=NO_CACHE,  # Prefect's cache would be a second, conflicting way to resume
    persist_result=False,
    retries=0,
    task_run_name="optimizer {optimizer} call {call}",  # and never a tag: each is a lock on the server
)
def evaluate(
    problem: str,
    folder: str | None,
    optimizer: int,
    call: int,
    x: list[float],
    isolation: Isolation | None = None,
) -> Evaluation:
    """Evaluate the loss of a problem at one point.

    Args:
        problem: Its entry point, `module:attribute`.
        folder: Where user code is looked for besides installed packages; None: nowhere else.
        optimizer: Whose point it is; with `call`, the name of the task run.
        call: The optimizer's own number of it.
        x: The point, physical units.
        isolation: Evaluate it in a process of its own; None: in this one.

    Raises:
        EvaluationFailed: It came to something else than a finite number.
    """
    evaluation, cause = _evaluated(problem, folder, x, isolation)
    if evaluation.outcome is not Outcome.OK:
        raise EvaluationFailed(evaluation) from cause
    return evaluation


validate = evaluate.with_options(task_run_name="validation of optimizer {optimizer} call {call}")
"""The same for a validation loss, under a name of its own in the dashboard."""


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=0,
    task_run_name="{count} evaluations from optimizer {optimizer} call {call}",
)
def evaluate_several(
    problem: str,
    folder: str | None,
    count: int,
    optimizer: int,
    call: int,
    calls: NDArray[np.int64],
    x: NDArray[np.float64],
    isolation: Isolation | None = None,
) -> State[list[Evaluation]]:
    """Evaluate the loss of a problem at several points, one after the other; none of them spoils the others.

    The task run is Completed, and says how many failed, and the first of them; it is Failed when all of them did. Its
    log has the traceback of the first.

    Args:
        problem: As for `evaluate`.
        folder: As for `evaluate`.
        count: How many; with `optimizer` and `call`, the name of the task run.
        optimizer: Whose point the first is.
        call: The optimizer's own number of it.
        calls: All optimizers and calls, shape (count, 2). Prefect looks into lists, number by number, for futures.
        x: The points, physical units, shape (count, dimension).
        isolation: As for `evaluate`; each has the process to itself.

    Returns:
        A state whose data are the evaluations, in the same order.
    """
    evaluations, failures, first = [], 0, ""
    for (its_optimizer, its_call), point in zip(calls.tolist(), x.tolist(), strict=True):
        evaluation, cause = _evaluated(problem, folder, point, isolation)
        evaluations.append(evaluation)
        if evaluation.outcome is Outcome.OK:
            continue
        failures += 1
        if failures == 1:
            first = f"optimizer {its_optimizer} call {its_call}: {evaluation.text}"
            get_run_logger().error("%s", first, exc_info=cause)
    if not failures:
        return Completed(data=evaluations)
    message = f"{failures} of {count} failed; the first is {first}"
    return (Failed if failures == count else Completed)(message=message, data=evaluations)


def _evaluated(
    problem: str, folder: str | None, x: list[float], isolation: Isolation | None
) -> tuple[Evaluation, BaseException | None]:
    if isolation is None:
        return evaluate_here(problem, folder, x)
    return evaluate_in_child(problem, folder, x, isolation)


def take_evaluation(future: SmallResultFuture[Any]) -> Evaluation:
    """As `take_evaluations`, of a future of `evaluate`."""
    return take_evaluations(future, 1)[0]


def take_evaluations(future: SmallResultFuture[Any], count: int) -> list[Evaluation]:
    """The results of a finished future of `evaluate` or `evaluate_several`, which Dask may then forget.

    Dask runs a completed task again when its worker dies while somebody still holds the future.

    Args:
        future: Of either task.
        count: How many evaluations it carried.

    Returns:
        What came of each, in their order. Where nobody was left to say, all have the same, and no worker.

    Raises:
        ClusterLostError: The scheduler went away; nobody knows what has come of them.
    """
    found = _found(future)
    return [found] * count if isinstance(found, Evaluation) else found


def _found(future: SmallResultFuture[Any]) -> list[Evaluation] | Evaluation:
    """The evaluations; or one that stands for all of them, when nobody was left to say."""
    try:
        return _data_of(future.final_state())
    except FutureCancelledError as error:
        if error.reason == SCHEDULER_LOST:
            raise ClusterLostError(CLUSTER_LOST) from error
        return Evaluation(Outcome.CANCELLED, NAN, str(error))
    except CommClosedError as error:  # it went away while the result was being fetched
        raise ClusterLostError(CLUSTER_LOST) from error
    except KilledWorker as error:
        deaths = error.allowed_failures + 1
        text = f"{deaths} worker{'s' * (deaths > 1)} died evaluating it, the last one at {error.last_worker.address}"
        return Evaluation(Outcome.WORKER_LOST, NAN, text, attempts=deaths)
    except CancelledError as error:
        return Evaluation(Outcome.CANCELLED, NAN, str(error))
    except Exception as error:  # noqa: BLE001  what Dask raises where Prefect's engine could not run or answer
        return Evaluation(Outcome.EXCEPTION, NAN, f"{type(error).__name__}: {error}")
    finally:
        future.wrapped_future.release()  # type: ignore[no-untyped-call]


def _data_of(state: State[Any]) -> list[Evaluation] | Evaluation:
    # `State.result()` takes 3 ms, through another thread; results are not persisted, so the data is at hand.
    found = getattr(state.data, "result", state.data)
    if isinstance(found, list):
        return found
    if isinstance(found, EvaluationFailed):
        return [found.evaluation]
    if isinstance(found, Evaluation):
        return [found]
    return Evaluation(Outcome.EXCEPTION, NAN, state.message or f"the task run ended as {state.name}")
