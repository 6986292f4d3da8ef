"""CurrentFunctionValueUnmoving(calls, tolerance).

Invariants: needs `calls` losses; at most the tolerance counts; only above the best; a non-finite loss in
the window says no.
"""

import math

import pytest

from optim.stoppers.current_function_value_unmoving import CurrentFunctionValueUnmoving
from optim.testing.conditions import StopperConformance
from optim.testing.hand_made import Track, hand_made_run

OTHER = Track([0.5])


class TestConformance(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return CurrentFunctionValueUnmoving(number_of_function_calls=10, tolerance=0.05)


def is_met(losses, calls=4, tolerance=0.05, others=(OTHER,)):
    run = hand_made_run(Track(losses), *others)
    stopper = CurrentFunctionValueUnmoving(number_of_function_calls=calls, tolerance=tolerance)
    return stopper.judge(run.optimizers[0], run).met


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0] * 3, False),
        ([1.0] * 4, True),
        ([9.0, 1.0, 1.0, 1.0, 1.0], True),
        ([9.0, 1.0, 1.0, 1.0], False),
        ([0.75, 1.25, 0.75, 1.25], True),
        ([0.74, 1.26, 0.74, 1.25], False),
    ],
    ids=[
        "too few",
        "just enough",
        "only the window counts",
        "still moving",
        "at the tolerance",
        "just above it",
    ],
)
def test_the_window_and_the_tolerance(losses, expected):
    assert is_met(losses, tolerance=0.2) is expected


def test_the_deviation_is_that_of_the_population():
    losses = [1.0, 1.0, 1.0, 1.4]
    deviation = math.sqrt(0.75) * 0.2
    assert is_met(losses, tolerance=deviation / 1.4 * (1 + 1e-12))
    assert not is_met(losses, tolerance=deviation / 1.4 * (1 - 1e-12))


def test_a_tolerance_of_zero_stops_only_what_does_not_move_at_all():
    assert is_met([1.0] * 4, tolerance=0.0)
    assert not is_met([1.0, 1.0, 1.0, 1.0 + 1e-15], tolerance=0.0)


def test_the_best_is_not_worse_than_itself():
    assert not is_met([0.5] * 4)
    assert not is_met([0.5] * 4, others=())
    assert is_met([0.1, 1.0, 1.0, 1.0, 1.0], others=())


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("at", range(4))
def test_a_non_finite_loss_in_the_window_says_no(bad, at):
    losses = [1.0] * 4
    losses[at] = bad
    assert not is_met(losses)


def test_negative_losses_count_by_their_size():
    assert is_met([-100.0, -104.0, -100.0, -104.0], tolerance=0.02, others=(Track([-200.0]),))
    assert not is_met([-100.0, -106.0, -100.0, -106.0], tolerance=0.02, others=(Track([-200.0]),))


def test_a_latest_loss_of_zero_allows_no_movement():
    assert not is_met([0.1, 0.1, 0.1, 0.0], tolerance=100.0, others=(Track([-1.0]),))
    assert is_met([0.0] * 4, tolerance=0.0, others=(Track([-1.0]),))


def test_it_says_its_numbers():
    run = hand_made_run(Track([1.0] * 4), OTHER)
    stopper = CurrentFunctionValueUnmoving(number_of_function_calls=4, tolerance=0.05)
    text = str(stopper.judge(run.optimizers[0], run))
    assert text == "the last 4 losses vary by 0, at most 0.05 x abs(1), above the best 0.5"
