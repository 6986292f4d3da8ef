"""How many evaluations one task run carries: a chunk of them."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

from optim.walltime import REMEMBERED

AIM_S = 0.5
"""With "auto" the losses of a chunk take about so long: tracking costs little then, and a kill loses little more."""
MOST = 1000
"""With "auto" a chunk has no more, however cheap the loss is."""

PerTask = int | Literal["auto"]


def places_for(evaluations: int, most: int, limit: int, threads: int) -> int:
    """Over how many task runs evaluations are divided: no more than are full, but one for each thread.

    A second one that waits beside the one that runs saves a round trip. Where it would only make both of them smaller,
    it doubles what tracking costs: with 50 one-point optimizers, a loss of 1 ms and two threads on two busy cores, two
    chunks of 25 gave 1.8 times as many evaluations a second as four of 13.

    Args:
        evaluations: That are waiting, or with the workers.
        most: That a chunk may have.
        limit: Of task runs that are with the workers.
        threads: Of the workers.
    """
    return min(limit, max(threads, math.ceil(evaluations / most)))


def chunk_size(waiting: int, in_flight: int, free: int, places: int, most: int) -> int:
    """How many evaluations to send next, so that all places have about as many.

    Nothing waits for a chunk to fill; and no chunk takes what others, that will soon be back, could have shared.

    Args:
        waiting: Evaluations that could be sent now, at least one.
        in_flight: Evaluations that are with the workers.
        free: Places for task runs that are empty, at least one.
        places: All of them.
        most: That a chunk may have.
    """
    of_free, of_all = math.ceil(waiting / free), math.ceil((waiting + in_flight) / places)
    return max(1, min(most, of_free, of_all))


class Pace:
    """What the latest losses took, and how large chunks may be for it.

    Args:
        per_task: As set: the size of a chunk, or "auto".
    """

    def __init__(self, per_task: PerTask) -> None:
        self._per_task = per_task
        self._latest_s: deque[float] = deque(maxlen=REMEMBERED)
        self._seen = 0

    def took(self, seconds: float) -> None:
        """A loss has taken so long."""
        self._latest_s.append(seconds)
        self._seen += 1

    @property
    def longest_s(self) -> float:
        """The longest of the latest; 0: there was none."""
        return max(self._latest_s, default=0.0)

    def most(self, within_s: float = math.inf) -> int:
        """How many evaluations a chunk may have.

        Args:
            within_s: Even if each takes as long as the longest of the latest, they must take no more than that.
        """
        most: float = self._most_for_aim() if self._per_task == "auto" else self._per_task
        if self.longest_s:
            most = min(most, within_s / self.longest_s)
        return max(1, int(most))

    def _most_for_aim(self) -> float:
        """No more than were seen: so it begins with one, and a lucky first says nothing of a hundred."""
        if not self._seen:
            return 1
        return min(MOST, self._seen, AIM_S * len(self._latest_s) / sum(self._latest_s))
