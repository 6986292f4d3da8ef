"""The stoppers that look at one thing: MaxFunctionCalls, LastPointsInvalid, MaxStepSize.

Invariants: counts use `>=`; a window that is not full says no; steps are relative to the diagonal of the space; the
first two do not wait for a first look round.
"""

import math

import pytest

from optim.stoppers.last_points_invalid import LastPointsInvalid
from optim.stoppers.max_function_calls import MaxFunctionCalls
from optim.stoppers.max_step_size import MaxStepSize
from optim.testing.conditions import StopperConformance
from optim.testing.hand_made import Track, hand_made_run

INF = math.inf


class TestMaxFunctionCalls(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return MaxFunctionCalls(max=5)


class TestLastPointsInvalid(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return LastPointsInvalid(number_of_function_calls=3)


class TestMaxStepSize(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return MaxStepSize(number_of_function_calls=4)


def is_met(stopper, track, dimension=2):
    run = hand_made_run(track, dimension=dimension)
    return stopper.judge(run.optimizers[0], run).met


@pytest.mark.parametrize(("calls", "expected"), [(4, False), (5, True), (6, True)])
def test_a_share_of_calls_is_a_share_of_calls(calls, expected):
    assert is_met(MaxFunctionCalls(max=5), Track([1.0] * calls)) is expected


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([INF, INF], False),
        ([INF, INF, INF], True),
        ([1.0, INF, INF, INF], True),
        ([INF, INF, 1.0], False),
        ([INF, 1.0, INF], False),
    ],
)
def test_only_failures_alone_are_invalid(losses, expected):
    assert is_met(LastPointsInvalid(number_of_function_calls=3), Track(losses)) is expected


def test_one_failure_is_enough_by_default():
    assert is_met(LastPointsInvalid(), Track([1.0, INF]))


@pytest.mark.parametrize("step", [0.0625, 0.125, 0.25])
@pytest.mark.parametrize("dimension", [1, 4, 100])
def test_steps_are_measured_along_the_diagonal(step, dimension):
    points = [[step * at] * dimension for at in range(4)]
    stopper = MaxStepSize(max_relative_step_size=0.125, number_of_function_calls=4)
    assert is_met(stopper, Track([1.0] * 4, points), dimension) is (step <= 0.125)


def test_the_mean_step_of_the_window_counts():
    points = [[0.0], [0.5], [0.5], [0.5], [0.625]]
    stopper = MaxStepSize(max_relative_step_size=0.0625, number_of_function_calls=3)
    assert is_met(stopper, Track([1.0] * 5, points), 1)
    wider = MaxStepSize(max_relative_step_size=0.0625, number_of_function_calls=5)
    assert not is_met(wider, Track([1.0] * 5, points), 1)


def test_too_few_points_are_no_steps():
    assert not is_met(MaxStepSize(max_relative_step_size=1.0, number_of_function_calls=4), Track([1.0] * 3))


def test_a_first_look_round_is_not_waited_for_where_it_makes_no_sense():
    assert not MaxFunctionCalls.needs_warm_up
    assert not LastPointsInvalid.needs_warm_up
    assert MaxStepSize.needs_warm_up
