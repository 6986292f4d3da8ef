"""Stop the worse half."""

from __future__ import annotations

from statistics import median

from pydantic import PositiveInt

from optim.stoppers.base import Stopper
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class WorseThanMedian(Stopper):
    """Met when the optimizer's best is above the median of all optimizers' bests, its own included."""

    number_of_function_calls: PositiveInt
    """How many calls it may have before it is compared."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        if optimizer.calls < self.number_of_function_calls:
            return NO
        middle = median(other.best_loss for other in run.optimizers)
        return Verdict(
            optimizer.best_loss > middle,
            "its best {:.6g} is above the median {:.6g}",
            (optimizer.best_loss, middle),
        )
