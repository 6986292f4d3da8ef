"""The past of an optimizer that does not repeat itself, read from the journal.

Elsewhere linear algebra rounds differently, and an algorithm may go another way than it went. When somebody accepts
that, what it asked for is not computed again: the journal says it, and where the journal stops the algorithm is started
anew, from the best point that it had seen. All others find the run exactly as it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.ask_tell import AskTell, Batch, End, EndKind, Point, Start, Steps
from optim.journal import END_KINDS, EvaluationRow, EventKind, EventRow
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


@dataclass(frozen=True, slots=True)
class Past:
    """What an optimizer has asked for, and how it ended, if it did so by itself.

    The journal does not say which calls were asked for together. They are taken to be as few as the order of what came
    back allows: to the trajectory and to all decisions that follow from it this makes no difference. Only where a
    budget is nearly used up may an optimizer find a place earlier than it did, which a replay notices.
    """

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
                living.tell(answers, answers.points)
            return living.end
        finally:
            living.close()


def accepted_pasts(events: Iterable[EventRow]) -> dict[int, int]:
    """Whose past was accepted, each with the place in the journal where that was done last."""
    return {
        row.optimizer: row.sequence
        for row in events
        if row.kind is EventKind.INTERVENTION and ACCEPTED in json.loads(row.data)
    }


def read_pasts(
    until: Mapping[int, float], evaluations: Iterable[EvaluationRow], events: Iterable[EventRow], space: Space
) -> dict[int, Past]:
    """The pasts of some optimizers.

    Args:
        until: Which, by number, each with the place in the journal at which its past ends.
        evaluations: All of the journal, in order.
        events: All of the journal, in order.
        space: Of the run.
    """
    tracks = {optimizer: _Track() for optimizer in until}
    rows: Iterator[EvaluationRow | EventRow] = merge(evaluations, events, key=attrgetter("sequence"))
    for row in rows:
        if row.sequence < until.get(row.optimizer, -1):
            tracks[row.optimizer].follow(row)
    return {optimizer: track.past(space) for optimizer, track in tracks.items()}


class _Track:
    """Follows one optimizer through the journal, to find out which of its calls were asked for together."""

    def __init__(self) -> None:
        self._rows: dict[int, EvaluationRow] = {}
        self._with_previous: set[int] = set()
        self._calls = 0
        self._told = 0
        self._told_at = -1
        self._rests_since: int | None = None
        self._end: End | None = None

    def follow(self, row: EvaluationRow | EventRow) -> None:
        if isinstance(row, EvaluationRow):
            self._came_back(row.call)
            self._rows[row.call] = row
            self._tell(row.sequence)
        elif row.kind is EventKind.DROPPED:
            self._came_back(row.call)
        elif row.kind is EventKind.GOES_ON:
            self._rests_since = None
            self._tell(row.sequence)
        elif row.kind in END_KINDS:
            self._rests_since = row.sequence
            if row.kind.value in list(EndKind):
                self._end = End(EndKind(row.kind.value), row.text)

    def past(self, space: Space) -> Past:
        batches: list[list[int]] = []
        for call in range(1, self._calls + 1):
            if call in self._with_previous:
                batches[-1].append(call)
            else:
                batches.append([call])
        return Past(tuple(self._batch(calls, space) for calls in batches), self._end)

    def _came_back(self, call: int) -> None:
        """It was out together with the first call that had not been told then."""
        waited_for = self._told + 1
        if self._rests_since == self._told_at:  # whoever rests asks for nothing: it was out before that, too
            waited_for = self._told
        self._with_previous.update(range(waited_for + 1, call + 1))
        self._calls = max(self._calls, call)

    def _tell(self, sequence: int) -> None:
        if self._rests_since is None:
            while self._told + 1 in self._rows:
                self._told += 1
                self._told_at = sequence

    def _batch(self, calls: list[int], space: Space) -> RecordedBatch:
        rows = [self._rows.get(call) for call in calls]
        return RecordedBatch(
            tuple(None if row is None else space.to_unit(row.x) for row in rows),
            any(row is not None and row.probe for row in rows),
        )


def _anywhere(start: Start, places: NDArray[np.intp] | None) -> Point:
    moved = np.arange(len(start.x0)) if places is None else places
    point = start.x0.copy()
    point[moved] = start.rng.random(len(moved))
    return point
