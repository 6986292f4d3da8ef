"""The rule behind everything that is called unmoving: the latest losses brought no improvement."""

from __future__ import annotations

import math

from optim.verdict import NO, Verdict
from optim.views import LossesView


def unmoving(losses: LossesView, count: int, tolerance: float, what: str) -> Verdict:
    """Whether the last `count` of n losses brought no improvement worth the name.

    Met when n > count and b0 - b1 <= tolerance x abs(b0), with b0 the lowest before the last `count` and b1 the
    lowest of all. With b0 infinite: met if b1 is too. `what` says in the reason what the losses are of.
    """
    if len(losses) <= count:
        return NO
    before = losses.lowest_until(len(losses) - count)
    best = losses.lowest_until(len(losses))
    if before == math.inf:
        return Verdict(best == math.inf, "no finite loss in {} {}", (len(losses), what))
    return Verdict(
        before - best <= tolerance * abs(before),
        "no improvement > {:g} x abs({:.6g}) in {} {} (best {:.6g})",
        (tolerance, before, count, what, best),
    )


def unmoved(losses: LossesView, count: int, tolerance: float) -> int:
    """The largest number of latest losses, at most `count`, that brought no improvement; 0: the last one did."""
    numbers = range(min(count, len(losses) - 1), 0, -1)
    return next((number for number in numbers if unmoving(losses, number, tolerance, "").met), 0)
