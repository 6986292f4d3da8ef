"""What every selector is: a rule for which optimizer block starts next."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from optim.options import Policy
from optim.views import RunView


class Selector(Policy, ABC):
    """Chooses among the optimizer blocks of a run.

    A new one is one file in this folder with a subclass that has `select`.
    """

    @abstractmethod
    def select(self, blocks: int, run: RunView, rng: np.random.Generator) -> int:
        """The block of the next optimizer, counted from 0.

        Args:
            blocks: How many optimizer blocks there are.
            run: The run so far.
            rng: A stream of its own for each optimizer.
        """

    def fault(self, blocks: int) -> str:
        """Why it cannot choose among so many blocks; empty: it can."""
        return ""
