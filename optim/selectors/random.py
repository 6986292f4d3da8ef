"""Take any optimizer block."""

from __future__ import annotations

import numpy as np

from optim.selectors.base import Selector
from optim.views import RunView


class Random(Selector):
    """Each block with the same chance.

    Source: ParAMS, selector `Random`.
    """

    def select(self, blocks: int, run: RunView, rng: np.random.Generator) -> int:
        """See the class."""
        return int(rng.integers(blocks))
