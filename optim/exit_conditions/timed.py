"""What time limits share: they are met when the manager is told that their time has passed."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import PositiveFloat

from optim.exit_conditions.base import ExitCondition
from optim.progress import SECONDS, Progress, Standing
from optim.verdict import Verdict
from optim.views import RunView


class Timed(ExitCondition):
    """A limit on working time. It ends a session, which can be resumed, and not the run."""

    seconds: PositiveFloat
    """How long."""

    @abstractmethod
    def allowance_s(self, spent_s: float) -> float | None:
        """How much of it a session has."""

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        return Verdict(self.printed in run.times_up, "{:g} s have passed", (self.seconds,))

    def progress(self, standing: Standing) -> Progress:
        """Of `seconds`, what was used up when the session began, and what it has taken since."""
        allowance_s = self.allowance_s(standing.earlier_s)
        used_s = 0.0 if allowance_s is None else self.seconds - allowance_s
        return Progress(used_s + standing.session_s, self.seconds, SECONDS)
