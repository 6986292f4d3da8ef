"""End a run that finds nothing better any more."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveInt

from optim.exit_conditions.base import ExitCondition
from optim.verdict import NO, Verdict
from optim.views import RunView


class BestUnmoving(ExitCondition):
    """Met when the best of the run is `evaluations` old."""

    symbols: ClassVar[dict[str, str]] = {"evaluations": "feval"}

    evaluations: PositiveInt
    """How many evaluations may bring no new best."""

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        if run.best is None:
            return NO
        age = run.evaluations - run.best.evaluation
        return Verdict(
            age >= self.evaluations, "no new best in {} evaluations of {}", (age, self.evaluations)
        )
