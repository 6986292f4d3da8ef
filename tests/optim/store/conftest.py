"""Rows of a journal in a space of two parameters, and chunks small enough to grow over."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from optim.journal import END_KINDS, EvaluationRow, EventKind, EventRow, ValidationRow
from optim.outcome import Outcome
from optim.space import Parameter
from optim.store.layout import GROUPS

SMALL = 4


class Rows:
    """Builds rows."""

    parameters = (
        Parameter(name="eps", initial=3e-4, lower=1e-5, upper=1e-2, scale="log", unit="hartree"),
        Parameter(name="sigma", initial=3.4, lower=1.0, upper=6.0),
    )

    def evaluation(
        self,
        sequence: int,
        optimizer: int = 1,
        call: int = 1,
        loss: float = 1.5,
        outcome: Outcome = Outcome.OK,
        late: bool = False,
        worker: str = "tcp://node1:4001",
    ) -> EvaluationRow:
        x = np.array([1e-3 * (sequence + 1), 2.5])
        times = (sequence + 0.25, sequence + 0.5, sequence + 0.75)
        return EvaluationRow(
            sequence, optimizer, call, call + 3, x, loss, outcome, late, sequence % 2 == 1, 2, *times, worker
        )

    def validation(
        self,
        sequence: int,
        evaluation: int,
        optimizer: int = 1,
        loss: float = 2.5,
        outcome: Outcome = Outcome.OK,
        worker: str = "tcp://node2:4002",
    ) -> ValidationRow:
        times = (sequence + 0.25, sequence + 0.5, sequence + 0.75)
        return ValidationRow(sequence, optimizer, 1, evaluation, loss, outcome, 1, *times, worker)

    def validation_losses_by_hand(
        self, evaluations: Sequence[EvaluationRow], validations: Sequence[ValidationRow]
    ) -> list[float]:
        """What must stand beside the loss of each evaluation."""
        losses = [math.nan] * len(evaluations)
        for row in validations:
            if row.outcome is Outcome.OK and math.isfinite(row.loss):
                losses[row.evaluation - 1] = row.loss
        return losses

    def spawn(self, sequence: int, evaluation: int, optimizer: int) -> EventRow:
        data = {
            "type": "Scipy",
            "label": f"block {optimizer}",
            "settings": {"algorithm": "Nelder-Mead", "tolerance": 1e-8},
            "generator": "Random",
            "x0": [1e-3, float(optimizer)],
        }
        return EventRow(
            sequence, evaluation, EventKind.SPAWN, optimizer, -1, "started at random", json.dumps(data)
        )

    def session_start(self, sequence: int = 0, evaluation: int = 0) -> EventRow:
        return EventRow(sequence, evaluation, EventKind.SESSION_START, text="process 1 on node1")

    derived = (
        "start_evaluation",
        "end",
        "reason",
        "verdicts",
        "end_evaluation",
        "evaluations",
        "best_loss",
        "best_evaluation",
    )

    def optimizers_by_hand(
        self, evaluations: Sequence[EvaluationRow], events: Sequence[EventRow]
    ) -> dict[str, list[object]]:
        """What the table of optimizers must say, by column, computed one row after the other."""
        table: list[list[object]] = []
        for row in events:
            if row.kind is EventKind.SPAWN:
                table.append([row.evaluation, "", "", "", -1, 0, math.nan, -1])
            elif row.kind in END_KINDS and row.optimizer > 0:
                verdicts = json.loads(row.data or "{}").get("verdicts", "")
                table[row.optimizer - 1][1:5] = [str(row.kind), row.text, verdicts, row.evaluation]
            elif row.kind is EventKind.GOES_ON and row.optimizer > 0:
                table[row.optimizer - 1][1:5] = ["", "", "", -1]
        for number, row in enumerate(evaluations, start=1):
            if row.optimizer > 0:
                entry = table[row.optimizer - 1]
                entry[5] += 1
                if row.outcome is Outcome.OK and math.isfinite(row.loss) and not row.loss >= entry[6]:
                    entry[6:8] = [row.loss, number]
        return {name: [entry[place] for entry in table] for place, name in enumerate(self.derived)}

    def same(self, some: object, others: object) -> bool:
        """Whether rows are equal, nan being equal to nan."""
        return self._plain(some) == self._plain(others)

    def _plain(self, rows: object) -> list[str]:
        return [
            repr(row._replace(x=row.x.tolist()) if isinstance(row, EvaluationRow) else row) for row in rows
        ]


@pytest.fixture(scope="session")
def rows() -> Rows:
    return Rows()


@pytest.fixture
def small_chunks() -> Iterator[None]:
    """Chunks of four rows, in every group."""
    before = [group.chunk_rows for group in GROUPS]
    for group in GROUPS:
        object.__setattr__(group, "chunk_rows", SMALL)  # frozen for everybody but this test
    yield
    for group, chunk_rows in zip(GROUPS, before, strict=True):
        object.__setattr__(group, "chunk_rows", chunk_rows)
