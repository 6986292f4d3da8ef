"""Points of a Sobol sequence: no search, an even picture of the space."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from pydantic import Field

from optim.ask_tell import Start, Steps
from optim.errors import DimensionError
from optim.optimizers.base import Optimizer
from optim.optimizers.sampling import BLOCK, Points, block_sizes, hand_out

MOST_DIMENSIONS = 21201
"""SciPy has direction numbers for so many."""

MOST_SAMPLES = 2**30
"""SciPy's sequence repeats itself beyond."""


class SobolSampling(Optimizer):
    """Points of a scrambled Sobol sequence; no optimizer: it converges when all are evaluated.

    They cover the unit cube more evenly than random points, most of all when their number is a power of two. The
    starting point is evaluated first, in addition to them.

    Source: Joe & Kuo, SIAM J. Sci. Comput. 30, 2635 (2008), direction numbers; Owen, J. Complexity 14, 466
    (1998), scrambling; both as in `scipy.stats.qmc.Sobol`.
    """

    number_of_samples: int = Field(ge=1, le=MOST_SAMPLES)
    """How many points of the sequence are taken; best a power of two."""

    def warm_up(self, dimension: int) -> int:
        """None: one point tells as much as the next."""
        return 1

    def fault(self, dimension: int) -> str:
        """The sequence is known up to a number of dimensions."""
        if dimension <= MOST_DIMENSIONS:
            return ""
        return (
            f"SobolSampling knows at most {MOST_DIMENSIONS} parameters, not {dimension}; take RandomSampling"
        )

    def steps(self, start: Start) -> Steps:
        """Draw each block when it is asked for.

        Raises:
            DimensionError: There are more parameters than the sequence is known for.
        """
        if fault := self.fault(len(start.x0)):
            raise DimensionError(fault)
        return hand_out(start, self._blocks(start), f"{self.number_of_samples} Sobol points")

    def _blocks(self, start: Start) -> Iterator[Points]:
        qmc = importlib.import_module("scipy.stats.qmc")  # slow to import
        sequence = qmc.Sobol(len(start.x0), scramble=True, rng=start.rng)
        for size in block_sizes(self.number_of_samples):
            yield sequence.random(BLOCK)[:size]  # SciPy warns where it is asked for no power of two
