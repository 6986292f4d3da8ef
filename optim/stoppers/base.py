"""What every stopper is: a rule about one optimizer, with its settings."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from optim.condition import Condition
from optim.verdict import Verdict
from optim.views import OptimizerView, RunView


class Stopper(Condition):
    """A rule that ends one optimizer, which is then replaced if spawning allows.

    A new one is one file in this folder with a subclass that has `judge`.
    """

    needs_warm_up: ClassVar[bool] = True
    """Whether it keeps silent until the optimizer has had its first look round."""

    @abstractmethod
    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """Whether `optimizer`, which has just been told a loss, should be stopped; costs O(window) at most."""
