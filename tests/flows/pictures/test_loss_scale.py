"""Linear or logarithmic: what losses call for.

Invariants: an order is never changed; every finite loss has a place; the lowest has one too, also on an axis above it.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flows.pictures.loss_scale import LossScale

CROWDED = [*np.linspace(-5.0, -4.9, 50), 1e9]


@pytest.mark.parametrize(
    ("losses", "kind"),
    [
        ([0.3, 2e13], "log"),
        ([1.0, 99.0], "linear"),
        ([1.0, 100.0], "log"),
        ([np.nan, np.inf, 3.0, 5.0], "linear"),
        (CROWDED, "log above lowest"),
        ([0.0, 1e-9, 1e-8, 1e-7, 3.0], "log above lowest"),
        ([-5.0, -4.0, -3.0, 10.0], "linear"),
        ([0.0, 0.0], "linear"),
        ([], "linear"),
        ([np.nan], "linear"),
        ([-1e308, 1e308], "linear"),
    ],
)
def test_losses_get_the_axis_that_they_call_for(losses, kind) -> None:
    assert LossScale.of(np.array(losses)).kind == kind


def test_an_axis_above_the_lowest_loss_says_so() -> None:
    scale = LossScale.of(np.array(CROWDED))
    assert scale.title() == "loss above the lowest loss, -5"
    assert LossScale.of(np.array([0.0, 1e-9, 1e-8, 1e-7, 3.0])).title() == "loss"


@given(
    arrays(
        np.float64, st.integers(1, 40), elements=st.floats(-1e12, 1e12) | st.just(np.nan) | st.just(np.inf)
    )
)
def test_every_finite_loss_has_a_place_in_the_same_order(losses) -> None:
    scale = LossScale.of(losses)
    places = scale.place(losses)
    is_finite = np.isfinite(losses)
    np.testing.assert_array_equal(np.isfinite(places), is_finite)
    assert (np.diff(places[is_finite][np.argsort(losses[is_finite])]) >= 0).all()
    if scale.is_log:
        assert (places[is_finite] > 0).all()
