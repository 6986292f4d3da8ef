"""The table of optimizers is what follows from the journal.

Invariants:

* It does not matter in how many pieces the journal comes.
* Late evaluations count; only finite losses of outcome `ok` are a best; of equal ones the first is.
* An optimizer that goes on has no end any more.
* The baseline (optimizer 0) has no row.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optim.errors import StoreError
from optim.journal import END_KINDS, EventKind, EventRow
from optim.outcome import Outcome
from optim.store.layout import OPTIMIZERS
from optim.store.optimizers_view import OptimizersView, Spawn, stop_verdicts
from optim.store.table import Table

RESULT = st.tuples(
    st.integers(0, 30),
    st.sampled_from([Outcome.OK, Outcome.OK, Outcome.EXCEPTION, Outcome.NONFINITE]),
    st.sampled_from([0.5, 0.25, 0.0, -1.0, math.inf, -math.inf, math.nan]),
    st.booleans(),
)
END = st.tuples(
    st.integers(0, 30),
    st.sampled_from([*sorted(END_KINDS), EventKind.GOES_ON]),
    st.text(max_size=3),
    st.sampled_from(["", "{}", '{"verdicts": "A = True |\\nB = False"}']),
)
STEP = st.tuples(st.integers(0, 3), st.lists(RESULT, max_size=8), st.lists(END, max_size=2))


@given(steps=st.lists(STEP, max_size=5))
def test_the_table_is_what_one_computes_by_hand_from_the_journal(rows, steps) -> None:
    table = Table(OPTIMIZERS, dimension=2)
    view = OptimizersView(table, dimension=2)
    evaluations, events = [], []
    started = 0
    for new, results, ends in steps:
        some_events = [rows.spawn(0, len(evaluations), started + place) for place in range(1, new + 1)]
        started += new
        some_events += [
            EventRow(0, len(evaluations), kind, who % (started + 1), text=text, data=data)
            for who, kind, text, data in ends
        ]
        some_evaluations = [
            rows.evaluation(0, who % (started + 1), 1, loss, outcome, late)
            for who, outcome, loss, late in results
        ]
        view.absorb(len(evaluations) + 1, some_evaluations, some_events)
        evaluations += some_evaluations
        events += some_events
    assert table.size == started
    derived = {name: [plain(table.get(name, index)) for index in range(started)] for name in rows.derived}
    assert repr(derived) == repr(rows.optimizers_by_hand(evaluations, events))
    assert [table.get("number", index) for index in range(started)] == list(range(1, started + 1))


def plain(value: object) -> object:
    return value if isinstance(value, str) else value.item()


def test_a_row_holds_what_the_spawn_said(rows) -> None:
    table = Table(OPTIMIZERS, dimension=2)
    OptimizersView(table, dimension=2).absorb(1, [], [rows.spawn(3, 9, 1)])
    assert [table.get(name, 0) for name in ("type", "label", "generator")] == ["Scipy", "block 1", "Random"]
    assert table.get("settings", 0) == '{"algorithm": "Nelder-Mead", "tolerance": 1e-08}'
    assert table.get("x0", 0).tolist() == [1e-3, 1.0]


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"type": 1', '{"x0": [[1], 2]}'])
def test_a_spawn_without_its_data_is_refused(data) -> None:
    with pytest.raises(StoreError, match="needs data with type, label, settings, generator and x0"):
        Spawn.of(EventRow(0, 0, EventKind.SPAWN, 1, data=data), dimension=2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("verdicts", "must be a JSON object, got 'verdicts'"),
        ("[]", r"must be a JSON object, got '\[\]'"),
        ('{"verdicts": 1}', "verdicts on optimizer 1 must be text, got 1"),
    ],
)
def test_verdicts_that_are_no_text_are_refused(data, message) -> None:
    with pytest.raises(StoreError, match=message):
        stop_verdicts(EventRow(0, 0, EventKind.STOPPED, 1, data=data))


def test_a_start_of_another_dimension_is_refused(rows) -> None:
    with pytest.raises(StoreError, match=r"shape \(3,\), got \(2,\)"):
        Spawn.of(rows.spawn(0, 0, 1), dimension=3)
