"""The bridge that suspends a blocking call at each evaluation.

Invariants: what the call evaluates comes out in order, inside the unit cube, as arrays of its own; what is not finite
is never handed out, and cannot go on for ever; a call's warnings, warning filters and numpy error state are its own,
also when calls take turns; COBYQA's lock still works for everybody else; closing a call ends it where it stands.
"""

import math
import threading
import warnings

import numpy as np
import pytest
import scipy.optimize
from greenlet import settrace

from optim.optimizers.scipy_bridge import (
    MOST_IDLE,
    MOST_UNANSWERABLE,
    Objective,
    StuckError,
    SuspendableCall,
    pass_by_cobyqa_lock,
)


def finish(call, loss=lambda x: float(x.sum())):
    """Every batch of points of a call, as lists."""
    batches = []
    batch = call.resume(None)
    while batch is not None:
        batches.append([point.tolist() for point in batch.points])
        batch = call.resume([loss(point) for point in batch.points])
    return batches


def test_a_call_is_suspended_at_each_evaluation_and_returns_its_result():
    objective = Objective(maps_probes=False)
    call = SuspendableCall(lambda: objective([0.25, 0.5]) + objective([0.5, 0.5]))
    assert finish(call) == [[[0.25, 0.5]], [[0.5, 0.5]]]
    assert call.result == 1.75


@pytest.mark.parametrize("maps_probes", [False, True])
def test_a_map_is_one_batch_and_runs_the_wrapper_of_the_objective(maps_probes):
    objective = Objective(maps_probes)
    points = (np.array([place]) for place in (0.5, 0.25, 0.0))
    call = SuspendableCall(lambda: objective.map(lambda x: [2.0 * objective(x), x[0]], points))
    batch = call.resume(None)
    assert batch.probes is maps_probes
    assert [point.tolist() for point in batch.points] == [[0.5], [0.25], [0.0]]
    assert call.resume([1.0, 2.0, 3.0]) is None
    assert call.result == [[2.0, 0.5], [4.0, 0.25], [6.0, 0.0]]


def test_a_map_of_nothing_asks_for_nothing():
    objective = Objective(maps_probes=False)
    call = SuspendableCall(lambda: objective.map(objective, []))
    assert call.resume(None) is None
    assert call.result == []


def test_points_are_copies_that_nobody_can_change():
    objective = Objective(maps_probes=False)
    own = np.array([0.5, 0.5])
    call = SuspendableCall(lambda: objective(own))
    (point,) = call.resume(None).points
    own[:] = 0.0
    assert point.tolist() == [0.5, 0.5]
    assert not point.flags.writeable
    call.close()


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        (-0.25, 0.25),
        (1.25, 0.75),
        (2.25, 0.25),
        (-1.25, 0.75),
        (0.0, 0.0),
        (1.0, 1.0),
        (2.0, 0.0),
        (7.5, 0.5),
    ],
)
def test_a_point_outside_is_seen_in_the_mirror(asked, seen):
    objective = Objective(maps_probes=False)
    assert finish(SuspendableCall(lambda: objective([asked, 0.5]))) == [[[seen, 0.5]]]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_point_that_is_not_finite_is_an_infinite_loss_and_never_handed_out(bad):
    objective = Objective(maps_probes=False)
    call = SuspendableCall(
        lambda: [objective([bad, 0.5]), *objective.map(objective, [[0.5, bad], [0.5, 0.5]])]
    )
    assert finish(call) == [[[0.5, 0.5]]]
    assert call.result == [math.inf, math.inf, 1.0]


def test_asking_for_nothing_else_ends_the_call():
    objective = Objective(maps_probes=False)

    def ask_for_ever():
        while True:
            objective.map(objective, [[math.nan]] * 7)

    with pytest.raises(StuckError, match="points in a row that are not finite"):
        SuspendableCall(ask_for_ever).resume(None)


def test_evaluations_in_between_set_the_counts_back():
    objective = Objective(maps_probes=False)

    def ask():
        for _ in range(3):
            objective([0.5])
            for _ in range(MOST_UNANSWERABLE):
                objective([math.nan])
            for _ in range(MOST_IDLE):
                objective.count_iteration(np.zeros(1), None)

    assert len(finish(SuspendableCall(ask))) == 3


def test_an_exception_comes_out_where_the_call_was_resumed():
    objective = Objective(maps_probes=False)
    call = SuspendableCall(lambda: objective([0.5]) / 0)
    call.resume(None)
    with pytest.raises(ZeroDivisionError):
        call.resume([1.0])
    call.close()


@pytest.mark.parametrize("is_begun", [False, True])
def test_closing_ends_the_call_where_it_stands(is_begun):
    objective = Objective(maps_probes=False)
    seen = []

    def ask():
        try:
            seen.append(objective([0.5]))
        finally:
            seen.append("ended")

    call = SuspendableCall(ask)
    if is_begun:
        call.resume(None)
    call.close()
    call.close()
    assert seen == ["ended"] * is_begun


def test_warnings_of_the_call_stay_inside_and_those_outside_come_through():
    objective = Objective(maps_probes=False)

    def ask():
        warnings.warn("inside", RuntimeWarning, stacklevel=1)
        np.float64(objective([0.5])) / np.zeros(1)
        warnings.warn("inside", scipy.optimize.OptimizeWarning, stacklevel=30)

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call = SuspendableCall(ask)
        call.resume(None)
        warnings.warn("outside", RuntimeWarning, stacklevel=1)
        call.resume([1.0])
    assert [str(warning.message) for warning in seen] == ["outside"]


def test_what_is_shown_once_is_shown_once_whatever_is_suspended_in_between():
    objective = Objective(maps_probes=False)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        call = SuspendableCall(lambda: [objective([0.5]) for _ in range(5)])
        batch = call.resume(None)
        while batch is not None:
            warnings.warn("once for this line", RuntimeWarning, stacklevel=1)
            batch = call.resume([1.0])
    assert len(seen) == 1


def test_filters_that_a_suspended_call_has_changed_are_its_own():
    def ask(objective):
        objective([0.5])
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            objective([0.5])
        objective([0.5])

    outside = list(warnings.filters)
    calls = [SuspendableCall(lambda: ask(Objective(maps_probes=False))) for _ in range(2)]
    for call in calls:
        call.resume(None)
    for call in (calls[0], calls[1], calls[0], calls[1], calls[0], calls[1]):
        call.resume([1.0])
        assert list(warnings.filters) == outside


def test_the_floating_point_errors_outside_are_what_they_were():
    objective = Objective(maps_probes=False)
    with np.errstate(all="raise"):
        call = SuspendableCall(lambda: (objective([0.5]), np.geterr()["divide"]))
        call.resume(None)
        assert np.geterr()["divide"] == "raise"
        call.resume([1.0])
        assert np.geterr()["divide"] == "raise"
    assert call.result == (1.0, "ignore")


def test_a_plain_cobyqa_in_another_thread_does_not_wait_for_a_suspended_one():
    pass_by_cobyqa_lock()
    objective = Objective(maps_probes=False)

    def minimize(fun):
        return scipy.optimize.minimize(fun, [0.2, 0.3], method="COBYQA", options={"maxfev": 20})

    call = SuspendableCall(lambda: minimize(objective))
    call.resume(None)
    results = []
    other = threading.Thread(
        target=lambda: results.append(minimize(lambda x: float((x**2).sum()))), daemon=True
    )
    other.start()
    other.join(timeout=60)
    call.close()
    assert len(results) == 1


def test_the_cobyqa_lock_is_held_by_everybody_else_and_by_no_suspended_call():
    pass_by_cobyqa_lock()
    pass_by_cobyqa_lock()
    lock = getattr(scipy.optimize._cobyqa_py, "COBYQA_LOCK", None)
    if lock is None:
        pytest.skip("this SciPy has no such lock any more")
    objective = Objective(maps_probes=False)

    def ask():
        with lock:
            objective([0.5])

    call = SuspendableCall(ask)
    call.resume(None)
    assert not lock._lock.locked()
    with lock:
        assert lock._lock.locked()
        call.close()
        assert lock._lock.locked()
    assert not lock._lock.locked()


def suspended():
    objective = Objective(maps_probes=False)
    call = SuspendableCall(lambda: objective([0.25]))
    call.resume(None)
    return call


def test_a_call_that_is_closed_before_the_first_line_of_another_one_does_not_disturb_it():
    objective = Objective(maps_probes=False)
    first = suspended()

    def close_first(_event, _greenlets):
        settrace(None)
        first.close()

    call = SuspendableCall(lambda: objective([0.5]))
    settrace(close_first)
    assert call.resume(None).points[0].tolist() == [0.5]
    assert call.resume([3.0]) is None
    assert call.result == 3.0


def test_a_call_that_is_closed_inside_another_one_does_not_disturb_it():
    """As a garbage collector may do it, at any moment."""
    objective = Objective(maps_probes=False)
    first = suspended()

    def second():
        first.close()
        return objective([0.5])

    call = SuspendableCall(second)
    assert call.resume(None).points[0].tolist() == [0.5]
    assert call.resume([3.0]) is None
    assert call.result == 3.0


def test_a_call_that_is_closed_in_another_thread_ends_in_its_own():
    ended_in = []

    def function():
        try:
            objective([0.5])
        finally:
            ended_in.append(threading.get_ident())

    objective = Objective(maps_probes=False)
    calls = [SuspendableCall(function)]
    calls[0].resume(None)

    def forget():
        calls[0].close()
        calls.clear()

    thread = threading.Thread(target=forget)
    thread.start()
    thread.join()
    assert ended_in == []
    suspended().close()
    assert ended_in == [threading.get_ident()]
