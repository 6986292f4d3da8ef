"""How many evaluations one task run may carry, by what the setting says and what losses take."""

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
