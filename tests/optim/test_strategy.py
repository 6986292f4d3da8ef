"""Settings that are right one by one, but not together.

Invariants: each contradiction names its place; all are found at once; an exit that can never be met is found, and only
a combination that none of the others can meet is refused for it.
"""

import pytest
from pydantic import ValidationError

from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_optimizers_started import MaxOptimizersStarted
from optim.exit_conditions.max_optimizers_stopped import MaxOptimizersStopped
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.exit_conditions.stops_after_convergence import StopsAfterConvergence
from optim.exit_conditions.time_limit import TimeLimit
from optim.exit_conditions.validation_loss_unmoving import (
    ValidationLossUnmoving as ExitValidationLossUnmoving,
)
from optim.generators.list import List
from optim.optimizers.cmaes import CMAES
from optim.optimizers.scipy import Scipy
from optim.selectors.chain import Chain
from optim.space import Parameter, Space
from optim.stoppers.max_function_calls import MaxFunctionCalls
from optim.stoppers.optimizer_type import OptimizerType
from optim.stoppers.validation_loss_unmoving import ValidationLossUnmoving
from optim.strategy import ContradictionsError, Strategy

STOPPER = MaxFunctionCalls(max=9)
BUDGET = MaxTotalFunctionCalls(max=100)
LINE = Space([Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)])
VALIDATION = {"problem": "elsewhere:loss"}


def contradictions(**settings):
    """Path and message of each."""
    with pytest.raises(ValidationError) as caught:
        Strategy(**settings)
    (error,) = caught.value.errors()
    found = error["ctx"]["error"]
    assert isinstance(found, ContradictionsError)
    return [tuple(contradiction) for contradiction in found.contradictions]


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"optimizers": []}, ("optimizer",), "at least one is needed"),
        ({"exit_conditions": []}, ("exit_condition",), "at least one is needed"),
        (
            {"stopper_boolean_combination": "1"},
            ("stopper_boolean_combination",),
            "it names 1, but there are none",
        ),
        (
            {"exit_condition_boolean_combination": "1 | 2"},
            ("exit_condition_boolean_combination",),
            "it names 2, but there are 1, numbered from 1",
        ),
        (
            {"optimizer_selector": Chain(thresholds=[5])},
            ("optimizer_selector",),
            "a Chain of 1 optimizers needs 0 thresholds, got 1",
        ),
        (
            {
                "stoppers": [STOPPER, OptimizerType(optimizer="Scypi")],
                "optimizers": [Scipy(), CMAES(label="x")],
            },
            ("stopper", 1),
            "OptimizerType: no optimizer block has the type or label 'Scypi'; there are Scipy, ",
        ),
        (
            {"stoppers": [ValidationLossUnmoving(number_of_validations=2)]},
            ("stopper", 0),
            "ValidationLossUnmoving: it needs a validation loss",
        ),
        (
            {"exit_conditions": [BUDGET, ExitValidationLossUnmoving(number_of_validations=2)]},
            ("exit_condition", 1),
            "ValidationLossUnmoving: it needs a validation loss",
        ),
        (
            {"exit_conditions": [MaxOptimizersStopped(max=2)]},
            ("exit_condition", 0),
            "MaxOptimizersStopped(nstop=2) can never hold: there are no stoppers",
        ),
        (
            {
                "exit_conditions": [MaxOptimizersConverged(max=5)],
                "control_optimizer_spawning": {"max_optimizers": 4},
            },
            ("exit_condition", 0),
            "MaxOptimizersConverged(nconv=5) can never hold: it needs 5 optimizers, and"
            " control_optimizer_spawning lets 4 start",
        ),
        (
            {
                "exit_conditions": [BUDGET, MaxOptimizersStopped(max=2)],
                "exit_condition_boolean_combination": "1 & 2",
            },
            ("exit_condition", 1),
            "can never hold",
        ),
    ],
)
def test_a_contradiction_says_where_it_is(settings, path, message):
    ((found_path, found_message),) = contradictions(**settings)
    assert found_path == path
    assert message in found_message


def test_all_are_found_at_once():
    found = contradictions(
        optimizers=[],
        stopper_boolean_combination="1 |",
        exit_conditions=[MaxOptimizersStopped(max=2), ExitValidationLossUnmoving(number_of_validations=2)],
        exit_condition_boolean_combination="1",
        optimizer_selector=Chain(thresholds=[5]),
    )
    assert [path for path, _ in found] == [
        ("optimizer",),
        ("stopper_boolean_combination",),
        ("optimizer_selector",),
        ("exit_condition", 1),
        ("exit_condition", 0),
    ]


@pytest.mark.parametrize("named", ["Scipy", "mine", "CMAES"])
def test_rules_that_fit_are_no_contradiction(named):
    strategy = Strategy(
        optimizers=[Scipy(label="mine"), CMAES()],
        stoppers=[OptimizerType(optimizer=named), ValidationLossUnmoving(number_of_validations=2)],
        exit_conditions=[BUDGET, ExitValidationLossUnmoving(number_of_validations=2), TimeLimit(seconds=1)],
        validation=VALIDATION,
    )
    assert strategy.impossible_exits == {}


@pytest.mark.parametrize(
    ("condition", "max_optimizers", "is_impossible"),
    [
        (MaxOptimizersConverged(max=5), 4, True),
        (MaxOptimizersConverged(max=5), 5, False),
        (MaxOptimizersConverged(max=5), None, False),
        (MaxOptimizersStarted(max=5), 4, True),
        (MaxOptimizersStarted(max=5), 5, False),
        (MaxOptimizersStopped(max=5), 4, True),
        (MaxOptimizersStopped(max=5), 5, False),
        (StopsAfterConvergence(optimizers_converged=2, optimizers_stopped=3), 4, True),
        (StopsAfterConvergence(optimizers_converged=2, optimizers_stopped=3), 5, False),
        (BUDGET, 1, False),
        (TimeLimit(seconds=1), 1, False),
    ],
)
def test_an_exit_needs_as_many_optimizers_as_may_start(condition, max_optimizers, is_impossible):
    strategy = Strategy(
        stoppers=[STOPPER],
        exit_conditions=[BUDGET, condition],
        control_optimizer_spawning={"max_optimizers": max_optimizers},
    )
    assert list(strategy.impossible_exits) == [1] * is_impossible


@pytest.mark.parametrize(
    ("condition", "is_impossible"),
    [
        (MaxOptimizersStopped(max=1), True),
        (StopsAfterConvergence(optimizers_stopped=1), True),
        (StopsAfterConvergence(optimizers_stopped=0), False),
    ],
)
def test_without_stoppers_nobody_is_stopped(condition, is_impossible):
    strategy = Strategy(exit_conditions=[BUDGET, condition])
    assert list(strategy.impossible_exits) == [1] * is_impossible


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"generator": List(points=[[2.0]])}, ("generator",), "point 1: a = 2 is outside its bounds"),
        ({"optimizers": [Scipy(), CMAES()]}, ("optimizer", 1), "CMAES needs at least two parameters"),
    ],
)
def test_what_does_not_go_with_the_parameters_says_where_it_is(settings, path, message):
    strategy = Strategy(**{"optimizers": [Scipy()], "exit_conditions": [BUDGET], **settings})
    (found,) = strategy.contradictions_in(LINE)
    assert found.path == path
    assert message in found.message


def test_settings_survive_as_json():
    strategy = Strategy(
        optimizers=[Scipy(label="mine", parameters=["a"]), CMAES()],
        generator=List(points=[[0.5], {"a": 0.25}]),
        stoppers=[OptimizerType(optimizer="mine"), ValidationLossUnmoving(number_of_validations=2)],
        stopper_boolean_combination="1 & 2",
        exit_conditions=[BUDGET, TimeLimit(seconds=60)],
        validation={**VALIDATION, "every": 3},
    )
    assert Strategy.model_validate_json(strategy.model_dump_json()) == strategy
