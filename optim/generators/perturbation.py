"""Start optimizers around the initial values."""

from __future__ import annotations

import numpy as np
from pydantic import PositiveFloat

from optim.ask_tell import Point
from optim.generators.base import Generator
from optim.space import Space
from optim.views import RunView


class Perturbation(Generator):
    """A normal distribution around the initial values, in the unit cube, truncated to the bounds.

    Source: ParAMS, generator `Perturbation`.
    """

    standard_deviation: PositiveFloat = 0.2
    """In each parameter, of the unit cube."""

    def point(self, space: Space, run: RunView, rng: np.random.Generator) -> Point:
        """See the class."""
        from scipy.special import ndtr, ndtri

        initial = space.initial_point
        # By the inverse of the distribution function, which needs one draw however far the bounds cut in.
        low, high = ndtr(-initial / self.standard_deviation), ndtr((1 - initial) / self.standard_deviation)
        quantiles = low + rng.random(len(initial)) * (high - low)
        return np.clip(initial + self.standard_deviation * ndtri(quantiles), 0.0, 1.0)
