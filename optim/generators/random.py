"""Start optimizers anywhere."""

from __future__ import annotations

import numpy as np

from optim.ask_tell import Point
from optim.generators.base import Generator
from optim.space import Space
from optim.views import RunView


class Random(Generator):
    """Uniform over the unit cube: optimizers start at random locations of the parameter space.

    Source: ParAMS, generator `Random`.
    """

    def point(self, space: Space, run: RunView, rng: np.random.Generator) -> Point:
        """See the class."""
        return rng.random(space.dimension)
