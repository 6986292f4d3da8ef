"""The validation loss: beside the run, and never part of it.

Invariants: each k-th new best of an optimizer is validated, and the initial values; validations have no place in the
numbering and in no budget, and nobody's optimizer sees them; what fails is kept, and the run goes on; the rules about
validations judge their losses only.
"""

import math

import pytest

from optim.errors import UnknownCallError
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.exit_conditions.validation_loss_unmoving import (
    ValidationLossUnmoving as ExitValidationLossUnmoving,
)
from optim.in_process import drive
from optim.journal import EventKind
from optim.messages import Evaluated, Validated
from optim.outcome import Outcome
from optim.space import Parameter, Space
from optim.stoppers.max_function_calls import MaxFunctionCalls
from optim.stoppers.validation_loss_unmoving import ValidationLossUnmoving
from optim.strategy import Strategy
from optim.testing.conditions import ExitConditionConformance, StopperConformance
from optim.testing.hand_made import Scripted, Track, hand_made_run

SPACE = Space([Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)])
POINTS = [(at / 100,) for at in range(20)]
INF = math.inf


class TestStopper(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return ValidationLossUnmoving(number_of_validations=3, tolerance=0.05)


class TestExitCondition(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return ExitValidationLossUnmoving(number_of_validations=3, tolerance=0.05)


def validated(every=1, **changes):
    return Strategy(
        **{
            "optimizers": [Scripted(points=POINTS)],
            "exit_conditions": [MaxTotalFunctionCalls(max=100)],
            "baseline": False,
            "validation": {"problem": "elsewhere:loss", "every": every},
            **changes,
        }
    )


def drive_through(session, losses, validation=lambda x: float(x[0])):
    """In this process, with those losses in order; the last is an interrupt."""
    remaining = iter(losses)

    def loss(x):
        found = next(remaining)
        if remaining.__length_hint__() == 0:
            session.halt("enough")
        return found

    drive(session, loss, validation)


@pytest.mark.parametrize(
    ("every", "expected"), [(1, [1, 2, 4, 5, 7]), (2, [2, 5]), (3, [4]), (5, [7]), (6, [])]
)
def test_each_kth_new_best_is_validated(begun, every, expected):
    session, rows = begun(validated(every), SPACE)
    drive_through(session, [5.0, 4.0, 4.0, 3.0, 1.0, 2.0, 0.0, 9.0])
    assert [row.evaluation for row in rows.validations] == expected
    assert [(row.optimizer, row.call) for row in rows.validations] == [(1, call) for call in expected]


def test_failures_are_no_bests(begun):
    session, rows = begun(validated(), SPACE)
    drive_through(session, [INF, math.nan, 2.0, -INF, 1.0, 3.0])
    assert [row.evaluation for row in rows.validations] == [3, 5]


def test_the_bests_of_each_optimizer_count_by_themselves(begun):
    session, rows = begun(validated(2, optimizers=[Scripted(points=[(0.1,)])]), SPACE)
    drive_through(session, [5.0, 4.0, 9.0, 8.0, 7.0, 7.0, 0.0])
    assert [(row.optimizer, row.call) for row in rows.validations] == [(1, 2), (2, 2)]


def test_the_initial_values_are_validated_whatever_the_interval(begun):
    session, rows = begun(validated(3, baseline=True), SPACE)
    drive_through(session, [5.0, 4.0, 3.0])
    assert [(row.optimizer, row.call, row.evaluation, row.loss) for row in rows.validations] == [
        (0, 1, 1, 0.5)
    ]


def test_a_validation_gets_the_point_of_its_evaluation(begun):
    session, rows = begun(validated(2), SPACE)
    drive_through(session, [5.0, 4.0, 3.0, 2.0, 2.0], validation=lambda x: 10 * float(x[0]))
    points = {number: row.x[0] for number, row in enumerate(rows.evaluations, start=1)}
    assert [row.loss for row in rows.validations] == [10 * points[2], 10 * points[4]]


def test_they_are_outside_the_budget_the_numbering_and_the_optimizers(begun):
    session, rows = begun(validated(exit_conditions=[MaxTotalFunctionCalls(max=6)]), SPACE)
    losses = iter([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    drive(session, lambda x: next(losses), lambda x: -1000.0)
    run = session.manager.run
    assert len(rows.evaluations) == run.evaluations == 6
    assert len(rows.validations) == 6
    assert run.best.loss == 1.0
    assert list(run.optimizers[0].latest_losses(6)) == [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert [row.sequence for row in rows.inputs()] == list(range(13))


def test_what_ends_the_run_is_validated_too(begun):
    session, rows = begun(validated(exit_conditions=[MaxTotalFunctionCalls(max=1)]), SPACE)
    drive(session, lambda x: 1.0, lambda x: 2.0)
    assert session.finish
    assert [row.evaluation for row in rows.validations] == [1]


def test_a_best_that_comes_back_late_is_validated(begun):
    strategy = validated(
        parallel_optimizers=2, stoppers=[MaxFunctionCalls(max=1)], apply_stoppers_to_best_optimizer=True
    )
    session, _ = begun(strategy, SPACE)
    first, second = session.next(), session.next()
    session.hand_back(Evaluated(*first[:2], Outcome.OK, 5.0))
    session.hand_back(Evaluated(*second[:2], Outcome.OK, 9.0))
    given = [(submit.optimizer, submit.validates) for submit in iter(session.next, None)]
    assert given == [(1, 1), (3, 0), (2, 2), (4, 0)]


@pytest.mark.parametrize(
    ("validation", "outcome", "text"),
    [
        (lambda x: math.nan, Outcome.NONFINITE, "the loss returned nan"),
        (lambda x: 1 / 0, Outcome.EXCEPTION, "ZeroDivisionError: division by zero"),
    ],
)
def test_one_that_fails_is_kept_and_the_run_goes_on(begun, validation, outcome, text):
    session, rows = begun(validated(), SPACE)
    drive_through(session, [5.0, 4.0, 3.0], validation)
    assert len(rows.evaluations) == 3
    assert [(row.outcome, math.isnan(row.loss)) for row in rows.validations] == [(outcome, True)] * 2
    notes = rows.of_kind(EventKind.FAILURE)
    assert [(note.evaluation, note.optimizer, note.call, note.text) for note in notes] == [
        (1, 1, 1, text),
        (2, 1, 2, text),
    ]
    assert session.failures == 0
    assert session.manager.run.validations.lowest_until(2) == INF


def test_a_driver_without_a_validation_loss_says_so(begun):
    session, rows = begun(validated(exit_conditions=[MaxTotalFunctionCalls(max=1)]), SPACE)
    drive(session, lambda x: 1.0)
    assert "its driver was given none" in rows.of_kind(EventKind.FAILURE)[0].text


def test_a_validation_that_nobody_waits_for_is_refused(begun):
    session, _ = begun(validated(), SPACE)
    submit = session.next()
    with pytest.raises(UnknownCallError, match="no validation of call 1 of optimizer 1 is outstanding"):
        session.manager.handle(Validated(1, 1, Outcome.OK, 1.0))
    session.hand_back(Evaluated(*submit[:2], Outcome.OK, 1.0))
    assert session.next().validates == 1
    session.hand_back(Validated(1, 1, Outcome.OK, 1.0))
    with pytest.raises(UnknownCallError):
        session.manager.handle(Validated(1, 1, Outcome.OK, 1.0))


LOSSES = [
    ([], False),
    ([1.0] * 3, False),
    ([1.0] * 4, True),
    ([1.0, 2.0, 0.5, 4.0], False),
    ([4.0, 3.0, 2.0, 2.0], False),
    ([4.0, 3.5, 3.0, 3.0], True),
    ([4.0, 2.99, 4.0, 4.0], False),
    ([-4.0, -5.0, -4.0, -4.0], True),
    ([-4.0, -5.01, -4.0, -4.0], False),
    ([0.0] * 4, True),
    ([INF] * 4, True),
    ([INF, 1.0, INF, INF], False),
    ([9.0, 1.0, INF, INF, INF], True),
]


@pytest.mark.parametrize(("losses", "expected"), LOSSES)
def test_the_stopper_judges_its_optimizers_validations(losses, expected):
    run = hand_made_run(Track([3.0, 2.0, 1.0]), Track([9.0] * 9))
    for loss in losses:
        run.record_validation(1, loss)
        run.record_validation(2, -99.0)
    run.record_validation(0, -99.0)
    stopper = ValidationLossUnmoving(number_of_validations=3, tolerance=0.25)
    assert stopper.judge(run.optimizers[0], run).met is expected


@pytest.mark.parametrize(("losses", "expected"), LOSSES)
def test_the_exit_condition_judges_all_validations(losses, expected):
    run = hand_made_run(Track([3.0, 2.0, 1.0]), Track([9.0] * 9))
    for at, loss in enumerate(losses):
        run.record_validation(at % 3, loss)
    assert ExitValidationLossUnmoving(number_of_validations=3, tolerance=0.25).judge(run).met is expected


def test_they_say_their_numbers():
    run = hand_made_run(Track([1.0]))
    for loss in (4.0, 3.9, 3.9):
        run.record_validation(1, loss)
    stopper = ValidationLossUnmoving(number_of_validations=2, tolerance=0.05)
    assert (
        str(stopper.judge(run.optimizers[0], run))
        == "no improvement > 0.05 x abs(4) in 2 validations (best 3.9)"
    )
    assert stopper.printed == "ValidationLossUnmoving(number_of_validations=2, tolerance=0.05)"


def test_a_run_ends_when_its_validation_loss_moves_no_more(begun):
    session, rows = begun(
        validated(exit_conditions=[ExitValidationLossUnmoving(number_of_validations=2)]), SPACE
    )
    losses = iter(range(100, 0, -1))
    validations = iter([3.0, 2.0, 2.0, 2.0])
    drive(session, lambda x: float(next(losses)), lambda x: next(validations))
    assert len(rows.validations) == 4
    assert session.finish.reason.startswith(
        "ValidationLossUnmoving(number_of_validations=2, tolerance=0.0): no impr"
    )


def test_an_optimizer_is_stopped_when_its_validation_loss_moves_no_more(begun):
    strategy = validated(
        stoppers=[ValidationLossUnmoving(number_of_validations=2)], apply_stoppers_to_best_optimizer=True
    )
    session, rows = begun(strategy, SPACE)
    drive_through(session, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0], validation=lambda x: 1.0)
    (stop,) = rows.of_kind(EventKind.STOPPED)
    assert (stop.optimizer, stop.evaluation) == (1, 4)


@pytest.mark.parametrize(
    "rules",
    [
        {"stoppers": [MaxFunctionCalls(max=9), ValidationLossUnmoving(number_of_validations=2)]},
        {"exit_conditions": [ExitValidationLossUnmoving(number_of_validations=2)]},
    ],
)
def test_rules_about_validations_need_one(rules):
    with pytest.raises(
        ValueError, match=r"ValidationLossUnmoving: it needs a validation loss: add a \[validation\]"
    ):
        validated(validation=None, **rules)
    assert validated(**rules)
