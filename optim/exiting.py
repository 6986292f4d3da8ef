"""Whether the exit conditions of a strategy end a run, or only its session."""

from __future__ import annotations

from functools import partial

from optim.combination import Combination, Judgement
from optim.exit_conditions.base import ExitCondition
from optim.messages import Finish, Pause
from optim.strategy import Strategy
from optim.verdict import NO, Verdict
from optim.views import RunView


class Exiting:
    """The exit conditions of a strategy.

    Args:
        strategy: Whose conditions.
    """

    def __init__(self, strategy: Strategy) -> None:
        self._conditions = strategy.exit_conditions
        self._combination = Combination(strategy.exit_condition_boolean_combination, len(self._conditions))
        self._judges = [condition.judge for condition in self._conditions]
        self._ends = self._combination.bind(self._judges)

    @property
    def budget(self) -> int | None:
        """The least number of evaluations that ends the run by itself; None: none does."""
        budgets = [
            condition.budget
            for number, condition in enumerate(self._conditions)
            if condition.budget is not None and self._combination.holds_with(frozenset({number}))
        ]
        return min(budgets, default=None)

    def judge(self, run: RunView) -> Finish | Pause | None:
        """How the run, or the session that a time limit ends, ends now; None: it goes on."""
        if not self._ends(run):
            return None
        judgement = self._combination.judge(self._judges, run)
        reason = judgement.reason([condition.printed for condition in self._conditions])
        end = Pause if self._needs_time_limit(run) else Finish
        return end(reason, conditions=tuple(self._lines(judgement)))

    def lines(self, run: RunView) -> list[str]:
        """The conditions as they stand now, one to a line."""
        return self._lines(self._combination.judge(self._judges, run))

    def _lines(self, judgement: Judgement) -> list[str]:
        return self._combination.lines(
            [condition.printed for condition in self._conditions], judgement.verdicts
        )

    def _needs_time_limit(self, run: RunView) -> bool:
        """Whether the run would go on, had no time limit been reached."""
        if not run.times_up:
            return False

        def judge(condition: ExitCondition) -> Verdict:
            return NO if condition.printed in run.times_up else condition.judge(run)

        return not self._combination.bind([partial(judge, each) for each in self._conditions])()
