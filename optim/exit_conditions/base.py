"""What every exit condition is: a rule about the whole run, with its settings."""

from __future__ import annotations

from abc import abstractmethod

from optim.condition import Condition
from optim.progress import Progress, Standing
from optim.surroundings import Surroundings
from optim.verdict import Verdict
from optim.views import RunView


class ExitCondition(Condition):
    """A rule that ends the run.

    A new one is one file in this folder with a subclass that has `judge`, and `progress` if it can tell any.
    """

    @property
    def budget(self) -> int | None:
        """The number of evaluations at which it is met whatever else happens; None: there is none.

        A budget that ends the run by itself is a hard cap: nothing is submitted beyond it.
        """
        return None

    def allowance_s(self, spent_s: float) -> float | None:
        """How many seconds a session may take until it is met; None: time has nothing to do with it.

        Args:
            spent_s: How long earlier sessions worked on the run.
        """
        return None

    def progress(self, standing: Standing) -> Progress | None:
        """How far it is from being met, for people who follow the run; None: it cannot tell.

        Args:
            standing: Of the run, living or read from its store.
        """
        return None

    def never_holds(self, around: Surroundings) -> str:
        """Why it can never be met beside the other settings; empty: it can."""
        return ""

    @abstractmethod
    def judge(self, run: RunView) -> Verdict:
        """Whether the run should end; asked after every result."""
