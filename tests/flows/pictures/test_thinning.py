"""Fewer points that draw the same curves.

Invariants, for any run: each optimizer's points stay together and in order; its first and last one, every lowest and
highest loss, and whether there are gaps, survive; there are not many more than were asked for; short runs stay whole.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flows.pictures.thinning import KEPT_OF_BUCKET, thinned

ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([np.nan, -1.0, 0.0, 0.5, 2.0, 1e9])),
    min_size=1,
    max_size=300,
)


@given(rows=ROWS, most=st.integers(1, 300))
def test_what_is_kept_has_the_extremes_the_ends_and_the_gaps(rows, most) -> None:
    optimizers, losses = (np.array(column) for column in zip(*rows, strict=True))
    places = thinned(optimizers, losses, most)
    assert len(set(places.tolist())) == len(places)
    assert (np.diff(optimizers[places]) >= 0).all()
    assert len(places) <= max(most, KEPT_OF_BUCKET * len(set(optimizers)))
    for number in set(optimizers):
        kept = places[optimizers[places] == number]
        its = np.flatnonzero(optimizers == number)
        assert (np.diff(kept) > 0).all()
        assert (kept[0], kept[-1]) == (its[0], its[-1])
        assert np.isnan(losses[kept]).any() == np.isnan(losses[its]).any()
        if not np.isnan(losses[its]).all():
            assert np.nanmin(losses[kept]) == np.nanmin(losses[its])
            assert np.nanmax(losses[kept]) == np.nanmax(losses[its])


def test_a_run_that_is_short_enough_stays_whole() -> None:
    places = thinned(np.array([2, 1, 2, 0]), np.array([1.0, np.nan, 3.0, 4.0]), 4)
    assert places.tolist() == [3, 1, 0, 2]


def test_a_spike_and_a_failure_in_a_long_run_are_seen() -> None:
    losses = np.ones(100_000)
    losses[12_345], losses[67_890], losses[70_000] = 50.0, np.nan, 0.5
    places = thinned(np.ones(100_000, dtype=int), losses, 1000)
    assert {12_345, 67_890, 70_000} <= set(places.tolist())
    assert len(places) <= 1000


def test_no_evaluations_are_no_points() -> None:
    assert thinned(np.empty(0, dtype=int), np.empty(0), 10).tolist() == []
