"""A snapshot, drawn into any terminal.

Invariants: never more lines or columns than there are, whatever the size and the snapshot; the important things first;
what does not fit is counted; a terminal without such characters gets others.
"""

import dataclasses
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from flows.reports.drawing import Drawing
from flows.reports.recent import Rates
from flows.reports.snapshot import Best, ConditionRow, EndRow, LivingRow, Snapshot, TimeLeft
from optim.descent import Step
from optim.losses import Losses
from optim.progress import Progress, Standing

CONDITIONS = (
    ConditionRow("MaxTotalFunctionCalls(fmax=2500)", Progress(1234, 2500)),
    ConditionRow("MaxOptimizersConverged(nconv=5)", Progress(5, 5)),
    ConditionRow("TargetFunctionValue(target=0.1)", Progress(0.311186)),
    ConditionRow("FromElsewhere()", None),
)
SNAPSHOT = Snapshot(
    "first",
    "lj_argon",
    "running",
    Standing(1234, 9, 5, 2, [0, 0, 1, 2, 2], 0.311186, Losses()),
    65.0,
    3,
    Rates(60.0, 5.0, 160, 8.7),
    2,
    4,
    Best(0.311186, 3, 555),
    [Step(1, 104.773), Step(9, 4.5), Step(555, 0.311186)],
    CONDITIONS,
    "1 | 2 & 3 | 4",
    TimeLeft(39.6, "MaxTotalFunctionCalls at 32/s"),
    2,
    [
        LivingRow(3, "Nelder-Mead", 1, 1000, 0.32, 0.311186),
        LivingRow(9, "CMAES", 1100, 0, math.nan, math.inf),
    ],
    [EndRow(8, "CMAES", 1100, "stopped", "MaxStepSize: too small"), EndRow(1, "b", 9, "crashed", "oh no")],
)
EMPTY = dataclasses.replace(
    SNAPSHOT,
    standing=Standing(0, 0, 0, 0, [], math.inf, Losses()),
    rates=Rates(),
    best=None,
    descent=[],
    conditions=(),
    left=None,
    alive=0,
    living=[],
    ends=[],
    workers=0,
)
CROWD = dataclasses.replace(
    SNAPSHOT,
    alive=1000,
    living=[
        LivingRow(n, "a label that is too long for any column " * 3, n, n, 1.0, 1.0 / n)
        for n in range(1, 201)
    ],
    ends=[EndRow(n, "CMAES", n, "by hand", "why " * 200) for n in range(200)],
    conditions=CONDITIONS * 20,
)


def drawn(snapshot, width, height, **options):
    """The lines that a terminal of that size shows, the last of which stays free."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, **options)
    console.print(Drawing(lambda: snapshot))
    return file.getvalue().splitlines()


USUAL = """\
first  lj_argon                                               running  1 min 5 s
1,234 evaluations   32/s   2 workers 87% busy, 4 in flight   3 failed

ends when 1 | 2 & 3 | 4        about 40 s left, by MaxTotalFunctionCalls at 32/s
 1  MaxTotalFunctionCalls(fmax=2500)  ━━━━━━━━━━━━━──────────────  1,234 / 2,500
 2  MaxOptimizersConverged(nconv=5)   ━━━━━━━━━━━━━━━━━━━━━━━━━━━          5 / 5
 3  TargetFunctionValue(target=0.1)                                     0.311186
 4  FromElsewhere()

best 0.311186 by optimizer 3 at 555, from 104.773 (log scale)
    ██████████████████████████████████
    ██████████████████████████████████
    ██████████████████████████████████
    ██████████████████████████████████▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁

2 alive of 9 started, 5 converged, 2 stopped
     #  optimizer       started     calls   latest loss     best loss
     3  Nelder-Mead           1     1,000          0.32      0.311186
     9  CMAES             1,100         0          none          none

last ends
     8  stopped    at 1,100  MaxStepSize: too small
     1  crashed    at     9  oh no
"""


def test_a_usual_terminal_shows_everything_there_is_to_know():
    assert [line.rstrip() for line in drawn(SNAPSHOT, 80, 24)] == USUAL.splitlines()


PICTURES = {"usual": SNAPSHOT, "empty": EMPTY, "crowd": CROWD}


@pytest.mark.parametrize("name", PICTURES)
@given(width=st.integers(1, 200), height=st.integers(1, 70))
@settings(max_examples=15, deadline=None)
def test_no_terminal_is_too_small(name, width, height):
    lines = drawn(PICTURES[name], width, height)
    assert 1 <= len(lines) <= max(1, height - 1)
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("first"[: width - 1])


def test_a_small_terminal_shows_the_important_things():
    assert drawn(SNAPSHOT, 80, 3) == drawn(SNAPSHOT, 80, 30)[:2]
    text = "\n".join(drawn(SNAPSHOT, 80, 9))
    assert "MaxTotalFunctionCalls(fmax=2500)" in text
    assert "last ends" not in text


def test_what_does_not_fit_is_counted():
    text = "\n".join(drawn(CROWD, 100, 40))
    assert "1,000 alive of 9 started" in text
    listed = sum("a label that is too long" in line for line in drawn(CROWD, 100, 40))
    assert listed > 0
    assert f"and {1000 - listed:,} more" in text
    conditions = sum("MaxOptimizersConverged" in line for line in drawn(CROWD, 100, 40))
    assert "more condition" in text or conditions == 20


def test_a_large_terminal_is_used():
    lines = drawn(CROWD, 200, 60)
    assert len(lines) == 59
    assert max(map(len, lines)) == 200


def test_before_anything_has_happened_nothing_is_made_up():
    assert drawn(EMPTY, 80, 30)[1:] == [
        "0 evaluations   3 failed",
        "",
        "no finite loss yet",
        "",
        "0 alive of 0 started, 0 converged, 0 stopped",
    ]


def test_a_terminal_without_such_characters_gets_others():
    class Old(io.StringIO):
        encoding = "ascii"

    file = Old()
    console = Console(file=file, width=80, height=40)
    console.print(Drawing(lambda: SNAPSHOT))
    assert "━" not in file.getvalue()
    assert "######" in file.getvalue()


def test_the_owner_of_the_best_stands_out():
    file = io.StringIO()
    console = Console(file=file, width=80, height=40, force_terminal=True, color_system="truecolor")
    console.print(Drawing(lambda: SNAPSHOT))
    (line,) = [line for line in file.getvalue().splitlines() if "Nelder-Mead" in line]
    assert line.startswith("\x1b[1m")
