"""A list of points as an optimizer: handed out block by block, and done when the list is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from optim.ask_tell import Batch, End, EndKind, Start, Steps

Points = NDArray[np.float64]
"""Points in the unit cube, shape (points, dimension)."""

BLOCK = 64
"""Points handed out at once: enough for many workers, and what other optimizers wait for at most."""


def block_sizes(number_of_samples: int) -> Iterator[int]:
    """Full blocks, and one of what remains."""
    for done in range(0, number_of_samples, BLOCK):
        yield min(BLOCK, number_of_samples - done)


def hand_out(start: Start, blocks: Iterable[Points], what: str) -> Steps:
    """The starting point and the first block, then block by block, each made when it is needed.

    Args:
        start: Its point is evaluated in addition to the list.
        blocks: The list; each block is given away.
        what: What the list holds, for the reason of the end: `100 random points`.

    Returns:
        Converged, if one loss was finite.
    """
    ahead = [start.x0.copy()]
    has_finite_loss = False
    for block in blocks:
        losses = yield Batch([*ahead, *block])
        has_finite_loss = has_finite_loss or any(map(math.isfinite, losses))
        ahead = []
    if not has_finite_loss:
        return End(EndKind.GAVE_UP, f"every loss was infinite (all of {what})")
    return End(EndKind.CONVERGED, f"all of {what} were evaluated")
