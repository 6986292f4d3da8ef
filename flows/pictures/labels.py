"""What axes and hover labels say."""

from __future__ import annotations

import html
import textwrap

import numpy as np

from flows.pictures.ends import EndIcon
from flows.pictures.reading import DrawnOptimizer
from optim.printable import printable
from optim.space import Parameter

MOST_REASON = 1000
"""Characters of a reason that are shown."""


def physical_title(parameter: Parameter) -> str:
    """Name and unit, as an axis says it."""
    unit = f" ({printable(parameter.unit)})" if parameter.unit else ""
    return html.escape(printable(parameter.name) + unit)


def scaled_title(parameter: Parameter) -> str:
    """Name of a scaled value, as an axis says it."""
    return html.escape(f"{printable(parameter.name)}, from lower (0) to upper bound (1)")


def end_text(optimizer: DrawnOptimizer, icon: EndIcon) -> str:
    """How an optimizer has ended, and its best loss."""
    when = "" if optimizer.end_evaluation is None else f" at evaluation {optimizer.end_evaluation}"
    best = f"{optimizer.best_loss:.6g}" if np.isfinite(optimizer.best_loss) else "none is finite"
    head = f"({optimizer.number}) {html.escape(optimizer.label)}: {html.escape(icon.words)}{when}"
    return "<br>".join(
        [
            head,
            *filter(None, [wrapped(optimizer.reason)]),
            f"{optimizer.evaluations} evaluations, best loss {best}",
        ]
    )


def wrapped(text: str) -> str:
    """Text of any length, as lines of a hover label."""
    cut = text if len(text) <= MOST_REASON else f"{text[:MOST_REASON]} ..."
    lines = [line for part in cut.splitlines() for line in textwrap.wrap(part, 70)]
    return "<br>".join(map(html.escape, lines))
