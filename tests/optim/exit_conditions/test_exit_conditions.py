"""Exit conditions count with `>=`, print like the tutorial, and only a budget is a hard cap."""

import pytest

from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.run_state import RunState
from optim.testing.conditions import ExitConditionConformance


class TestMaxTotalFunctionCalls(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return MaxTotalFunctionCalls(max=100)


class TestMaxOptimizersConverged(ExitConditionConformance):
    @pytest.fixture
    def exit_condition(self):
        return MaxOptimizersConverged(max=5)


@pytest.mark.parametrize(("count", "expected"), [(4, False), (5, True), (6, True)])
@pytest.mark.parametrize(
    ("condition", "counter"),
    [(MaxTotalFunctionCalls(max=5), "evaluations"), (MaxOptimizersConverged(max=5), "converged")],
)
def test_it_is_met_at_its_count(condition, counter, count, expected):
    run = RunState(2)
    setattr(run, counter, count)
    assert condition.judge(run).met is expected


def test_they_print_as_in_the_tutorial():
    assert MaxTotalFunctionCalls(max=2500).printed == "MaxTotalFunctionCalls(fmax=2500)"
    assert MaxOptimizersConverged(max=5).printed == "MaxOptimizersConverged(nconv=5)"


def test_only_the_number_of_evaluations_is_a_budget():
    assert MaxTotalFunctionCalls(max=7).budget == 7
    assert MaxOptimizersConverged(max=7).budget is None
