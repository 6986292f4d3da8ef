"""End the run when enough optimizers were stopped."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveInt

from optim.exit_conditions.base import ExitCondition
from optim.progress import Progress, Standing
from optim.surroundings import Surroundings
from optim.verdict import Verdict
from optim.views import RunView


class MaxOptimizersStopped(ExitCondition):
    """Met when stoppers have stopped `max` optimizers.

    Source: ParAMS, exit condition `MaxOptimizersStopped`.
    """

    symbols: ClassVar[dict[str, str]] = {"max": "nstop"}

    max: PositiveInt
    """How many optimizers may be stopped."""

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        return Verdict(run.stopped >= self.max, "{} optimizers stopped of {}", (run.stopped, self.max))

    def progress(self, standing: Standing) -> Progress:
        """So many of `max`."""
        return Progress(standing.stopped, self.max, "optimizers stopped")

    def never_holds(self, around: Surroundings) -> str:
        """Something must stop them, and as many must be allowed to start."""
        return around.no_stoppers or around.too_few_starts(self.max)
