"""The running best of a run against its evaluations, thinned out so that it never grows."""

from __future__ import annotations

from typing import NamedTuple

MOST_POINTS = 512
"""Once there are more, every second one is forgotten."""


class Step(NamedTuple):
    """From that evaluation (its number) on, the best loss was that."""

    evaluation: int
    loss: float


class Descent:
    """Takes every new best, which costs the same however long the run is; others may read meanwhile.

    Attributes:
        steps: In order; the first and the latest new best are always among them.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def add(self, evaluation: int, loss: float) -> None:
        """A new best, lower than all before."""
        if len(self.steps) >= MOST_POINTS:
            self.steps = self.steps[::2]
        self.steps.append(Step(evaluation, loss))
