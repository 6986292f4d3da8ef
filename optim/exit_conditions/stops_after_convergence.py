"""End the run when optimizers are still stopped after enough of them have converged."""

from __future__ import annotations

from pydantic import NonNegativeInt, PositiveInt

from optim.exit_conditions.base import ExitCondition
from optim.progress import Progress, Standing
from optim.surroundings import Surroundings
from optim.verdict import NO, Verdict
from optim.views import RunView


class StopsAfterConvergence(ExitCondition):
    """Met when `optimizers_stopped` more were stopped since `optimizers_converged` had converged.

    Source: ParAMS, exit condition `StopsAfterConvergence`.
    """

    optimizers_converged: PositiveInt = 1
    """How many must converge."""
    optimizers_stopped: NonNegativeInt = 0
    """How many must be stopped after that."""

    def judge(self, run: RunView) -> Verdict:
        """See the class."""
        if run.converged < self.optimizers_converged:
            return NO
        since = run.stopped - run.stopped_before[self.optimizers_converged - 1]
        return Verdict(
            since >= self.optimizers_stopped,
            "{} stopped of {} since {} converged",
            (since, self.optimizers_stopped, self.optimizers_converged),
        )

    def progress(self, standing: Standing) -> Progress:
        """Those that must converge, and then those that must be stopped, one after the other."""
        done, of = standing.converged, self.optimizers_converged + self.optimizers_stopped
        if done >= self.optimizers_converged:
            before = standing.stopped_before[self.optimizers_converged - 1]
            done = self.optimizers_converged + standing.stopped - before
        return Progress(done, of, "optimizers converged, then stopped")

    def never_holds(self, around: Surroundings) -> str:
        """Something must stop them, and as many must be allowed to start."""
        if self.optimizers_stopped and around.no_stoppers:
            return around.no_stoppers
        return around.too_few_starts(self.optimizers_converged + self.optimizers_stopped)
