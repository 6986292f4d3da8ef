"""Stop an optimizer that comes too close to another."""

from __future__ import annotations

import math

import numpy as np
from pydantic import NonNegativeFloat

from optim.stoppers.base import Stopper
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class MaxInteroptimizerDistance(Stopper):
    """The latest point is close to where the owner of the best, or any other optimizer, stands.

    Met when the Euclidean distance in the unit cube is at most `max_relative_distance` x sqrt(d). An optimizer
    stands at its latest point, and at its best one once it is dead. The baseline is no optimizer: nobody can be
    too close to it.

    Source: ParAMS, stopper `MaxInteroptimizerDistance` (the name is theirs).
    """

    max_relative_distance: NonNegativeFloat
    """Largest distance that counts as too close, relative to the diagonal of the space."""
    compare_all_optimizers: bool = False
    """Compare with every optimizer that ever ran, not only with the owner of the best."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        other = self._nearest(optimizer, run) if self.compare_all_optimizers else self._owner(run)
        if other in (0, optimizer.number):
            return NO
        limit = self.max_relative_distance * math.sqrt(run.dimension)
        distance = math.dist(optimizer.latest_point, run.anchor(other))
        if not distance <= limit:
            return NO
        return Verdict(
            True, "at a distance of {:.3g} from optimizer {}, at most {:.3g}", (distance, other, limit)
        )

    @staticmethod
    def _owner(run: RunView) -> int:
        return run.best.optimizer if run.best else 0

    @staticmethod
    def _nearest(optimizer: OptimizerView, run: RunView) -> int:
        squares = np.sum((run.anchors - np.asarray(optimizer.latest_point)) ** 2, axis=1)
        squares[optimizer.number - 1] = np.inf
        squares[np.isnan(squares)] = np.inf
        nearest = int(np.argmin(squares))
        return nearest + 1 if squares[nearest] < np.inf else 0
