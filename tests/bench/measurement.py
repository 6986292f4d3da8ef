"""What a benchmark hands back."""

from __future__ import annotations

import statistics
from typing import NamedTuple

RATE = "evaluations/s"


class Measurement(NamedTuple):
    """How fast, large or slow something is.

    Attributes:
        name: What was measured.
        values: One for each round; the median counts.
        unit: Of the values.
        reference: What it is compared with; empty: nothing.
        at_least: What is wanted, of the ratio to the reference, or of the value when there is none.
        at_most: The same from above.
    """

    name: str
    values: list[float]
    unit: str = RATE
    reference: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def wanted(self) -> str:
        """What is wanted, in words; empty: nothing."""
        bounds = ((">=", self.at_least), ("<=", self.at_most))
        return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def is_reached(self, found: float) -> bool:
        """Whether the ratio, or the value when it has no reference, is as wanted."""
        return (self.at_least is None or found >= self.at_least) and (
            self.at_most is None or found <= self.at_most
        )
