"""How the end of an optimizer is marked: an icon, and the words for it."""

from __future__ import annotations

from typing import NamedTuple

from optim.journal import EventKind


class EndIcon(NamedTuple):
    """One way in which optimizers end.

    Attributes:
        words: What people read.
        symbol: Of plotly.
        marker: Of matplotlib.
        glyph: In text.
        size: In pixels, so that all look equally large.
    """

    words: str
    symbol: str
    marker: str
    glyph: str
    size: int


ICONS: dict[str, EndIcon] = {
    EventKind.CONVERGED: EndIcon("converged", "star", "*", "★", 13),
    EventKind.STOPPED: EndIcon("stopped by a stopper", "square", "s", "■", 8),
    EventKind.EXIT: EndIcon("exit of the run", "diamond", "D", "◆", 9),
    EventKind.GAVE_UP: EndIcon("gave up", "triangle-down", "v", "▼", 10),
    EventKind.CRASHED: EndIcon("crashed", "x", "X", "✖", 9),
    EventKind.BY_HAND: EndIcon("ended by hand", "cross", "P", "✚", 9),
    "": EndIcon("still running", "triangle-right", ">", "▶", 10),
}
"""By `end` in the store; empty: it is alive."""

MOST_NUMBERED = 12
"""So many optimizers have their numbers beside their icons."""


def icon_of(end: str) -> EndIcon:
    """That of one way to end; a circle for one that this shoal does not know."""
    return ICONS.get(end) or EndIcon(end, "circle", "o", "●", 8)
