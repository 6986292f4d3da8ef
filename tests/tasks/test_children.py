"""Several losses at once, each in a process of its own.

Invariants:

* Each has its process, and what comes of it comes back with its submission; nobody waits for one that takes longer.
* Whoever waits is back in time, also when nothing has ended.
* All processes end with whoever has them, whatever they do.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from optim.messages import Submit
from optim.outcome import Outcome
from tasks.attempts import Attempts
from tasks.child import Isolation
from tasks.children import Children
from tasks.evaluation import Evaluation

HERE = str(Path(__file__).parent)
PATIENCE_S = 60.0


@pytest.fixture
def children():
    before = _alive()
    with Children(2, Isolation()) as children:
        yield children
    assert _alive() <= before


def begin(children: Children, loss: str, call: int) -> None:
    children.begin(
        Attempts(Submit(1, call, np.array([float(call)]), np.zeros(1))), f"misbehaving:{loss}", HERE
    )


def next_ended(children: Children) -> list[tuple[int, Evaluation]]:
    """Call and evaluation of those that end next."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        if ended := [(attempts.submit.call, evaluation) for attempts, evaluation in children.ended(0.05)]:
            return ended
    raise TimeoutError


def test_what_has_ended_makes_room_while_another_one_goes_on(children):
    begin(children, "hangs_in_c", 1)
    for call in (2, 3, 4):
        assert not children.are_busy
        begin(children, "behaves", call)
        assert children.are_busy
        ((ended, evaluation),) = next_ended(children)
        assert (ended, evaluation.loss) == (call, call**2)


def test_one_that_dies_is_replaced_and_the_other_one_stays(children):
    begin(children, "ends_badly", 1)
    before = _alive()
    begin(children, "hangs_in_c", 2)
    hanging = _alive() - before
    ((ended, evaluation),) = next_ended(children)
    assert (ended, evaluation.outcome) == (1, Outcome.WORKER_LOST)
    begin(children, "behaves", 3)
    ((ended, evaluation),) = next_ended(children)
    assert (ended, evaluation.loss) == (3, 9.0)
    assert len(hanging) == 2  # the process that hangs, and its guard
    assert hanging <= _alive()


def test_each_has_its_own_process(children):
    begin(children, "behaves", 1)
    begin(children, "behaves", 2)
    found: list[tuple[int, Evaluation]] = []
    while len(found) < 2:
        found += next_ended(children)
    assert {call: evaluation.loss for call, evaluation in found} == {1: 1.0, 2: 4.0}
    assert len({evaluation.worker for _, evaluation in found}) == 2


def test_it_does_not_wait_longer_than_it_is_asked_to(children):
    assert list(children.ended(0.0)) == []
    begin(children, "hangs_in_c", 1)
    assert list(children.ended(0.0)) == []


def _alive() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}
