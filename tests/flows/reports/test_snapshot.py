"""What a snapshot of a run says in words, and when it thinks that the run will end.

Invariants: of conditions of which any is enough the first counts, of those that must be met together the last; from
what nobody can tell no time is made up; numbers are short.
"""

import math

import pytest

from flows.durations import in_words
from flows.reports.snapshot import ConditionRow, fewer, one_line, speed, time_left
from optim.progress import EVALUATIONS, SECONDS, Progress

BUDGET = ConditionRow("MaxTotalFunctionCalls(fmax=2500)", Progress(500, 2500, EVALUATIONS))
TIME = ConditionRow("TimeLimit(seconds=60.0)", Progress(20.5, 60.0, SECONDS))
FEW = ConditionRow("MaxOptimizersConverged(nconv=5)", Progress(3, 5, "optimizers converged"))
MANY = ConditionRow("MaxOptimizersStopped(nstop=40)", Progress(20, 40, "optimizers stopped"))
TARGET = ConditionRow("TargetFunctionValue(target=0.1)", Progress(0.3))
UNKNOWN = ConditionRow("FromElsewhere()", None)


@pytest.mark.parametrize(
    ("rows", "combination", "expected"),
    [
        ([BUDGET], None, "about 1 min 40 s left, by MaxTotalFunctionCalls at 20/s"),
        ([BUDGET, TIME], None, "about 40 s left, by TimeLimit"),
        ([BUDGET, TIME], "1 & 2", "about 1 min 40 s left, by MaxTotalFunctionCalls at 20/s"),
        ([MANY, BUDGET], None, "about 50 s left, by MaxOptimizersStopped at 24/min"),
        ([BUDGET, FEW, TARGET, UNKNOWN], None, "about 1 min 40 s left, by MaxTotalFunctionCalls at 20/s"),
        ([BUDGET, TARGET], "1 & 2", "None"),
        ([FEW], None, "None"),
        ([TARGET], None, "None"),
        ([UNKNOWN], None, "None"),
        ([], None, "None"),
    ],
)
def test_the_time_left_is_that_of_the_condition_that_decides(rows, combination, expected):
    assert str(time_left(rows, combination, 20.0, 50.0)) == expected


@pytest.mark.parametrize("per_s", [None, 0.0, 1e-30])
def test_a_run_that_does_not_move_has_no_end(per_s):
    assert time_left([BUDGET], None, per_s, 50.0) is None


def test_numbers_that_are_too_large_to_count_with_do_no_harm():
    huge = Progress(5, 10**400, EVALUATIONS)
    assert time_left([ConditionRow("a", huge)], None, 1.0, 1.0) is None
    assert huge.fraction == 0
    assert str(huge).startswith("5 / 10,000,")


def test_what_is_done_has_no_time_left():
    assert time_left([ConditionRow("a(b=1)", Progress(7, 5, SECONDS))], None, None, 1.0) == (0.0, "a")


@pytest.mark.parametrize(
    ("per_s", "text"),
    [
        (1234.5, "1,234/s"),
        (32.4, "32/s"),
        (1.25, "1.2/s"),
        (0.5, "30/min"),
        (0.01, "36/h"),
        (1e-5, "0.036/h"),
    ],
)
def test_speeds_are_easy_to_read(per_s, text):
    assert speed(per_s) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (41.4, "41 s"),
        (60.0, "1 min 0 s"),
        (200.0, "3 min 20 s"),
        (7200.0, "2 h"),
        (8055.0, "2 h 14 min"),
        (443_000.0, "5 d 3 h"),
    ],
)
def test_times_have_two_units_at_most(seconds, text):
    assert in_words(seconds) == text


def test_of_many_optimizers_those_with_the_best_losses_are_listed_by_number():
    from types import SimpleNamespace

    rows = [SimpleNamespace(number=n, best_loss=loss) for n, loss in enumerate([3.0, math.inf, 1.0, 2.0], 1)]
    assert [row.number for row in fewer(rows, 3)] == [1, 3, 4]
    assert fewer(rows, 0) == []


def test_text_from_elsewhere_stays_on_its_line():
    assert one_line("a\n\tb\x1b[31m") == "a b\\x1b[31m"
