"""Start optimizers in the corners."""

from __future__ import annotations

import numpy as np

from optim.ask_tell import Point
from optim.generators.base import Generator
from optim.space import Space
from optim.views import RunView


class Corner(Generator):
    """Each parameter starts at one of its bounds."""

    def point(self, space: Space, run: RunView, rng: np.random.Generator) -> Point:
        """See the class."""
        return rng.integers(2, size=space.dimension).astype(np.float64)
