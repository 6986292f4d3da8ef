"""Stop optimizers that were given much more time than the owner of the best."""

from __future__ import annotations

from pydantic import PositiveFloat

from optim.stoppers.base import Stopper
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class TimeAnnealing(Stopper):
    """Met when a uniform draw from (0, `critical_ratio`) exceeds the calls of the best's owner over its own.

    So the young are left alone, and the older an optimizer is beside the owner of the best, the less its chance. An
    owner that is dead: not met.

    Source: ParAMS, stopper `TimeAnnealing`.
    """

    critical_ratio: PositiveFloat = 1.0
    """The ratio of calls, owner to optimizer, from which on nothing is stopped."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        if run.best is None or not run.best.optimizer or not optimizer.calls:
            return NO
        owner = run.optimizers[run.best.optimizer - 1]
        if not owner.is_alive:
            return NO
        ratio = owner.calls / optimizer.calls
        if ratio >= self.critical_ratio:
            return NO
        draw = self.critical_ratio * run.draw(self.printed, optimizer.number, optimizer.calls)
        return Verdict(
            draw > ratio,
            "{} calls against {} of optimizer {}, the best's owner: drew {:.3g} of {:g}, above their ratio {:.3g}",
            (optimizer.calls, owner.calls, owner.number, draw, self.critical_ratio, ratio),
        )
