"""Stop optimizers by chance, the sooner the worse they are."""

from __future__ import annotations

import math

from pydantic import Field

from optim.stoppers.base import Stopper
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class ValueAnnealing(Stopper):
    """Met with the chance 1 - (1 - c)^r, r = abs((its best - the run's best) / the run's best).

    c is `critical_stop_chance`: the chance at twice the best. Never for the owner of the best, nor where the best is
    zero; an optimizer without one finite loss is infinitely worse.

    Source: Freitas Gustavo & Verstraelen, J. Cheminform. (2022), and ParAMS, stopper `ValueAnnealing`.
    """

    critical_stop_chance: float = Field(default=0.5, gt=0, le=1)
    """The chance to be stopped, at each check, of an optimizer whose best is twice the best of the run."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        best = run.best
        if best is None or best.loss == 0 or best.optimizer == optimizer.number:
            return NO
        lowest = optimizer.losses.lowest_until(optimizer.calls)
        ratio = abs((lowest - best.loss) / best.loss)
        if ratio == 0:
            return NO
        chance = 1 - (1 - self.critical_stop_chance) ** ratio if ratio < math.inf else 1.0
        draw = run.draw(self.printed, optimizer.number, optimizer.calls)
        return Verdict(
            draw < chance,
            "its best {:.6g} against {:.6g} gave a chance of {:.3g}; drew {:.3g}",
            (lowest, best.loss, chance, draw),
        )
