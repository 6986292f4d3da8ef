"""When a run says that tracking costs more than the loss.

Invariants: only after enough evaluations, besides the first ones; once; never with a slow loss, and never for time in
which the workers had nothing to do.
"""

from __future__ import annotations

import logging

import pytest

from flows.lanes.tracking_cost import ENOUGH, TrackingCost

THREADS = 2


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cost(clock: Clock) -> TrackingCost:
    return TrackingCost(logging.getLogger("tracking"), clock)


def evaluate(
    cost: TrackingCost, clock: Clock, count: int, loss_s: float, tracking_s: float, threads: int = THREADS
):
    """As many evaluations, one in each place at a time; fewer threads are kept busy than there are."""
    for _ in range(count):
        cost.look(threads)
        clock.now_s += (loss_s + tracking_s) / THREADS
        cost.took(loss_s)
    cost.look(0)


def test_it_is_said_once_with_the_figures_and_the_setting(cost, clock, caplog):
    evaluate(cost, clock, 2 * ENOUGH - 1, 0.001, 0.03)
    assert not caplog.messages
    evaluate(cost, clock, 4 * ENOUGH, 0.001, 0.03)
    assert caplog.messages == [
        "Tracking costs more than the loss: 30 ms for each evaluation, whose loss takes 1 ms. With"
        ' evaluation.per_task = "auto" a task run carries several of them.'
    ]


def test_nothing_is_said_of_a_slow_loss(cost, clock, caplog):
    evaluate(cost, clock, 5 * ENOUGH, 1.0, 0.03)
    assert not caplog.messages


def test_the_first_evaluations_say_nothing(cost, clock, caplog):
    evaluate(cost, clock, ENOUGH, 0.05, 1.0)  # workers import the loss
    evaluate(cost, clock, ENOUGH, 0.05, 0.03)
    assert not caplog.messages


def test_time_in_which_workers_had_nothing_to_do_does_not_count(cost, clock, caplog):
    for _ in range(5 * ENOUGH):
        evaluate(cost, clock, 1, 0.05, 0.03)
        clock.now_s += 1.0
    evaluate(cost, clock, 5 * ENOUGH, 0.05, 1.0, threads=0)
    assert not caplog.messages


def test_it_is_said_as_soon_as_a_loss_has_become_cheap(cost, clock, caplog):
    evaluate(cost, clock, 3 * ENOUGH, 1.0, 0.03)
    evaluate(cost, clock, 2 * ENOUGH, 0.001, 0.03)
    assert len(caplog.messages) == 1
