"""End the run when its evaluations are used up."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveInt

from optim.exit_conditions.base import ExitCondition
from optim.progress import EVALUATIONS, Progress, Standing
from optim.verdict import NO, Verdict
from optim.views import RunView


class MaxTotalFunctionCalls(ExitCondition):
    """Met when the evaluations of all optimizers together (and the baseline) reach `max`.

    Source: ParAMS, exit condition `MaxTotalFunctionCalls`.
    """

    symbols: ClassVar[dict[str, str]] = {"max": "fmax"}

    max: PositiveInt
    """How many evaluations the run may use."""

    @property
    def budget(self) -> int | None:
        """`max`."""
        return self.max

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        if run.evaluations < self.max:
            return NO
        return Verdict(True, "{} evaluations of {}", (run.evaluations, self.max))

    def progress(self, standing: Standing) -> Progress:
        """So many of `max`."""
        return Progress(standing.evaluations, self.max, EVALUATIONS)
