"""Stop an optimizer that has had its share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveInt

from optim.stoppers.base import Stopper
from optim.verdict import Verdict
from optim.views import OptimizerView, RunView


class MaxFunctionCalls(Stopper):
    """Met when the optimizer was told `max` losses.

    Source: ParAMS, stopper `MaxFunctionCalls`.
    """

    needs_warm_up: ClassVar[bool] = False

    max: PositiveInt
    """How many calls an optimizer may have."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        return Verdict(optimizer.calls >= self.max, "{} calls of {}", (optimizer.calls, self.max))
