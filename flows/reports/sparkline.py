"""A curve in a few lines of characters."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter

from optim.descent import Step

LOG_FROM = 20.0
"""Where the largest value is so many times the smallest, the scale is logarithmic."""
BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*%#"


def is_log(steps: Sequence[Step]) -> bool:
    """Whether a descent is best seen on a logarithmic scale."""
    return bool(steps) and 0 < steps[-1].loss * LOG_FROM <= steps[0].loss


def sparkline(
    steps: Sequence[Step], evaluations: int, width: int, height: int, characters: str = BLOCKS
) -> list[str]:
    """How the best loss came down, from the first evaluation to the last, the best at the bottom.

    Args:
        steps: In order.
        evaluations: How many there are by now.
        width: In characters, at least 1.
        height: In lines, at least 1.
        characters: From empty to full.

    Returns:
        The lines, from the top; empty where there was no finite loss yet.
    """
    scale = math.log if is_log(steps) else _half
    columns = [_loss_at(steps, math.ceil((column + 1) * evaluations / width)) for column in range(width)]
    values = [None if loss is None else scale(loss) for loss in columns]
    finite = [value for value in values if value is not None]
    lowest, span = min(finite, default=0.0), max(finite, default=0.0) - min(finite, default=0.0)
    full = len(characters) - 1
    most = height * full - 1
    levels = [
        0 if value is None else 1 + (round((value - lowest) / span * most) if span else 0) for value in values
    ]
    return [
        "".join(characters[min(full, max(0, level - below * full))] for level in levels)
        for below in reversed(range(height))
    ]


def _half(loss: float) -> float:
    """So that the difference of any two is finite."""
    return loss / 2


def _loss_at(steps: Sequence[Step], evaluation: int) -> float | None:
    place = bisect_right(steps, evaluation, key=attrgetter("evaluation"))
    return steps[place - 1].loss if place else None
