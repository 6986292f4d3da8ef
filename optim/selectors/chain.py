"""Go from one optimizer block to the next as the evaluations add up."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt, field_validator

from optim.selectors.base import Selector
from optim.views import RunView


class Chain(Selector):
    """The first block until the first threshold is reached, then the second, and so on.

    Source: ParAMS, selector `Chain`.
    """

    thresholds: Annotated[tuple[PositiveInt, ...], Field(strict=False)]
    """Ascending numbers of evaluations, one fewer than there are optimizer blocks."""

    @field_validator("thresholds")
    @classmethod
    def _ascending(cls, thresholds: tuple[int, ...]) -> tuple[int, ...]:
        if any(first >= second for first, second in pairwise(thresholds)):
            raise ValueError(f"thresholds must ascend, got {list(thresholds)}")
        return thresholds

    def select(self, blocks: int, run: RunView, rng: np.random.Generator) -> int:
        """See the class."""
        return bisect_right(self.thresholds, run.evaluations)

    def fault(self, blocks: int) -> str:
        """The number of thresholds must be that of the blocks less one."""
        if len(self.thresholds) == blocks - 1:
            return ""
        return f"a Chain of {blocks} optimizers needs {blocks - 1} thresholds, got {len(self.thresholds)}"
