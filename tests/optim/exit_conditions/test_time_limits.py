"""TimeLimit and TimeLimitThroughRestarts.

Invariants: time ends a session and not the run: nothing is given out any more, what comes back is still told, and the
next session goes on where this one ended; a run that would end without its time limit ends; time is in the journal,
so a replay needs no clock.
"""

import math

import pytest

from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.exit_conditions.time_limit import TimeLimit
from optim.exit_conditions.time_limit_through_restarts import TimeLimitThroughRestarts
from optim.in_process import drive
from optim.journal import EventKind
from optim.manager import Manager
from optim.messages import Evaluated
from optim.outcome import Outcome
from optim.space import Parameter, Space
from optim.strategy import Strategy
from optim.testing.conditions import ExitConditionConformance
from optim.testing.hand_made import Scripted

SPACE = Space([Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)])
BUDGET = MaxTotalFunctionCalls(max=1000)


class TestTimeLimit(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return TimeLimit(seconds=60)


class TestTimeLimitThroughRestarts(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return TimeLimitThroughRestarts(seconds=60)


def limited(*conditions, combination=None, calls=9, **changes):
    return Strategy(
        optimizers=[Scripted(points=[(0.25,)] * (calls - 1))],
        exit_conditions=conditions,
        exit_condition_boolean_combination=combination,
        baseline=False,
        **changes,
    )


def answer(session, submit, loss=1.0):
    session.hand_back(Evaluated(submit.optimizer, submit.call, Outcome.OK, loss))


def test_the_session_ends_when_its_time_has_passed(begun, clock):
    session, rows = begun(limited(TimeLimit(seconds=10), BUDGET), SPACE)
    answer(session, session.next())
    clock.now_s = 9.999
    session.tick()
    assert session.pause is None
    answer(session, session.next())
    clock.now_s = 10.0
    session.tick()
    assert session.next() is None
    assert session.finish is None
    assert session.pause.reason == "TimeLimit(seconds=10.0): 10 s have passed"
    assert session.pause.conditions == (
        "TimeLimit(seconds=10.0) = True |",
        "MaxTotalFunctionCalls(fmax=1000) = None",
    )
    (row,) = rows.of_kind(EventKind.TIME_UP)
    assert (row.sequence, row.evaluation, row.text) == (3, 2, "TimeLimit(seconds=10.0)")
    assert row.data == '{"condition": 0}'


def test_what_comes_back_after_the_time_is_told(begun, clock):
    session, rows = begun(limited(TimeLimit(seconds=10), BUDGET, calls=2, parallel_optimizers=2), SPACE)
    first, second = session.next(), session.next()
    clock.now_s = 11.0
    session.tick()
    answer(session, first, loss=3.0)
    answer(session, second, loss=2.0)
    assert session.manager.run.best.loss == 2.0
    assert [optimizer.calls for optimizer in session.manager.run.optimizers] == [1, 1]
    assert [row.late for row in rows.evaluations] == [False, False]
    assert session.next() is None


def test_the_next_session_goes_on_where_this_one_ended(begun, clock):
    session, rows = begun(limited(TimeLimit(seconds=10), BUDGET, calls=2), SPACE)
    answer(session, session.next())
    last = session.next()
    clock.now_s = 10.0
    session.tick()
    answer(session, last)
    assert session.manager.run.converged == 1
    assert session.manager.run.started == 1
    clock.now_s = 500.0
    session.begin("the tests again")
    assert session.pause is None
    assert session.manager.run.started == 2
    assert session.next_deadline_s == 510.0
    assert session.next()[:2] == (2, 1)
    assert [row.text for row in rows.of_kind(EventKind.SESSION_START)] == ["the tests", "the tests again"]


def test_points_that_were_asked_for_wait_for_the_next_session(begun, clock):
    session, _ = begun(limited(TimeLimit(seconds=10), BUDGET, parallel_optimizers=3), SPACE)
    answer(session, session.next())
    clock.now_s = 10.0
    session.tick()
    session.begin("the tests again")
    given = iter(session.next, None)
    assert [submit[:2] for submit in given] == [(2, 1), (3, 1), (1, 2)]


def test_a_paused_run_is_replayed_without_a_clock(begun, clock):
    clock.pace_s = 1.0
    strategy = limited(TimeLimit(seconds=30), BUDGET, calls=3, parallel_optimizers=2)
    session, rows = begun(strategy, SPACE)
    drive(session, lambda x: float(x[0]))
    assert session.finish is None
    assert 5 < len(rows.evaluations) < 1000
    again = Manager(strategy, SPACE, 4)
    outstanding = rows.replay(again)
    assert again.pause == session.pause
    assert again.run.evaluations == len(rows.evaluations)
    clock.pace_s = 0.0
    session.begin("the tests again")
    assert [(*submit[:2], False) for submit in iter(session.next, None)] == outstanding


def test_two_sessions_replayed_give_the_same_run(begun, clock):
    clock.pace_s = 1.0
    strategy = limited(TimeLimit(seconds=30), MaxTotalFunctionCalls(max=15), calls=3)
    session, rows = begun(strategy, SPACE)
    drive(session, lambda x: float(x[0]))
    assert session.pause
    session.begin("the tests again")
    drive(session, lambda x: float(x[0]))
    assert session.finish.reason == "MaxTotalFunctionCalls(fmax=15): 15 evaluations of 15"
    again = Manager(strategy, SPACE, 4)
    rows.replay(again)
    assert again.finish == session.finish


def test_a_run_that_ends_by_itself_after_its_time_is_finished_and_not_paused(begun, clock):
    session, _ = begun(limited(TimeLimit(seconds=10), MaxTotalFunctionCalls(max=2)), SPACE)
    answer(session, session.next())
    last = session.next()
    clock.now_s = 10.0
    session.tick()
    assert session.pause
    answer(session, last)
    assert session.finish.conditions == (
        "TimeLimit(seconds=10.0) = True |",
        "MaxTotalFunctionCalls(fmax=2) = None",
    )
    assert not session.finish.failed


def test_time_that_is_up_once_the_run_has_ended_changes_nothing(begun, clock):
    session, rows = begun(limited(TimeLimit(seconds=10), MaxTotalFunctionCalls(max=1)), SPACE)
    answer(session, session.next())
    finish = session.finish
    assert finish.reason == "MaxTotalFunctionCalls(fmax=1): 1 evaluations of 1"
    clock.now_s = 10.0
    session.tick()
    assert session.finish is finish
    assert session.pause is None
    assert len(rows.of_kind(EventKind.TIME_UP)) == 1


def test_a_time_limit_joined_by_and_waits_for_the_other(begun, clock):
    strategy = limited(TimeLimit(seconds=10), MaxOptimizersConverged(max=1), combination="1 & 2", calls=2)
    session, _ = begun(strategy, SPACE)
    clock.now_s = 10.0
    session.tick()
    assert session.pause is None
    answer(session, session.next())
    answer(session, session.next())
    assert session.finish is None
    assert session.pause.reason == (
        "TimeLimit(seconds=10.0): 10 s have passed; MaxOptimizersConverged(nconv=1): 1 optimizers converged of 1"
    )


def test_the_next_deadline_is_the_earliest(begun, clock):
    clock.now_s = 100.0
    session, rows = begun(
        limited(TimeLimit(seconds=60), TimeLimitThroughRestarts(seconds=50), combination="1 & 2"),
        SPACE,
        spent_s=20.0,
    )
    assert session.next_deadline_s == 130.0
    clock.now_s = 159.0
    session.tick()
    assert session.next_deadline_s == 160.0
    assert session.pause is None
    clock.now_s = 1000.0
    session.tick()
    assert session.next_deadline_s == math.inf
    assert session.pause
    assert [row.data for row in rows.of_kind(EventKind.TIME_UP)] == ['{"condition": 1}', '{"condition": 0}']


def test_without_a_time_limit_there_is_no_deadline(begun):
    session, _ = begun(limited(BUDGET), SPACE)
    assert session.next_deadline_s == math.inf


@pytest.mark.parametrize("spent_s", [50.0, 51.0])
def test_a_session_that_has_no_time_left_gives_out_nothing(begun, spent_s):
    session, rows = begun(limited(TimeLimitThroughRestarts(seconds=50), BUDGET), SPACE, spent_s=spent_s)
    assert session.pause
    assert session.next() is None
    assert not rows.evaluations


@pytest.mark.parametrize(
    ("spent_s", "own", "all_sessions"), [(0.0, 60.0, 60.0), (20.0, 60.0, 40.0), (99.0, 60.0, 0.0)]
)
def test_only_one_of_them_counts_what_was_spent_before(spent_s, own, all_sessions):
    assert TimeLimit(seconds=60).allowance_s(spent_s) == own
    assert TimeLimitThroughRestarts(seconds=60).allowance_s(spent_s) == all_sessions
    assert BUDGET.allowance_s(spent_s) is None


def test_they_print_their_seconds_and_are_no_budget():
    assert TimeLimit(seconds=1.5).printed == "TimeLimit(seconds=1.5)"
    assert TimeLimitThroughRestarts(seconds=60).printed == "TimeLimitThroughRestarts(seconds=60.0)"
    assert TimeLimit(seconds=1.5).budget is None


@pytest.mark.parametrize("seconds", [0, -1.0, math.inf, "1 h"])
def test_seconds_are_a_positive_number(seconds):
    with pytest.raises(ValueError, match="seconds"):
        TimeLimit(seconds=seconds)
