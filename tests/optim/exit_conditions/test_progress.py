"""How far a run is from each exit condition.

Invariants: counts are told of what must be reached, time from the sessions' times, and a target only as the loss that
there is; nothing is told where nobody can tell. (That it is at its end exactly when the condition is met: the
conformance suite.)
"""

import math

import pytest

from optim.exit_conditions.base import ExitCondition
from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_optimizers_started import MaxOptimizersStarted
from optim.exit_conditions.max_optimizers_stopped import MaxOptimizersStopped
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.exit_conditions.stops_after_convergence import StopsAfterConvergence
from optim.exit_conditions.target_function_value import TargetFunctionValue
from optim.exit_conditions.time_limit import TimeLimit
from optim.exit_conditions.time_limit_through_restarts import TimeLimitThroughRestarts
from optim.exit_conditions.validation_loss_unmoving import ValidationLossUnmoving
from optim.losses import Losses
from optim.progress import EVALUATIONS, SECONDS, Progress, Standing
from optim.space import Parameter, Space
from optim.strategy import Strategy
from optim.testing.hand_made import Scripted
from optim.verdict import NO

SPACE = Space([Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)])
STANDING = Standing(1234, 9, 2, 5, [1, 3], 0.25, Losses(), earlier_s=100.0, session_s=20.5)


@pytest.mark.parametrize(
    ("condition", "done", "of", "text"),
    [
        (MaxTotalFunctionCalls(max=2500), 1234, 2500, "1,234 / 2,500"),
        (MaxOptimizersConverged(max=5), 2, 5, "2 / 5"),
        (MaxOptimizersStarted(max=10), 9, 10, "9 / 10"),
        (MaxOptimizersStopped(max=4), 5, 4, "5 / 4"),
        (TargetFunctionValue(target=0.1), 0.25, None, "0.25"),
        (TimeLimit(seconds=60), 20.5, 60.0, "20 / 60 s"),
        (TimeLimitThroughRestarts(seconds=240), 120.5, 240.0, "120 / 240 s"),
        (TimeLimitThroughRestarts(seconds=90), 110.5, 90.0, "110 / 90 s"),
        (StopsAfterConvergence(optimizers_converged=3, optimizers_stopped=4), 2, 7, "2 / 7"),
        (StopsAfterConvergence(optimizers_converged=1, optimizers_stopped=8), 5, 9, "5 / 9"),
        (StopsAfterConvergence(optimizers_converged=2, optimizers_stopped=2), 4, 4, "4 / 4"),
    ],
    ids=lambda value: value.printed if isinstance(value, ExitCondition) else "",
)
def test_each_says_what_is_done_and_of_how_much(condition, done, of, text):
    progress = condition.progress(STANDING)
    assert (progress.done, progress.of, str(progress)) == (done, of, text)


def test_what_a_budget_and_a_time_limit_count_is_known_to_all():
    assert MaxTotalFunctionCalls(max=7).progress(STANDING).counts == EVALUATIONS
    assert TimeLimit(seconds=7).progress(STANDING).counts == SECONDS


def test_without_a_finite_loss_there_is_nothing_to_say_of_a_target():
    assert TargetFunctionValue(target=0.1).progress(STANDING._replace(best_loss=math.inf)) is None


@pytest.mark.parametrize(
    ("losses", "tolerance", "done"),
    [
        ([], 0.0, 0),
        ([5.0], 0.0, 0),
        ([5.0, 4.0], 0.0, 0),
        ([5.0, 4.0, 4.5, 4.0], 0.0, 2),
        ([5.0, 4.0, 9.0, 9.0, 9.0, 9.0], 0.0, 3),
        ([5.0, 4.9, 4.8], 0.1, 2),
        ([math.inf, math.inf], 0.0, 1),
    ],
)
def test_validations_count_since_the_last_improvement(losses, tolerance, done):
    validations = Losses()
    for loss in losses:
        validations.add(loss)
    condition = ValidationLossUnmoving(number_of_validations=3, tolerance=tolerance)
    assert condition.progress(STANDING._replace(validations=validations))[:2] == (done, 3)


def test_a_condition_that_says_nothing_has_no_progress():
    class Never(ExitCondition):
        """Of another package."""

        def judge(self, run):
            return NO

    assert Never().progress(STANDING) is None


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [(Progress(1, 4), 0.25), (Progress(5, 4), 1.0), (Progress(-1.0, 4), 0.0), (Progress(3.0), None)],
)
def test_a_fraction_is_from_nothing_to_all(progress, fraction):
    assert progress.fraction == fraction


def test_a_session_knows_how_it_stands(begun, clock):
    clock.now_s = 30.0
    session, _ = begun(Strategy(optimizers=[Scripted()]), SPACE, spent_s=30.0)
    clock.now_s = 32.5
    assert session.standing() == Standing.of(session.manager.run, 30.0, 2.5)
