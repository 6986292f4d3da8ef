"""Losses in order, with the lowest so far beside each."""

from __future__ import annotations

import math
from array import array


class Losses:
    """Grows by one loss at a time, 16 bytes each; satisfies `LossesView`.

    Attributes:
        lowest: Of all; inf: none was finite, or there is none.
    """

    def __init__(self) -> None:
        self.lowest = math.inf
        self._values = array("d")
        self._lowest = array("d")

    def __len__(self) -> int:
        return len(self._values)

    def add(self, loss: float) -> None:
        """Append one; inf where there was no finite number."""
        if loss < self.lowest:
            self.lowest = loss
        self._lowest.append(self.lowest)
        self._values.append(loss)  # last: whoever looks from another thread counts these

    def latest(self, count: int) -> array[float]:
        """The last `count`, oldest first (all, when there are fewer)."""
        return self._values[-count:]

    def lowest_until(self, count: int) -> float:
        """The lowest of the first `count` (1 <= count <= len); inf: none of them was finite."""
        return self._lowest[count - 1]
