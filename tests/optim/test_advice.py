"""What is allowed, but hardly meant.

Invariants: each piece of advice names its place, and appears at its boundary and not beside it; the tutorial's run
files, which people are told to start from, get none.
"""

from pathlib import Path

import pytest

from flows.run_files.reading import read_settings
from optim.advice import advice
from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_optimizers_stopped import MaxOptimizersStopped
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.exit_conditions.stops_after_convergence import StopsAfterConvergence
from optim.generators.list import List
from optim.generators.random import Random
from optim.generators.single_point import SinglePoint
from optim.optimizers.adaptive_rate_monte_carlo import AdaptiveRateMonteCarlo
from optim.optimizers.cmaes import CMAES
from optim.optimizers.scipy import Scipy
from optim.problems.lj_argon import problem
from optim.selectors.random import Random as RandomSelector
from optim.space import Parameter, Space
from optim.stoppers.best_function_value_unmoving import BestFunctionValueUnmoving
from optim.stoppers.current_function_value_unmoving import CurrentFunctionValueUnmoving
from optim.stoppers.last_points_invalid import LastPointsInvalid
from optim.stoppers.max_function_calls import MaxFunctionCalls
from optim.stoppers.max_step_size import MaxStepSize
from optim.stoppers.optimizer_type import OptimizerType
from optim.strategy import Strategy

EXAMPLES = sorted((Path(__file__).parents[2] / "deployments/examples").glob("lj_argon_[1-4].toml"))
SIMPLEX = Scipy(algorithm="Nelder-Mead")
BUDGET = MaxTotalFunctionCalls(max=100)


def space_of(dimension):
    free = [Parameter(name=f"p{at}", initial=0.5, lower=0.0, upper=1.0) for at in range(dimension)]
    return Space([*free, Parameter(name="fixed", initial=1.0, active=False)])


def advised(dimension=2, **settings):
    """Path and message of each."""
    settings = {"generator": Random(), "exit_conditions": [BUDGET], **settings}
    return [tuple(found) for found in advice(Strategy(**settings), space_of(dimension))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_tutorials_run_files_get_none(path):
    _, settings = read_settings(path)
    assert list(advice(settings, problem.space)) == []


def test_there_are_four_of_them():
    assert len(EXAMPLES) == 4


def row(count):
    return List(points=[{"p0": at / 10} for at in range(count)])


@pytest.mark.parametrize(
    ("generator", "optimizers", "parallel", "are_twins"),
    [
        (SinglePoint(), [SIMPLEX], 1, False),
        (SinglePoint(), [SIMPLEX], 2, True),
        (SinglePoint(), [CMAES()], 9, False),
        (SinglePoint(), [Scipy(algorithm="dual_annealing")], 9, False),
        (SinglePoint(), [SIMPLEX, CMAES()], 2, False),
        (SinglePoint(), [SIMPLEX, CMAES()], 3, True),
        (SinglePoint(), [SIMPLEX, SIMPLEX], 2, True),
        (SinglePoint(), [SIMPLEX, Scipy(label="again")], 2, True),
        (SinglePoint(), [SIMPLEX, Scipy(tolerance=1e-3)], 2, False),
        (Random(), [SIMPLEX], 9, False),
        (row(3), [SIMPLEX], 3, False),
        (row(3), [SIMPLEX], 4, True),
        (row(3), [SIMPLEX, CMAES()], 6, False),
        (row(3), [SIMPLEX, CMAES()], 7, True),
        (row(2), [SIMPLEX, CMAES()], 2, False),
        (row(2), [SIMPLEX, CMAES()], 3, True),
        (row(4), [SIMPLEX, CMAES()], 5, True),
    ],
)
def test_deterministic_optimizers_that_start_at_one_point_are_twins(
    generator, optimizers, parallel, are_twins
):
    found = advised(generator=generator, optimizers=optimizers, parallel_optimizers=parallel)
    assert [path for path, _ in found] == [("generator",)] * are_twins


def test_only_a_cycle_keeps_blocks_apart():
    settings = {"generator": SinglePoint(), "optimizers": [SIMPLEX, CMAES()], "parallel_optimizers": 2}
    assert advised(**settings) == []
    ((path, message),) = advised(**settings, optimizer_selector=RandomSelector())
    assert path == ("generator",)
    assert message.startswith("SinglePoint gives 1 starting point to 2 parallel optimizers; two ")


@pytest.mark.parametrize("dimension", [1, 2, 100])
@pytest.mark.parametrize(
    "stopper",
    [BestFunctionValueUnmoving, CurrentFunctionValueUnmoving, MaxStepSize],
    ids=lambda one: one.__name__,
)
def test_a_window_must_be_longer_than_two_look_rounds(dimension, stopper):
    enough = 2 * (dimension + 1)
    short = {"stoppers": [MaxFunctionCalls(max=1), stopper(number_of_function_calls=enough - 1)]}
    ((path, message),) = advised(dimension, **short)
    assert path == ("stopper", 1)
    assert f"looks at {enough - 1} calls; in {dimension} dimensions" in message
    assert f"{enough} or more" in message
    for window in (enough, enough + 1):
        assert advised(dimension, stoppers=[stopper(number_of_function_calls=window)]) == []


@pytest.mark.parametrize(
    ("optimizers", "is_impossible"),
    [([AdaptiveRateMonteCarlo()], True), ([AdaptiveRateMonteCarlo(), SIMPLEX], False), ([SIMPLEX], False)],
)
@pytest.mark.parametrize("condition", [MaxOptimizersConverged(), StopsAfterConvergence()])
def test_a_convergence_is_not_to_be_waited_for_where_none_ever_comes(optimizers, is_impossible, condition):
    found = advised(optimizers=optimizers, exit_conditions=[BUDGET, condition])
    message = f"{condition.printed} can never hold: none of the optimizers ever converges"
    assert found == ([(("exit_condition", 1), message)] if is_impossible else [])


def test_stoppers_that_wait_for_no_look_round_may_be_short():
    assert (
        advised(100, stoppers=[LastPointsInvalid(number_of_function_calls=1), MaxFunctionCalls(max=1)]) == []
    )


def test_rules_that_no_combination_names_are_pointed_out():
    found = advised(
        stoppers=[MaxFunctionCalls(max=1), MaxFunctionCalls(max=2)],
        stopper_boolean_combination="2",
        exit_conditions=[BUDGET, MaxOptimizersConverged(max=1)],
        exit_condition_boolean_combination="1",
    )
    assert found == [
        (("stopper", 0), "MaxFunctionCalls is not part of stopper_boolean_combination"),
        (("exit_condition", 1), "MaxOptimizersConverged is not part of exit_condition_boolean_combination"),
    ]


@pytest.mark.parametrize(
    ("combination", "is_alone"),
    [(None, True), ("1 | 2", True), ("1 & 2", False), ("1 & 2 | 2", True), ("1", False)],
)
def test_a_type_alone_stops_every_one_of_its_type(combination, is_alone):
    found = advised(
        optimizers=[SIMPLEX],
        stoppers=[MaxFunctionCalls(max=9), OptimizerType(optimizer="Scipy")],
        stopper_boolean_combination=combination,
    )
    advised_alone = (
        ("stopper", 1),
        "OptimizerType alone stops every Scipy at its first call; combine it with '&'",
    )
    assert (advised_alone in found) is is_alone


def test_an_exit_that_can_never_hold_is_pointed_out():
    found = advised(
        exit_conditions=[BUDGET, MaxOptimizersStopped(max=2), MaxOptimizersConverged(max=9)],
        control_optimizer_spawning={"max_optimizers": 8},
    )
    assert found == [
        (("exit_condition", 1), "MaxOptimizersStopped(nstop=2) can never hold: there are no stoppers"),
        (
            ("exit_condition", 2),
            "MaxOptimizersConverged(nconv=9) can never hold: it needs 9 optimizers, and"
            " control_optimizer_spawning lets 8 start",
        ),
    ]
