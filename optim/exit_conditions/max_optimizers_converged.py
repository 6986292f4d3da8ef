"""End the run when enough optimizers have converged."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveInt

from optim.exit_conditions.base import ExitCondition
from optim.progress import Progress, Standing
from optim.surroundings import Surroundings
from optim.verdict import Verdict
from optim.views import RunView


class MaxOptimizersConverged(ExitCondition):
    """Met when `max` optimizers have converged by themselves; those that were stopped do not count.

    Source: ParAMS, exit condition `MaxOptimizersConverged`.
    """

    symbols: ClassVar[dict[str, str]] = {"max": "nconv"}

    max: PositiveInt = 1
    """How many optimizers must converge."""

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        return Verdict(run.converged >= self.max, "{} optimizers converged of {}", (run.converged, self.max))

    def progress(self, standing: Standing) -> Progress:
        """So many of `max`."""
        return Progress(standing.converged, self.max, "optimizers converged")

    def never_holds(self, around: Surroundings) -> str:
        """As many optimizers must be allowed to start."""
        return around.too_few_starts(self.max)
