"""Which points lie in the same minimum: near one another in the unit cube, and at about the same loss."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MAX_DISTANCE = 0.01
"""How far a point may be from the lowest of its minimum, of the unit cube's diagonal."""
RELATIVE_LOSS = 1e-2
"""How much its loss may be above the lowest, of the lowest's magnitude ..."""
ABSOLUTE_LOSS = 1e-6
"""... or in all, where the lowest is next to zero."""


def group_minima(points: NDArray[np.float64], losses: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Group points by the minimum that they are in.

    The lowest point leads the first minimum and takes every point that is near enough to it; the lowest of the
    others leads the next one, and so on. The order of the points does not matter: of equal losses, the smaller
    coordinates come first.

    Args:
        points: Shape (n, dimension), in the unit cube.
        losses: Shape (n,), all finite.

    Returns:
        For each minimum, the lowest first, the places of its points, the leader first and then by loss.
    """
    order = np.lexsort((*points.T[::-1], losses))
    points, losses = points[order], losses[order]
    radius = MAX_DISTANCE * math.sqrt(points.shape[1])
    is_left = np.ones(len(losses), dtype=bool)
    minima = []
    for leader, loss in enumerate(losses.tolist()):
        if not is_left[leader]:
            continue
        highest = loss + max(ABSOLUTE_LOSS, RELATIVE_LOSS * abs(loss))
        end = int(np.searchsorted(losses, highest, side="right"))
        near_in_loss = leader + np.flatnonzero(is_left[leader:end])
        distances = np.linalg.norm(points[near_in_loss] - points[leader], axis=1)
        members = near_in_loss[distances <= radius]
        is_left[members] = False
        minima.append(order[members])
    return minima
