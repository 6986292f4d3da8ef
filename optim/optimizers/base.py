"""What every optimizer block is: its settings, and how a fresh one is started."""

from __future__ import annotations

from abc import ABC, abstractmethod

from optim.ask_tell import AskTell, Start, Steps
from optim.options import Policy


class Optimizer(Policy, ABC):
    """Settings of one optimizer block; `start` makes a living optimizer of it.

    A new one is one file in this folder with a subclass that has `steps` and `warm_up`.
    """

    label: str = ""
    """A name for this block, for tables, plots and `OptimizerType`; empty: the type's own."""

    @property
    def title(self) -> str:
        """The label, or what tells this block from others when none is given."""
        return self.label or self.type_name()

    @abstractmethod
    def steps(self, start: Start) -> Steps:
        """The algorithm, as a generator of batches that is sent their losses."""

    @abstractmethod
    def warm_up(self, dimension: int) -> int:
        """How many calls it needs for a first look round (a simplex, a generation), before stoppers judge."""

    def fault(self, dimension: int) -> str:
        """Why it cannot search a space of that dimension; empty: it can."""
        return ""

    def start(self, start: Start) -> AskTell:
        """A living optimizer at `start.x0`, which is one of the points of its first batch."""
        return AskTell(self.steps(start))
