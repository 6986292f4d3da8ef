"""Random points: no search, a picture of the space."""

from __future__ import annotations

from pydantic import PositiveInt

from optim.ask_tell import Start, Steps
from optim.optimizers.base import Optimizer
from optim.optimizers.sampling import block_sizes, hand_out


class RandomSampling(Optimizer):
    """Points drawn uniformly from the unit cube; no optimizer: it converges when all are evaluated.

    The starting point is evaluated first, in addition to them.
    """

    number_of_samples: PositiveInt
    """How many points are drawn."""

    def warm_up(self, dimension: int) -> int:
        """None: one point tells as much as the next."""
        return 1

    def steps(self, start: Start) -> Steps:
        """Draw each block when it is asked for."""
        dimension = len(start.x0)
        blocks = (start.rng.random((size, dimension)) for size in block_sizes(self.number_of_samples))
        return hand_out(start, blocks, f"{self.number_of_samples} random points")
