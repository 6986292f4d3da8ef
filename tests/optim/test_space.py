"""The map between the unit cube and physical values.

Invariants: there and back is the identity up to rounding; nothing leaves the bounds; faces map to bounds
exactly; bad parameters are refused with what was given and what is allowed.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from optim.errors import SpaceError
from optim.space import Parameter, Space

PLANE = Space(
    [
        Parameter(name="a", initial=0.5, lower=-1.0, upper=2.0),
        Parameter(name="k", initial=1.0, lower=1e-4, upper=1e3, scale="log", unit="hartree"),
    ]
)
UNIT = st.lists(st.floats(0, 1), min_size=2, max_size=2).map(np.array)


@given(UNIT)
def test_there_and_back_is_the_identity(u):
    assert PLANE.to_unit(PLANE.to_physical(u)) == pytest.approx(u, abs=1e-12)


@given(UNIT)
def test_no_point_of_the_cube_leaves_the_bounds(u):
    x = PLANE.to_physical(u)
    assert -1 <= x[0] <= 2
    assert 1e-4 <= x[1] <= 1e3


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_the_faces_of_the_cube_are_the_bounds(one, other):
    lower, upper = sorted((one, other))
    if not lower < upper or not np.isfinite(upper - lower):
        return
    space = Space([Parameter(name="p", initial=lower, lower=lower, upper=upper)])
    assert space.to_physical(np.zeros(1))[0] == lower
    assert space.to_physical(np.ones(1))[0] == pytest.approx(upper, rel=0, abs=1e-15 * (upper - lower))


def test_a_log_scale_has_its_geometric_mean_in_the_middle():
    x = PLANE.to_physical(np.array([0.5, 0.5]))
    assert x == pytest.approx([0.5, np.sqrt(1e-4 * 1e3)])


def test_mapping_changes_neither_point():
    u = np.array([0.3, 0.4])
    PLANE.to_physical(u)
    x = np.array([0.3, 0.4])
    PLANE.to_unit(x)
    assert u.tolist() == x.tolist() == [0.3, 0.4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower": 3.0}, r"lower \(3\) must be below upper \(2\)"),
        ({"initial": 5.0}, r"initial \(5\) must lie within its bounds, 1 to 2"),
        ({"lower": 0.0, "scale": "log"}, r"lower \(0\) must be positive on a log scale"),
        ({"scale": "cubic"}, "'linear' or 'log'"),
        ({"name": ""}, "name '' is not allowed"),
        ({"upper": float("inf")}, "finite"),
        ({"lower": -1e308, "upper": 1e308}, "too wide"),
    ],
)
def test_a_bad_parameter_is_refused_with_what_is_allowed(change, message):
    good = {"name": "p", "initial": 1.5, "lower": 1.0, "upper": 2.0}
    with pytest.raises(ValidationError, match=message):
        Parameter(**{**good, **change})


def test_a_space_needs_parameters_with_different_names():
    p = Parameter(name="p", initial=1.5, lower=1.0, upper=2.0)
    with pytest.raises(SpaceError, match="at least one"):
        Space([])
    with pytest.raises(SpaceError, match="more than once: p"):
        Space([p, p])


@pytest.mark.parametrize(
    ("x", "message"), [([0.0], "shape"), ([0.0, 1e4], "k = 10000 is outside its bounds")]
)
def test_a_point_that_does_not_fit_is_refused(x, message):
    with pytest.raises(SpaceError, match=message):
        PLANE.to_unit(x)
