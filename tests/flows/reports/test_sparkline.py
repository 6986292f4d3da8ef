"""The curve of the best loss in characters.

Invariants: it is as wide and as high as was asked for; it starts at the top and ends at the bottom; before the first
finite loss there is nothing; where losses span decades the scale is logarithmic.
"""

import pytest

from flows.reports.sparkline import ASCII, is_log, sparkline
from optim.descent import Step


def test_it_comes_down_from_full_to_the_lowest_block():
    assert sparkline([Step(1, 8.0), Step(5, 1.0)], 8, 8, 1) == ["████▁▁▁▁"]
    assert sparkline([Step(1, 8.0), Step(5, 4.5), Step(8, 1.0)], 8, 8, 1) == ["████▅▅▅▁"]


def test_the_largest_numbers_have_a_place():
    assert sparkline([Step(1, 1e308), Step(2, -1e308)], 2, 2, 1) == ["█▁"]


def test_several_lines_are_one_scale():
    assert sparkline([Step(1, 3.0), Step(3, 2.0), Step(5, 1.0)], 6, 6, 2) == ["██▁▁  ", "████▁▁"]


def test_before_the_first_finite_loss_there_is_nothing():
    assert sparkline([Step(5, 2.0), Step(8, 1.0)], 8, 8, 1) == ["    ███▁"]
    assert sparkline([], 8, 4, 2) == ["    ", "    "]
    assert sparkline([], 0, 4, 1) == ["    "]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1e9, 1.0], True),
        ([20.0, 1.0], True),
        ([19.0, 1.0], False),
        ([1e9, 0.0], False),
        ([-1.0, -1e9], False),
    ],
)
def test_losses_that_span_decades_are_on_a_log_scale(losses, expected):
    assert is_log([Step(number, loss) for number, loss in enumerate(losses, 1)]) is expected
    assert not is_log([])


def test_on_a_log_scale_each_decade_is_as_high():
    steps = [Step(1, 1e7), Step(2, 1e6), Step(3, 1e5), Step(4, 1e4), Step(5, 1e3), Step(6, 1e2), Step(7, 1e1)]
    assert sparkline([*steps, Step(8, 1.0)], 8, 8, 1) == ["█▇▆▅▄▃▂▁"]


@pytest.mark.parametrize("width", [1, 7, 200])
@pytest.mark.parametrize("height", [1, 3])
@pytest.mark.parametrize(
    "steps", [[Step(1, 1.0)], [Step(1, 1e308), Step(2, -1e308)], [Step(3, 2.0), Step(400, 1.0)]]
)
def test_it_is_as_large_as_asked_for(steps, width, height):
    lines = sparkline(steps, 500, width, height, ASCII)
    assert [len(line) for line in lines] == [width] * height
    assert "".join(lines).isascii()
