"""Stop an optimizer whose best loss improves no more."""

from __future__ import annotations

import math

from pydantic import NonNegativeFloat, PositiveInt

from optim.stoppers.base import Stopper
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class BestFunctionValueUnmoving(Stopper):
    """The last calls brought no improvement worth the name.

    Met when n > calls and b0 - b1 <= `tolerance` x abs(b0), with b0 the best loss before the last `calls` and b1
    the best of all. With b0 infinite: met if b1 is too.

    Source: ParAMS, stopper `BestFunctionValueUnmoving`.
    """

    number_of_function_calls: PositiveInt
    """How many of the latest losses must bring an improvement."""
    tolerance: NonNegativeFloat = 0.0
    """Largest improvement that does not count, relative to the best loss before."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        calls = self.number_of_function_calls
        if optimizer.calls <= calls:
            return NO
        before = optimizer.lowest_loss_until(optimizer.calls - calls)
        best = optimizer.lowest_loss_until(optimizer.calls)
        if before == math.inf:
            return Verdict(best == math.inf, "no finite loss in {} calls", (optimizer.calls,))
        return Verdict(
            before - best <= self.tolerance * abs(before),
            "no improvement > {:g} x abs({:.6g}) in {} calls (best {:.6g})",
            (self.tolerance, before, calls, best),
        )
