"""What every generator is: a rule for where new optimizers start."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from optim.ask_tell import Point
from optim.options import Policy
from optim.space import Space
from optim.views import RunView


class Generator(Policy, ABC):
    """Gives each new optimizer its starting point.

    A new one is one file in this folder with a subclass that has `point`.
    """

    @abstractmethod
    def point(self, space: Space, run: RunView, rng: np.random.Generator) -> Point:
        """Where the next optimizer starts, in the unit cube.

        Args:
            space: The parameters; its `initial_point` is where people would start.
            run: The run so far.
            rng: A stream of its own for each optimizer.
        """

    def fault(self, space: Space) -> str:
        """Why it cannot give points of that space; empty: it can."""
        return ""
