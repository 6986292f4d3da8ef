"""Start optimizers at the best point so far."""

from __future__ import annotations

import numpy as np

from optim.ask_tell import Point
from optim.generators.base import Generator
from optim.space import Space
from optim.views import RunView


class Incumbent(Generator):
    """The best point that any optimizer has seen is used as a start once; until it improves, starts are random.

    They are random, too, until there is such a point: the baseline is no optimizer's. (Were the best used again and
    again, optimizers would be stopped for being too close to each other as fast as they start.)

    Source: ParAMS, generator `Incumbent`.
    """

    def point(self, space: Space, run: RunView, rng: np.random.Generator) -> Point:
        """See the class."""
        best = run.best
        if best is None or not best.optimizer or run.starts(self.type_name()).latest_at >= best.evaluation:
            return rng.random(space.dimension)
        return best.point.copy()
