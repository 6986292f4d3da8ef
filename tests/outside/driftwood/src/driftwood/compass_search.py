"""Compass search: look in every direction, go where it is lowest, and look closer once nothing is lower."""

from __future__ import annotations

import math

import numpy as np
from pydantic import PositiveFloat

from optim.ask_tell import Batch, End, EndKind, Start, Steps
from optim.optimizers.base import Optimizer


class CompassSearch(Optimizer):
    """Tries a step up and down along each parameter; moves to the lowest, or else halves the step.

    Source: Kolda, Lewis & Torczon, SIAM Rev. 45, 385 (2003).
    """

    step: PositiveFloat = 0.25
    """Length of the first steps, in the unit cube."""
    tolerance: PositiveFloat = 1e-3
    """It has converged when its steps are no longer than this."""

    @property
    def is_deterministic(self) -> bool:
        """There is nothing to draw."""
        return True

    def warm_up(self, dimension: int) -> int:
        """The start, and one look in every direction."""
        return 1 + 2 * dimension

    def steps(self, start: Start) -> Steps:
        """Points that are given away are copies: others may write to them."""
        x = start.x0.copy()
        (lowest,) = yield Batch([x.copy()])
        step = self.step
        directions = np.concatenate([np.eye(len(x)), -np.eye(len(x))])
        while step > self.tolerance:
            trials = np.clip(x + step * directions, 0.0, 1.0)
            losses = yield Batch(list(trials.copy()))
            best = int(np.argmin(losses))
            if losses[best] < lowest:
                x, lowest = trials[best], losses[best]
            else:
                step /= 2
        if math.isinf(lowest):
            return End(EndKind.GAVE_UP, "no loss was finite")
        return End(EndKind.CONVERGED, f"steps of {step:g} are within the tolerance of {self.tolerance:g}")
