"""Exit conditions count with `>=`, print like the tutorial, and only a budget is a hard cap."""

import pytest

from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_optimizers_started import MaxOptimizersStarted
from optim.exit_conditions.max_optimizers_stopped import MaxOptimizersStopped
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.exit_conditions.target_function_value import TargetFunctionValue
from optim.run_state import RunState
from optim.testing.conditions import ExitConditionConformance
from optim.testing.hand_made import Track, hand_made_run


class TestMaxTotalFunctionCalls(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return MaxTotalFunctionCalls(max=100)


class TestMaxOptimizersConverged(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return MaxOptimizersConverged(max=5)


class TestMaxOptimizersStarted(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return MaxOptimizersStarted(max=5)


class TestMaxOptimizersStopped(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return MaxOptimizersStopped(max=5)


class TestTargetFunctionValue(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return TargetFunctionValue(target=0.5)


@pytest.mark.parametrize(("count", "expected"), [(4, False), (5, True), (6, True)])
@pytest.mark.parametrize(
    "condition",
    [MaxTotalFunctionCalls(max=5), MaxOptimizersConverged(max=5), MaxOptimizersStopped(max=5)],
    ids=lambda condition: condition.type_name(),
)
def test_it_is_met_at_its_count(condition, count, expected):
    run = RunState(2)
    run.evaluations = run.stopped = count
    run.stopped_before += [0] * count
    assert condition.judge(run).met is expected


@pytest.mark.parametrize(("count", "expected"), [(4, False), (5, True), (6, True)])
def test_starts_are_counted_dead_or_alive(count, expected):
    run = hand_made_run(*[Track([1.0], is_alive=False)] * count)
    assert MaxOptimizersStarted(max=5).judge(run).met is expected


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(0.5, True), (0.5 + 0.9e-6, True), (0.5 + 1.1e-6, False), (-3.0, True), (9.0, False)],
)
def test_a_target_is_met_from_a_millionth_above_it(loss, expected):
    assert TargetFunctionValue(target=0.5).judge(hand_made_run(Track([loss]))).met is expected


def test_they_print_as_in_the_tutorial():
    assert MaxTotalFunctionCalls(max=2500).printed == "MaxTotalFunctionCalls(fmax=2500)"
    assert MaxOptimizersConverged(max=5).printed == "MaxOptimizersConverged(nconv=5)"
    assert MaxOptimizersStarted(max=5).printed == "MaxOptimizersStarted(nstart=5)"
    assert MaxOptimizersStopped(max=5).printed == "MaxOptimizersStopped(nstop=5)"
    assert TargetFunctionValue(target=0.5).printed == "TargetFunctionValue(target=0.5)"


def test_only_the_number_of_evaluations_is_a_budget():
    assert MaxTotalFunctionCalls(max=7).budget == 7
    assert MaxOptimizersConverged(max=7).budget is None
