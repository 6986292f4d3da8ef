"""What every generator is: a rule for where new optimizers start."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from optim.ask_tell import Point
from optim.options import Policy
from optim.views import RunView


class Generator(Policy, ABC):
    """Gives each new optimizer its starting point.

    A new one is one file in this folder with a subclass that has `point`.
    """

    @abstractmethod
    def point(self, initial: Point, run: RunView, rng: np.random.Generator) -> Point:
        """Where the next optimizer starts, in the unit cube.

        Args:
            initial: The parameters' initial values in the unit cube, shape (dimension,).
            run: The run so far.
            rng: A stream of its own for each optimizer.
        """
