"""Which evaluations are tried again.

Invariants: only what timed out or lost its process, so often as the settings say, and never after the third death; all
attempts are counted in the end, also those that Dask has made by itself.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from optim.messages import Evaluated, Submit, Validated
from optim.outcome import Outcome
from tasks.attempts import Attempts
from tasks.evaluation import Evaluation


def tried(outcomes: list[Outcome], retries: int) -> int:
    """How often an evaluation that comes to these outcomes, one after the other, is tried."""
    attempts = Attempts(Submit(1, 1, np.zeros(1), np.zeros(1)))
    for outcome in outcomes:
        attempts = attempts.and_(Evaluation(outcome, math.nan))
        if not attempts.may_go_on(outcome, retries):
            break
    return attempts.tries


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.NONFINITE, Outcome.EXCEPTION, Outcome.CANCELLED])
def test_what_would_be_the_same_again_is_not_tried_again(outcome):
    assert tried([outcome] * 9, 5) == 1


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (1, 2), (5, 6)])
def test_what_took_too_long_is_tried_as_often_as_allowed(retries, tries):
    assert tried([Outcome.TIMEOUT] * 9, retries) == tries


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (1, 2), (2, 3), (5, 3)])
def test_three_deaths_are_enough(retries, tries):
    assert tried([Outcome.WORKER_LOST] * 9, retries) == tries


def test_a_good_end_is_an_end():
    assert tried([Outcome.TIMEOUT, Outcome.WORKER_LOST, Outcome.OK, Outcome.TIMEOUT], 5) == 3


def test_attempts_of_dask_count():
    attempts = Attempts(Submit(1, 1, np.zeros(1), np.zeros(1))).and_(
        Evaluation(Outcome.WORKER_LOST, math.nan, attempts=3)
    )
    assert not attempts.may_go_on(Outcome.WORKER_LOST, 9)
    assert attempts.tries == 3


@pytest.mark.parametrize(("validates", "kind"), [(0, Evaluated), (7, Validated)])
def test_the_session_is_told_of_all_attempts_and_in_its_own_time(validates, kind):
    submit = Submit(2, 3, np.zeros(1), np.zeros(1), validates=validates)
    found = Evaluation(Outcome.OK, 4.0, "", 101.0, 102.0, "node/7")
    told = Attempts(submit, 1, 1).and_(found).concluded(found, 100.0)
    assert type(told) is kind
    assert told[:8] == (2, 3, Outcome.OK, 4.0, 1.0, 2.0, "node/7", 2)
