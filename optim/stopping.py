"""Which optimizers the stoppers of a strategy end, and why."""

from __future__ import annotations

from typing import NamedTuple

from optim.combination import Combination
from optim.strategy import Strategy
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class Stopped(NamedTuple):
    """Why an optimizer is stopped.

    Attributes:
        reason: The stoppers that were met, each with its numbers, on one line.
        verdicts: All stoppers as they stood, one to a line.
    """

    reason: str
    verdicts: str


class Stopping:
    """The stoppers of a strategy, and when they are asked.

    Args:
        strategy: Whose stoppers.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._stoppers = strategy.stoppers
        self._interval = strategy.check_stopper_interval
        self._spares_best = not strategy.apply_stoppers_to_best_optimizer
        self._combination = Combination(strategy.stopper_boolean_combination, len(self._stoppers))
        self._judges = [stopper.judge for stopper in self._stoppers]
        self._early_judges = [
            _keep_silent if stopper.needs_warm_up else stopper.judge for stopper in self._stoppers
        ]
        self._stops = self._combination.bind(self._judges)
        self._stops_early = self._combination.bind(self._early_judges)

    def judge(self, optimizer: OptimizerView, run: RunView) -> Stopped | None:
        """Why an optimizer that was just told a loss is stopped now; None: it may go on."""
        if not self._stoppers or optimizer.calls % self._interval:
            return None
        best = run.best
        if self._spares_best and best is not None and best.optimizer == optimizer.number:
            return None
        is_warm = optimizer.is_warm
        if not (self._stops if is_warm else self._stops_early)(optimizer, run):
            return None
        judges = self._judges if is_warm else self._early_judges
        judgement = self._combination.judge(judges, optimizer, run)
        verdicts = self._combination.lines(
            [stopper.printed for stopper in self._stoppers], judgement.verdicts
        )
        return Stopped(
            judgement.reason([stopper.type_name() for stopper in self._stoppers]), "\n".join(verdicts)
        )


def _keep_silent(optimizer: OptimizerView, run: RunView) -> Verdict:
    """In place of a stopper that waits until the optimizer has had its first look round."""
    del optimizer, run
    return NO
