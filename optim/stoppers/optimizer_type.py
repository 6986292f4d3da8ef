"""Tell optimizers of one type from others, in combinations."""

from __future__ import annotations

from typing import ClassVar

from optim.stoppers.base import Stopper
from optim.surroundings import Surroundings
from optim.verdict import Verdict
from optim.views import OptimizerView, RunView


class OptimizerType(Stopper):
    """Met when the optimizer is of that type or label: `1 & 2` applies rule 1 to one type only.

    Source: ParAMS, stopper `OptimizerType`.
    """

    needs_warm_up: ClassVar[bool] = False

    optimizer: str
    """The type or the label of an optimizer block."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        is_met = self.optimizer in (optimizer.type, optimizer.title)
        return Verdict(is_met, "it is a {}", (self.optimizer,))

    def fault(self, around: Surroundings) -> str:
        """There must be such a block."""
        if self.optimizer in around.titles:
            return ""
        return f"no optimizer block has the type or label {self.optimizer!r}; there are {', '.join(around.titles)}"
