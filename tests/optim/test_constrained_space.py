"""Spaces in which not every parameter is free, and not every point is allowed.

Invariants: the unit cube has the free parameters only, a physical point has all; one that is not active keeps its
initial value, one that is tied follows, also through others, in any order; a point that violates something says what;
what does not fit is refused with what is allowed; a change keeps what it does not name.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from optim.errors import ExpressionError, ShoalError, SpaceError
from optim.space import Parameter, Space


def free(name, **changes):
    return Parameter(**{"name": name, "initial": 0.5, "lower": 0.0, "upper": 1.0, **changes})


def tied(name, tie, **bounds):
    return Parameter(name=name, tie=tie, **bounds)


def fixed(name, initial):
    return Parameter(name=name, initial=initial, active=False)


CHAIN = Space(
    [
        tied("third", "second * 2"),
        free("first", lower=1.0, upper=100.0, initial=10.0, scale="log"),
        fixed("offset", 7.0),
        tied("second", "first + offset", lower=9.0, upper=57.0),
        free("last", lower=-1.0, upper=3.0, initial=0.0),
    ],
    ["last < first", "third - offset < 99"],
)


def test_only_free_parameters_count_as_dimensions():
    assert (CHAIN.dimension, CHAIN.size) == (2, 5)
    assert [parameter.name for parameter in CHAIN.free] == ["first", "last"]
    assert CHAIN.initial_point == pytest.approx([0.5, 0.25])
    assert CHAIN.initial.tolist() == [34.0, 10.0, 7.0, 17.0, 0.0]


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2).map(np.array))
def test_at_any_point_the_fixed_stay_and_the_tied_follow(u):
    third, first, offset, second, last = CHAIN.to_physical(u).tolist()
    assert offset == 7.0
    assert (second, third) == (first + 7.0, (first + 7.0) * 2)
    assert 1 <= first <= 100
    assert -1 <= last <= 3
    assert CHAIN.to_unit(CHAIN.to_physical(u)) == pytest.approx(u, abs=1e-12)


def test_what_is_not_free_is_ignored_on_the_way_to_the_cube():
    assert CHAIN.to_unit([math.nan, 10.0, -99.0, math.nan, 0.0]).tolist() == CHAIN.initial_point.tolist()
    with pytest.raises(SpaceError, match=r"a point has shape \(5,\), got \(2,\)"):
        CHAIN.to_unit([10.0, 0.0])


@pytest.mark.parametrize(
    ("first", "last", "violation"),
    [
        (10.0, 0.0, ""),
        (2.0, 1.9, ""),
        (1.5, 0.0, "second = 8.5 is outside its bounds, 9 to 57"),
        (50.0, 0.0, "violates third - offset < 99"),
        (51.0, 0.0, "second = 58 is outside its bounds, 9 to 57"),
        (2.0, 2.0, "violates last < first"),
        (49.5, 0.0, "violates third - offset < 99"),
    ],
)
def test_the_first_violation_is_said(first, last, violation):
    x = np.array([(first + 7) * 2, first, 7.0, first + 7, last])
    assert CHAIN.violation(x) == violation


def test_a_tie_or_constraint_without_a_value_is_violated():
    space = Space([free("a", lower=-1.0), tied("b", "sqrt(a)")], ["1 / a > 0"])
    below = space.to_physical(np.array([0.25]))
    assert math.isnan(below[1])
    assert space.violation(below) == "b = sqrt(a) has no value there"
    assert space.violation(space.to_physical(np.array([0.5]))) == "violates 1 / a > 0"
    assert space.violation(space.to_physical(np.array([0.75]))) == ""


def test_without_ties_and_constraints_nothing_is_violated():
    assert Space([free("a"), fixed("b", 3.0)]).violation(np.array([math.nan, 9.0])) == ""


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([free("a"), tied("b", "b")], "ties go in a circle: b -> b"),
        ([free("a"), tied("b", "c"), tied("c", "2*d"), tied("d", "a+b")], "ties go in a circle: .* -> "),
        ([fixed("a", 1.0), tied("b", "a")], "no parameter is free"),
        ([Parameter(name="a", initial=1.0)], "parameter a needs lower and upper"),
        ([Parameter(name="a", active=False), free("b")], "parameter a needs initial"),
        ([free("a"), tied("b", "2*sigma")], "the tie of b: .*'sigma', which is no parameter"),
        ([free("a"), tied("b", "a > 1")], "the tie of b: .*must be a number"),
    ],
)
def test_parameters_that_make_no_space_are_refused(parameters, message):
    with pytest.raises(ShoalError, match=message):
        Space(parameters)


@pytest.mark.parametrize("constraint", ["a", "a > z", "a >"])
def test_constraints_must_be_conditions_on_parameters(constraint):
    with pytest.raises(ExpressionError):
        Space([free("a")], ["a > 0", constraint])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tie": "a", "active": False}, "either tied or not active"),
        ({"initial": 5.0, "lower": 6.0}, "initial .5. must lie within its bounds, 6 to inf"),
        ({"initial": 5.0, "upper": 4.0, "active": False}, "must lie within its bounds, -inf to 4"),
    ],
)
def test_a_contradictory_parameter_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        Parameter(name="p", **given)


def test_the_initial_value_of_a_tied_one_need_not_lie_within_its_bounds():
    assert Parameter(name="p", initial=5.0, upper=4.0, tie="a").missing == ()


def test_a_change_keeps_what_it_does_not_name():
    own = free("a", unit="nm", scale="log", lower=0.1)
    changed = own.changed_by(Parameter(name="a", upper=9.0))
    assert changed == free("a", unit="nm", scale="log", lower=0.1, upper=9.0)
    assert own.changed_by(Parameter(name="a", active=False)).is_free is False
    assert own.changed_by(tied("a", "2*b")).tie == "2*b"


@pytest.mark.parametrize("given", [{"initial": 0.2}, {"active": True}])
def test_giving_a_tied_parameter_a_value_of_its_own_frees_it(given):
    own = free("a", tie="2*b")
    assert not own.is_free
    assert own.changed_by(Parameter(name="a", **given)).is_free
    assert own.changed_by(Parameter(name="a", upper=0.9)).tie == "2*b"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower": 2.0}, r"^lower \(2\) must be below upper \(1\)$"),
        ({"upper": 0.2}, "initial .0.5. must lie"),
    ],
)
def test_a_change_that_contradicts_what_was_there_is_refused(change, message):
    with pytest.raises(SpaceError, match=message):
        free("a").changed_by(Parameter(name="a", **change))


def test_a_detour_through_json_keeps_what_was_not_given_apart():
    change = Parameter(name="a", upper=9.0)
    again = Parameter.model_validate_json(change.model_dump_json())
    assert again.model_fields_set == {"name", "upper"}
    assert free("a").changed_by(again) == free("a").changed_by(change)


def test_places_are_those_in_the_cube_in_the_order_named():
    assert CHAIN.places(()) is None
    assert CHAIN.places(("last", "first")).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("second",), "'second' is no free parameter; there are first, last"),
        (("offset",), "'offset' is no free parameter"),
        (("last", "lost"), "'lost' is no free parameter"),
        (("last", "first", "last"), "'last' is named twice"),
    ],
)
def test_places_of_what_is_not_free_are_refused(names, message):
    with pytest.raises(SpaceError, match=message):
        CHAIN.places(names)


@pytest.mark.parametrize(
    ("u", "expected"),
    [
        ([0.0, 1.0], [("first", "lower"), ("last", "upper")]),
        ([0.9e-6, 0.5], [("first", "lower")]),
        ([1.1e-6, 0.5], []),
        ([0.5, 1 - 0.9e-6], [("last", "upper")]),
        ([0.5, 1 - 1.1e-6], []),
    ],
)
def test_values_on_a_bound_are_found_on_any_scale(u, expected):
    found = CHAIN.on_bounds(CHAIN.to_physical(np.array(u)))
    assert [(parameter.name, side) for parameter, side in found] == expected
