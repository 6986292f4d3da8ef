"""Constraints in a run: points that are never evaluated, and still count.

Invariants: no point that violates a constraint is given out; it takes the next evaluation number, counts in the budget
and for stoppers, and its optimizer is told infinity; whatever is evaluated has its fixed and tied values.
"""

import math

import numpy as np
import pytest

from optim.exit_conditions.max_optimizers_stopped import MaxOptimizersStopped
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.in_process import drive
from optim.journal import EventKind
from optim.manager import MAX_ENDS_WITHOUT_LOSS, Manager
from optim.messages import Evaluated
from optim.optimizers.cmaes import CMAES
from optim.optimizers.scipy import Scipy
from optim.outcome import Outcome
from optim.space import Parameter, Space
from optim.stoppers.last_points_invalid import LastPointsInvalid
from optim.strategy import Strategy
from optim.testing.hand_made import Scripted

BELOW = Space([Parameter(name=name, initial=0.5, lower=0.0, upper=1.0) for name in "ab"], ["a <= b"])
MIXED = Space(
    [
        Parameter(name="a", initial=1.0, lower=0.0, upper=2.0),
        Parameter(name="double", tie="2*a", upper=3.0),
        Parameter(name="k", initial=1.0, lower=0.1, upper=10.0, scale="log"),
        Parameter(name="fixed", initial=4.0, active=False),
        Parameter(name="c", initial=0.0, lower=-1.0, upper=1.0),
    ],
    ["c < double", "a*k < fixed"],
)
GOOD, BAD = (0.2, 0.8), (0.8, 0.2)


def scripted(*points, **changes):
    """One optimizer that asks for the initial point and for those."""
    return Strategy(
        **{
            "optimizers": [Scripted(points=points)],
            "exit_conditions": [MaxTotalFunctionCalls(max=1 + len(points))],
            "baseline": False,
            **changes,
        }
    )


def test_points_that_violate_are_recorded_and_not_given_out(begun, clock):
    session, rows = begun(scripted(BAD, BAD, GOOD, BAD), BELOW)
    first = session.next()
    assert (first.call, first.x.tolist()) == (1, [0.5, 0.5])
    clock.now_s = 3.0
    session.hand_back(Evaluated(1, 1, Outcome.OK, 1.0))
    second = session.next()
    assert (second.call, second.x.tolist()) == (4, list(GOOD))
    assert [(row.call, row.outcome) for row in rows.evaluations] == [
        (1, Outcome.OK),
        (2, Outcome.CONSTRAINT),
        (3, Outcome.CONSTRAINT),
    ]
    row = rows.evaluations[1]
    assert math.isnan(row.loss)
    assert row.x.tolist() == list(BAD)
    assert (row.submitted_s, row.worker, row.late) == (3.0, "", False)
    note = rows.of_kind(EventKind.FAILURE)[0]
    assert (note.evaluation, note.optimizer, note.call, note.text) == (2, 1, 2, "violates a <= b")
    assert session.in_flight == 1


def test_they_count_in_the_budget(begun):
    session, rows = begun(scripted(BAD, BAD, GOOD, BAD), BELOW)
    evaluated = []
    drive(session, lambda x: evaluated.append(x.tolist()) or 1.0)
    assert evaluated == [[0.5, 0.5], list(GOOD)]
    assert len(rows.evaluations) == 5
    assert session.finish.reason == "MaxTotalFunctionCalls(fmax=5): 5 evaluations of 5"
    assert session.failures == 3


def test_stoppers_see_them(begun):
    strategy = scripted(
        GOOD,
        BAD,
        BAD,
        GOOD,
        stoppers=[LastPointsInvalid(number_of_function_calls=2)],
        exit_conditions=[MaxOptimizersStopped(max=1)],
        apply_stoppers_to_best_optimizer=True,
    )
    session, rows = begun(strategy, BELOW)
    drive(session, lambda x: 1.0)
    assert len(rows.evaluations) == 4
    assert list(session.manager.run.optimizers[0].latest_losses(4)) == [1.0, 1.0, math.inf, math.inf]


def test_a_journal_with_them_is_replayed(begun):
    strategy = scripted(BAD, GOOD, BAD)
    session, rows = begun(strategy, BELOW)
    drive(session, lambda x: 1.0)
    again = Manager(strategy, BELOW, 4)
    assert rows.replay(again) == []
    assert again.finish == session.finish


def test_initial_values_that_violate_fail_the_run(begun):
    space = Space([Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)], ["a > 0.5"])
    session, rows = begun(scripted((0.6,), baseline=True), space)
    assert session.next() is None
    assert session.finish.failed
    assert session.finish.reason.startswith(
        "the loss at the initial values is not finite (violates a > 0.5); mend"
    )
    assert [(row.optimizer, row.outcome) for row in rows.evaluations] == [(0, Outcome.CONSTRAINT)]


def test_initial_values_that_violate_may_be_tolerated(begun):
    space = Space([Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)], ["a > 0.5"])
    strategy = scripted((0.75,), baseline="tolerate", exit_conditions=[MaxTotalFunctionCalls(max=9)])
    session, _ = begun(strategy, space)
    assert session.next().x.tolist() == [0.75]


def test_a_run_in_which_everything_violates_fails_by_itself(begun):
    space = Space([Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)], ["a > 1"])
    strategy = scripted((0.75,), exit_conditions=[MaxTotalFunctionCalls(max=10**6)])
    session, _ = begun(strategy, space)
    drive(session, lambda x: pytest.fail("nothing is allowed"))
    assert session.finish.failed
    assert session.manager.run.started == MAX_ENDS_WITHOUT_LOSS
    assert "violates a > 1" in session.finish.reason


def test_a_halted_session_looks_at_no_more_points(begun):
    session, rows = begun(scripted(BAD, GOOD), BELOW)
    session.halt("enough")
    assert session.next() is None
    assert not rows.evaluations


def test_whatever_is_evaluated_fits_the_space(begun):
    strategy = Strategy(
        parallel_optimizers=3,
        generator=Random(),
        optimizers=[Scipy(), CMAES(popsize=6), Scipy(algorithm="L-BFGS-B")],
        exit_conditions=[MaxTotalFunctionCalls(max=400)],
    )
    session, rows = begun(strategy, MIXED)
    evaluated = []

    def loss(x):
        a, double, k, fixed, c = x.tolist()
        assert double == 2 * a <= 3
        assert fixed == 4.0
        assert c < double
        assert a * k < fixed
        evaluated.append(x)
        return (a - 0.7) ** 2 + (c - 0.1) ** 2 + math.log(k) ** 2

    drive(session, loss)
    assert session.finish.reason.startswith("MaxTotalFunctionCalls")
    assert {row.outcome for row in rows.evaluations} == {Outcome.OK, Outcome.CONSTRAINT}
    for row in rows.evaluations:
        assert bool(MIXED.violation(row.x)) is (row.outcome is Outcome.CONSTRAINT)
        assert row.x[1] == 2 * row.x[0]
        assert row.x[3] == 4.0
    assert len(evaluated) == sum(row.outcome is Outcome.OK for row in rows.evaluations)
    best = session.manager.run.best
    assert best.point.shape == (3,)
    assert np.isclose(best.x, [0.7, 1.4, 1.0, 4.0, 0.1], atol=0.2).all()
