"""List: people's own starts.

Invariants: points are taken in turn, and then from the first again; a table gives some parameters, the others keep
their initial values; points that do not fit the space are faults, each with its number.
"""

import re

import numpy as np
import pytest

from optim.generators.list import List
from optim.space import Parameter, Space
from optim.testing.hand_made import Track, hand_made_run
from optim.testing.starts import GeneratorConformance

SPACE = Space(
    [
        Parameter(name="a", initial=2.0, lower=0.0, upper=10.0),
        Parameter(name="fixed", initial=7.0, active=False),
        Parameter(name="k", initial=10.0, lower=1.0, upper=100.0, scale="log"),
        Parameter(name="tied", tie="2*a"),
    ]
)


class TestConformance(GeneratorConformance):
    @pytest.fixture
    def generator(self):
        return List(points=[{}, {"p0": 0.75}])


def start(points, number):
    run = hand_made_run(*[Track([1.0], generator="List")] * (number - 1))
    return List(points=points).point(SPACE, run, np.random.default_rng(0))


@pytest.mark.parametrize(("number", "expected"), [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.1), (6, 0.3), (7, 0.1)])
def test_points_are_taken_in_turn(number, expected):
    points = [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}]
    assert start(points, number) == pytest.approx([expected, 0.5])


def test_a_start_by_hand_takes_nobodys_turn():
    run = hand_made_run(Track([1.0], generator="List"), Track([1.0], generator="by hand"))
    point = List(points=[{"a": 1.0}, {"a": 2.0}, {"a": 3.0}]).point(SPACE, run, np.random.default_rng(0))
    assert point == pytest.approx([0.2, 0.5])


def test_a_list_of_one_is_one_start_for_all():
    assert [start([[5.0, 7.0, 100.0, 10.0]], number).tolist() for number in (1, 2, 3)] == [[0.5, 1.0]] * 3


def test_a_row_has_all_parameters_in_order_and_a_table_some():
    assert start([[5.0, 7.0, 1.0, 10.0]], 1).tolist() == [0.5, 0.0]
    assert start([{"k": 100.0}], 1).tolist() == [0.2, 1.0]


@pytest.mark.parametrize(
    ("points", "fault"),
    [
        ([[0.0, 7.0, 1.0, 0.0], [10.0, 7.0, 100.0, 0.0], {"a": 10.0}], ""),
        ([[1.0, 7.0, 1.0, 2.0], [1.0, 2.0]], r"point 2: a point has shape \(4,\), got \(2,\)"),
        ([{"a": 10.1}], "point 1: a = 10.1 is outside its bounds, 0 to 10"),
        ([{"a": -1e-9}], "point 1: a = -1e-09 is outside its bounds, 0 to 10"),
        (
            [{"k": 0.5}, {"b": 1.0}],
            "point 1: k = 0.5 is outside .*; point 2: b is no parameter; there are a, fixed, k, tied",
        ),
    ],
)
def test_points_that_do_not_fit_are_faults(points, fault):
    assert re.fullmatch(fault, List(points=points).fault(SPACE))


@pytest.mark.parametrize("points", [[], ["a"], [{"a": "x"}], [[float("nan")]], [{"a": float("inf")}], 3])
def test_points_are_rows_or_tables_of_numbers(points):
    with pytest.raises(ValueError, match="points"):
        List(points=points)
