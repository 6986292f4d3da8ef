"""The `optimizers` group, derived from the journal row by row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.errors import StoreError
from optim.journal import END_KINDS, EvaluationRow, EventKind, EventRow
from optim.outcome import Outcome
from optim.store.table import Table


class Spawn(NamedTuple):
    """What the `data` of a spawn event says.

    Attributes:
        type: Type of the optimizer.
        label: What its settings are called.
        settings: Its settings, as a JSON object.
        generator: Which generator gave its starting point.
        x0: The starting point, physical units, shape (dimension,).
    """

    type: str
    label: str
    settings: str
    generator: str
    x0: NDArray[np.float64]

    @classmethod
    def of(cls, row: EventRow, dimension: int) -> Spawn:
        """Read a spawn event.

        Raises:
            StoreError: Something is missing, or `x0` has another dimension.
        """
        try:
            data = json.loads(row.data)
            x0 = np.array(data["x0"], dtype=np.float64)
            spawn = cls(data["type"], data["label"], json.dumps(data["settings"]), data["generator"], x0)
        except (ValueError, TypeError, KeyError) as fault:
            raise StoreError(
                f"the spawn of optimizer {row.optimizer} needs data with type, label, settings, generator and"
                f" x0, got {row.data!r} ({type(fault).__name__}: {fault})"
            ) from fault
        if x0.shape != (dimension,):
            raise StoreError(
                f"the start of optimizer {row.optimizer} must have shape ({dimension},), got {x0.shape}"
            )
        return spawn


def stop_verdicts(row: EventRow) -> str:
    """The stoppers as they stood when an optimizer ended, as the `data` of that event says; empty: it does not.

    Raises:
        StoreError: `data` is no JSON object, or the verdicts in it are no text.
    """
    if not row.data:
        return ""
    try:
        verdicts = json.loads(row.data).get("verdicts", "")
    except (ValueError, AttributeError) as fault:
        raise StoreError(
            f"the data of the end of optimizer {row.optimizer} must be a JSON object, got {row.data!r}"
        ) from fault
    if not isinstance(verdicts, str):
        raise StoreError(f"the verdicts on optimizer {row.optimizer} must be text, got {verdicts!r}")
    return verdicts


class OptimizersView:
    """Keeps the table of optimizers in step with the journal; row i is optimizer i + 1.

    It takes time with the new rows and the optimizers they concern, never with the length of the run.

    Args:
        table: Of the group `optimizers`; holds what was derived so far.
        dimension: How many parameters there are.
    """

    def __init__(self, table: Table, dimension: int) -> None:
        self._table = table
        self._dimension = dimension

    def absorb(
        self, first_number: int, evaluations: Sequence[EvaluationRow], events: Sequence[EventRow]
    ) -> None:
        """Bring the table up to date with the next rows of the journal.

        Args:
            first_number: Number of the first of the evaluations.
            evaluations: In order.
            events: In order.
        """
        self._start([row for row in events if row.kind is EventKind.SPAWN])
        for row in events:
            if row.optimizer > 0 and row.kind in END_KINDS:
                self._set_end(row.optimizer, row.kind.value, row.text, stop_verdicts(row), row.evaluation)
            elif row.optimizer > 0 and row.kind is EventKind.GOES_ON:
                self._set_end(row.optimizer, "", "", "", -1)
        if evaluations:
            self._count(first_number, evaluations)

    def _set_end(self, optimizer: int, end: str, reason: str, verdicts: str, evaluation: int) -> None:
        index = optimizer - 1
        self._table.set("end", index, end)
        self._table.set("reason", index, reason)
        self._table.set("verdicts", index, verdicts)
        self._table.set("end_evaluation", index, evaluation)

    def _start(self, rows: Sequence[EventRow]) -> None:
        if not rows:
            return
        spawns = [Spawn.of(row, self._dimension) for row in rows]
        columns: dict[str, Any] = {name: [getattr(spawn, name) for spawn in spawns] for name in Spawn._fields}
        columns["number"] = [row.optimizer for row in rows]
        columns["start_evaluation"] = [row.evaluation for row in rows]
        for column in self._table.group.columns:
            columns.setdefault(column.name, [column.fill_value] * len(rows))
        self._table.append(columns)

    def _count(self, first_number: int, rows: Sequence[EvaluationRow]) -> None:
        optimizer = np.array([row.optimizer for row in rows])
        loss = np.array([row.loss for row in rows])
        is_ok = np.array([row.outcome is Outcome.OK for row in rows])
        for number, count in zip(*np.unique(optimizer[optimizer > 0], return_counts=True), strict=True):
            self._table.set("evaluations", number - 1, self._table.get("evaluations", number - 1) + count)

        candidates = np.flatnonzero((optimizer > 0) & is_ok & np.isfinite(loss))
        # by optimizer, then loss, then place: of equal losses the first counts
        candidates = candidates[np.lexsort((loss[candidates], optimizer[candidates]))]
        numbers, firsts = np.unique(optimizer[candidates], return_index=True)
        for number, place in zip(numbers, candidates[firsts], strict=True):
            best = self._table.get("best_loss", number - 1)
            if np.isnan(best) or loss[place] < best:
                self._table.set("best_loss", number - 1, loss[place])
                self._table.set("best_evaluation", number - 1, first_number + place)
