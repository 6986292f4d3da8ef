"""Points of a regular grid: no search, a map of the space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import PositiveInt

from optim.ask_tell import Start, Steps
from optim.errors import DimensionError
from optim.optimizers.base import Optimizer
from optim.optimizers.sampling import Points, block_sizes, hand_out

MOST_POINTS = 10_000_000
"""A larger grid is a mistake rather than a plan."""


class GridSampling(Optimizer):
    """Every point of a regular grid over the unit cube; no optimizer: it converges when all are evaluated.

    Both bounds of each parameter are on the grid. The last parameter changes fastest. The starting point is
    evaluated first, in addition to the grid.
    """

    points_per_axis: PositiveInt
    """Values of each parameter, evenly spaced on its scale; the grid has this to the power of the number of
    parameters. One: the middle."""

    @property
    def is_deterministic(self) -> bool:
        """There is nothing to draw."""
        return True

    def warm_up(self, dimension: int) -> int:
        """None: one point tells as much as the next."""
        return 1

    def fault(self, dimension: int) -> str:
        """Grids grow fast with the number of parameters."""
        if self.points_per_axis**dimension <= MOST_POINTS:
            return ""
        return (
            f"a GridSampling with {self.points_per_axis} points_per_axis has "
            f"{self.points_per_axis}^{dimension} points in {dimension} parameters, more than {MOST_POINTS}; "
            f"take fewer, or SobolSampling"
        )

    def steps(self, start: Start) -> Steps:
        """Make each block of the grid when it is asked for.

        Raises:
            DimensionError: The grid is too large.
        """
        dimension = len(start.x0)
        if fault := self.fault(dimension):
            raise DimensionError(fault)
        return hand_out(start, self._blocks(dimension), f"{self.points_per_axis**dimension} grid points")

    def _blocks(self, dimension: int) -> Iterator[Points]:
        count = self.points_per_axis
        axis = np.linspace(0.0, 1.0, count) if count > 1 else np.array([0.5])
        strides = count ** np.arange(dimension)[::-1]
        first = 0
        for size in block_sizes(count**dimension):
            numbers = np.arange(first, first + size)
            yield axis[numbers[:, np.newaxis] // strides % count]
            first += size
