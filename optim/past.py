"""The past of an optimizer that does not repeat itself, read from the journal.

Elsewhere linear algebra rounds differently, and an algorithm may go another way than it went. When somebody accepts
that, what it asked for is not computed again: the journal says it, and where the journal stops the algorithm is started
anew, from the best point that it had seen. All others find the run exactly as it was: also what was asked for and never
came back keeps its place in the budget.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.ask_tell import AskTell, Batch, End, EndKind, Point, Start, Steps
from optim.errors import DivergenceError
from optim.journal import EvaluationRow, EventKind, EventRow
from optim.space import Space

ACCEPTED = "past accepted"
"""What the data of an intervention calls it."""


class RecordedBatch(NamedTuple):
    """Points that were asked for together.

    Attributes:
        points: In the unit cube; None: it was asked for, but never evaluated, so nobody knows where it was.
        probes: Finite differences.
    """

    points: tuple[Point | None, ...]
    probes: bool


class Extent(NamedTuple):
    """How much of the journal is an optimizer's past; by default all.

    Attributes:
        before: The place in the journal at which it ends.
        calls: How many calls there were; what else was asked for then, it asked for after its new start.
    """

    before: float = math.inf
    calls: float = math.inf


@dataclass(frozen=True, slots=True)
class Past:
    """What an optimizer has asked for, and how it ended, if it did so by itself."""

    batches: tuple[RecordedBatch, ...]
    end: End | None

    @property
    def calls(self) -> int:
        """How many there are."""
        return sum(len(batch.points) for batch in self.batches)

    def steps(
        self, start: Start, places: NDArray[np.intp] | None, begin: Callable[[Start], AskTell]
    ) -> Steps:
        """Ask for what was asked for, then go on from the best of it.

        Args:
            start: Where it was started, and the random numbers of what follows.
            places: The coordinates that it moves; None: all.
            begin: Starts its algorithm.
        """
        best, lowest = start.x0, math.inf
        for batch in self.batches:
            points = [_anywhere(start, places) if point is None else point for point in batch.points]
            answers = yield Batch(points, batch.probes)
            for loss, point in zip(answers, answers.points, strict=True):
                if loss < lowest:
                    best, lowest = point, loss
        if self.end is not None:
            return self.end
        living = begin(start._replace(x0=best))
        try:
            while living.end is None:
                answers = yield living.ask()
                living.tell(answers)
            return living.end
        finally:
            living.close()


def accepted_pasts(events: Iterable[EventRow]) -> dict[int, Extent]:
    """Whose past was accepted, and how much each has of it: what counts is when that was done last."""
    return {
        row.optimizer: Extent(row.sequence, row.call)
        for row in events
        if row.kind is EventKind.INTERVENTION and ACCEPTED in json.loads(row.data)
    }


def read_pasts(
    extents: Mapping[int, Extent],
    evaluations: Iterable[EvaluationRow],
    events: Iterable[EventRow],
    space: Space,
) -> dict[int, Past]:
    """The pasts of some optimizers.

    Args:
        extents: Of which, by number.
        evaluations: All of the journal, in order.
        events: All of the journal, in order.
        space: Of the run.

    Raises:
        DivergenceError: An earlier shoal recorded calls of such an optimizer, and not which were asked for together.
    """
    own: dict[int, list[EvaluationRow | EventRow]] = {optimizer: [] for optimizer in extents}
    for row in chain[EvaluationRow | EventRow](evaluations, events):
        if row.optimizer in extents and row.sequence < extents[row.optimizer].before:
            own[row.optimizer].append(row)
    return {optimizer: _past(rows, extents[optimizer].calls, space) for optimizer, rows in own.items()}


def _past(rows: Iterable[EvaluationRow | EventRow], calls: float, space: Space) -> Past:
    known: dict[int, EvaluationRow] = {}
    asked = set()
    end = None
    for row in rows:
        if isinstance(row, EvaluationRow):
            if row.asked < 0:
                raise DivergenceError(
                    f"what optimizer {row.optimizer} does instead cannot be accepted: an earlier shoal recorded its"
                    f" call {row.call}, and not which calls were asked for together; resume the run on the processor"
                    " and with the versions that it began with"
                )
            known[row.call] = row
            asked.add(row.asked)
        elif row.kind in (EventKind.SPAWN, EventKind.GOES_ON):
            asked.add(row.call)
        elif row.kind.value in list(EndKind):
            end = End(EndKind(row.kind.value), row.text)
    lasts = sorted(last for last in asked if 0 < last <= calls)
    batches = (
        [known.get(call) for call in range(before + 1, last + 1)] for before, last in pairwise([0, *lasts])
    )
    return Past(tuple(_batch(batch, space) for batch in batches), end)


def _batch(rows: Sequence[EvaluationRow | None], space: Space) -> RecordedBatch:
    return RecordedBatch(
        tuple(None if row is None else space.to_unit(row.x) for row in rows),
        any(row is not None and row.probe for row in rows),
    )


def _anywhere(start: Start, places: NDArray[np.intp] | None) -> Point:
    moved = np.arange(len(start.x0)) if places is None else places
    point = start.x0.copy()
    point[moved] = start.rng.random(len(moved))
    return point
