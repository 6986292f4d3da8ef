"""Stop an optimizer that moves no more, at a loss that is worse than the best."""

from __future__ import annotations

import math

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt

from optim.stoppers.base import Stopper
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class CurrentFunctionValueUnmoving(Stopper):
    """The last losses hardly differ, and the latest is worse than the best of the run.

    Met when n >= calls, the population standard deviation of the last `calls` losses is at most
    `tolerance` x abs(f_n), and f_n is worse than the best. A non-finite loss among them: not met.

    Source: ParAMS, stopper `CurrentFunctionValueUnmoving`.
    """

    number_of_function_calls: PositiveInt
    """How many of the latest losses are looked at."""
    tolerance: NonNegativeFloat = 0.0
    """Largest standard deviation that counts as unmoving, relative to the latest loss."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        calls = self.number_of_function_calls
        best = run.best
        if optimizer.calls < calls or best is None or not best.loss < optimizer.latest_loss < math.inf:
            return NO
        losses = optimizer.latest_losses(calls)
        limit = self.tolerance * abs(optimizer.latest_loss)
        # The range bounds the deviation from below: sd >= range / sqrt(2 n). It settles most cases at no cost,
        # and most of those by the first and the last loss.
        widest = limit * math.sqrt(2 * calls) * (1 + 1e-9)
        if not (abs(losses[0] - losses[-1]) <= widest and max(losses) - min(losses) <= widest):
            return NO
        deviation = float(np.std(losses))
        if not deviation <= limit:
            return NO
        return Verdict(
            True,
            "the last {} losses vary by {:.3g}, at most {:g} x abs({:.6g}), above the best {:.6g}",
            (calls, deviation, self.tolerance, optimizer.latest_loss, best.loss),
        )
