"""End the run when the loss is low enough."""

from __future__ import annotations

import math

from pydantic import FiniteFloat

from optim.exit_conditions.base import ExitCondition
from optim.progress import Progress, Standing
from optim.verdict import NO, Verdict
from optim.views import RunView

TOLERANCE = 1e-6
"""How far above the target a loss may be to count; absolute."""


class TargetFunctionValue(ExitCondition):
    """Met when the best loss is at most `target` + 1e-6.

    Source: ParAMS, exit condition `TargetFunctionValue`.
    """

    target: FiniteFloat
    """The loss that is low enough."""

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        if run.best is None:
            return NO
        return Verdict(
            run.best.loss <= self.target + TOLERANCE, "best {:.6g}, target {:g}", (run.best.loss, self.target)
        )

    def progress(self, standing: Standing) -> Progress | None:
        """The best loss: how far it still has to fall, nobody knows."""
        return Progress(standing.best_loss, counts="best loss") if math.isfinite(standing.best_loss) else None
