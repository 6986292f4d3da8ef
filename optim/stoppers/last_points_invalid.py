"""Stop an optimizer that finds nothing but failures."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import PositiveInt

from optim.stoppers.base import Stopper
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class LastPointsInvalid(Stopper):
    """Met when the last `number_of_function_calls` losses are all non-finite.

    Source: ParAMS, stopper `LastPointsInvalid`.
    """

    needs_warm_up: ClassVar[bool] = False

    number_of_function_calls: PositiveInt = 1
    """How many of the latest losses are looked at."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        calls = self.number_of_function_calls
        if optimizer.calls < calls or any(map(math.isfinite, optimizer.latest_losses(calls))):
            return NO
        return Verdict(True, "none of the last {} losses is finite", (calls,))
