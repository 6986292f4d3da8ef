"""The running best, thinned out.

Invariants: it never has more than `MOST_POINTS` steps; the first and the latest are among them; it comes down.
"""

from hypothesis import given
from hypothesis import strategies as st

from optim.descent import MOST_POINTS, Descent
from optim.testing.hand_made import Track, hand_made_run


@given(st.integers(1, 5 * MOST_POINTS))
def test_it_keeps_the_first_and_the_latest_and_never_too_many(count):
    descent = Descent()
    for number in range(1, count + 1):
        descent.add(3 * number, -float(number))
    steps = descent.steps
    assert len(steps) <= MOST_POINTS
    assert len(steps) >= min(count, MOST_POINTS // 2)
    assert steps[0] == (3, -1.0)
    assert steps[-1] == (3 * count, -float(count))
    assert steps == sorted(steps, key=lambda step: (step.evaluation, -step.loss))


def test_a_run_remembers_each_new_best():
    run = hand_made_run(Track([5.0, 7.0, 3.0]), Track([float("inf"), 4.0, 1.0]))
    assert run.descent.steps == [(1, 5.0), (3, 3.0), (6, 1.0)]
