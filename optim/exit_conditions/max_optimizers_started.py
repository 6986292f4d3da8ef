"""End the run when enough optimizers were started."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveInt

from optim.exit_conditions.base import ExitCondition
from optim.progress import Progress, Standing
from optim.surroundings import Surroundings
from optim.verdict import Verdict
from optim.views import RunView


class MaxOptimizersStarted(ExitCondition):
    """Met when `max` optimizers were started.

    Source: ParAMS, exit condition `MaxOptimizersStarted`.
    """

    symbols: ClassVar[dict[str, str]] = {"max": "nstart"}

    max: PositiveInt
    """How many optimizers may be started."""

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        return Verdict(run.started >= self.max, "{} optimizers started of {}", (run.started, self.max))

    def progress(self, standing: Standing) -> Progress:
        """So many of `max`."""
        return Progress(standing.started, self.max, "optimizers started")

    def never_holds(self, around: Surroundings) -> str:
        """As many optimizers must be allowed to start."""
        return around.too_few_starts(self.max)
