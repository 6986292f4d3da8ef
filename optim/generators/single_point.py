"""Start every optimizer at the initial values."""

from __future__ import annotations

import numpy as np

from optim.ask_tell import Point
from optim.generators.base import Generator
from optim.space import Space
from optim.views import RunView


class SinglePoint(Generator):
    """All optimizers start at the parameters' initial values.

    Source: ParAMS, generator `SinglePoint`.
    """

    def point(self, space: Space, run: RunView, rng: np.random.Generator) -> Point:
        """See the class."""
        return space.initial_point.copy()
