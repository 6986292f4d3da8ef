"""Take the optimizer blocks in turn."""

from __future__ import annotations

import numpy as np

from optim.selectors.base import Selector
from optim.views import RunView


class Cycle(Selector):
    """Each block in its order, then from the first again.

    Source: ParAMS, selector `Cycle`.
    """

    def select(self, blocks: int, run: RunView, rng: np.random.Generator) -> int:
        """See the class."""
        return run.started % blocks
