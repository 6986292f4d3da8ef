"""Points in the same minimum.

Invariants: every point is in exactly one minimum; the lowest leads it and all others are near it in the unit cube and
in loss; minima and their points ascend in loss; the order in which points are given does not matter.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optim.minima import ABSOLUTE_LOSS, MAX_DISTANCE, RELATIVE_LOSS, group_minima

COORDINATE = st.sampled_from([0.0, 0.005, 0.012, 0.02, 0.5, 0.507, 1.0])
LOSS = st.sampled_from([-5.0, -1e-7, 0.0, 5e-7, 1.0, 1.005, 1.02, 100.0, 100.5, 1e300])
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE, LOSS), min_size=1, max_size=15)


def grouped(rows):
    rows = np.array(rows)
    return rows, group_minima(rows[:, :2], rows[:, 2])


@given(rows=POINTS)
def test_each_point_is_in_one_minimum_whose_lowest_is_near(rows):
    rows, minima = grouped(rows)
    assert sorted(np.concatenate(minima)) == list(range(len(rows)))
    for members in minima:
        distances = np.linalg.norm(rows[members, :2] - rows[members[0], :2], axis=1)
        assert distances.max() <= MAX_DISTANCE * math.sqrt(2)
        lowest, *others = rows[members, 2]
        assert sorted([lowest, *others]) == [lowest, *others]
        allowed = lowest + max(ABSOLUTE_LOSS, RELATIVE_LOSS * abs(lowest))
        assert all(loss <= allowed for loss in others)
    leaders = [rows[members[0], 2] for members in minima]
    assert leaders == sorted(leaders)


@given(rows=POINTS, random=st.randoms())
def test_the_order_of_the_points_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    (rows, minima), (others, again) = grouped(rows), grouped(shuffled)
    assert [rows[members].tolist() for members in minima] == [others[members].tolist() for members in again]


@pytest.mark.parametrize(
    ("second", "minima"),
    [
        ((0.5, 0.5, 1.005), 1),
        ((0.5 + 0.99 * MAX_DISTANCE * math.sqrt(2), 0.5, 1.0), 1),
        ((0.5 + 1.01 * MAX_DISTANCE * math.sqrt(2), 0.5, 1.0), 2),  # too far
        ((0.5, 0.5, 1.011), 2),  # too high
    ],
)
def test_both_distance_and_loss_count(second, minima):
    assert len(grouped([(0.5, 0.5, 1.0), second])[1]) == minima


def test_no_points_have_no_minima():
    assert group_minima(np.empty((0, 3)), np.empty(0)) == []
