"""Fewer points that draw the same curves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KEPT_OF_BUCKET = 5
"""The first, the last, the lowest and the highest point of a bucket, and one that is not finite."""


def thinned(optimizers: NDArray[np.integer], losses: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """The places of the evaluations that are drawn, each optimizer's together and in order.

    If there are more than `most`, the evaluations of each optimizer are dealt into buckets of equally many, one after
    the other. Of each bucket the ends, the lowest and the highest loss, and a gap if it has one, are kept: a curve of
    those covers the same area, and no best, no spike and no gap is lost.

    Args:
        optimizers: Whose each evaluation is, shape (n,).
        losses: Shape (n,); what is not finite is a gap.
        most: About so many are kept; more only if there are more optimizers than that.
    """
    order: NDArray[np.intp] = np.argsort(optimizers, kind="stable")
    if len(order) <= most:
        return order
    _, starts, counts = np.unique(optimizers[order], return_index=True, return_counts=True)
    buckets = np.maximum(1, counts * most // (KEPT_OF_BUCKET * len(order)))
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    first_bucket = np.cumsum(buckets) - buckets
    bucket = np.repeat(first_bucket, counts) + rank * np.repeat(buckets, counts) // np.repeat(counts, counts)
    edges = np.searchsorted(bucket, np.arange(buckets.sum() + 1))

    shown = losses[order]
    is_finite = np.isfinite(shown)
    by_loss = np.lexsort((np.where(is_finite, shown, np.inf), bucket))
    finite = np.add.reduceat(is_finite.astype(np.intp), edges[:-1])
    highest = by_loss[edges[:-1] + np.maximum(finite, 1) - 1]
    lowest, gap = by_loss[edges[:-1]], by_loss[edges[1:] - 1]
    kept: NDArray[np.intp] = order[
        np.unique(np.concatenate([edges[:-1], edges[1:] - 1, lowest, highest, gap]))
    ]
    return kept
