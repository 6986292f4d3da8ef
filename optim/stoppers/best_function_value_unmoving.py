"""Stop an optimizer whose best loss improves no more."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveInt

from optim.stoppers.base import Stopper
from optim.unmoving import unmoving
from optim.verdict import Verdict
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
        return unmoving(optimizer.losses, self.number_of_function_calls, self.tolerance, "calls")
