"""Start some optimizer blocks more often than others."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, PositiveFloat

from optim.selectors.base import Selector
from optim.views import RunView


class Weighted(Selector):
    """Each block with a chance that is proportional to its weight."""

    weights: Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)]
    """One for each optimizer block."""

    def select(self, blocks: int, run: RunView, rng: np.random.Generator) -> int:
        """See the class."""
        chances = np.array(self.weights)
        return int(rng.choice(blocks, p=chances / chances.sum()))

    def fault(self, blocks: int) -> str:
        """There must be as many weights as blocks."""
        if len(self.weights) == blocks:
            return ""
        return f"Weighted needs a weight for each of {blocks} optimizers, got {len(self.weights)}"
