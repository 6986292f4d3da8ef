"""BestFunctionValueUnmoving(calls, tolerance).

Invariants: needs more than `calls` losses; an improvement of at most the tolerance does not count; nothing finite is no
improvement.
"""

import math

import pytest

from optim.stoppers.best_function_value_unmoving import BestFunctionValueUnmoving
from optim.testing.conditions import StopperConformance
from optim.testing.hand_made import Track, hand_made_run

INF = math.inf


class TestConformance(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return BestFunctionValueUnmoving(number_of_function_calls=10, tolerance=0.05)


def judge(losses, calls=3, tolerance=0.0):
    run = hand_made_run(Track(losses))
    stopper = BestFunctionValueUnmoving(number_of_function_calls=calls, tolerance=tolerance)
    return stopper.judge(run.optimizers[0], run)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0] * 3, False),
        ([1.0] * 4, True),
        ([1.0, 2.0, 3.0, 4.0], True),
        ([1.0, 2.0, 0.999, 4.0], False),
        ([0.5, 1.0, 0.9, 0.8, 0.7], True),
        ([INF] * 4, True),
        ([INF, 1.0, INF, INF], False),
        ([1.0, INF, INF, INF], True),
        ([0.0] * 4, True),
    ],
)
def test_without_a_tolerance_any_improvement_counts(losses, expected):
    assert judge(losses).met is expected


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([4.0, 3.0, 3.0, 3.0], True),
        ([4.0, 2.9, 3.0, 3.0], False),
        ([-4.0, -5.0, -4.0, -4.0], True),
        ([-4.0, -5.1, -4.0, -4.0], False),
    ],
)
def test_an_improvement_of_at_most_the_tolerance_does_not_count(losses, expected):
    assert judge(losses, tolerance=0.25).met is expected


def test_it_says_its_numbers():
    assert (
        str(judge([4.0, 3.5, 5.0, 5.0], tolerance=0.25))
        == "no improvement > 0.25 x abs(4) in 3 calls (best 3.5)"
    )
    assert str(judge([INF] * 4)) == "no finite loss in 4 calls"
