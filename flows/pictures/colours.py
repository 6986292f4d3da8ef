"""Who has which colour.

The colours of each palette, and the grey of others, were chosen so that people who see no red, green or blue tell them
apart too: simulated as Machado et al. (2009) do, no two are nearer than 15 in CIE Lab; and each has a contrast of 3 or
more with the page.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.pictures.reading import Picture

Theme = Literal["light", "dark"]
ColourBy = Literal["optimizer", "type", "minimum"]

PALETTE: dict[Theme, tuple[str, ...]] = {
    "light": ("#0342d6", "#e67420", "#00573a", "#740a7e", "#644a0e", "#0f78cf", "#e2006a"),
    "dark": ("#388fd9", "#cba462", "#90e0be", "#ae3aff", "#ccde1a", "#48daff", "#c36663"),
}
"""Of the first groups."""
OTHERS: dict[Theme, str] = {"light": "#8b95a1", "dark": "#8b95a1"}
"""Of who belongs to no group that has a colour of its own."""
OTHER_NAME = "others"
OTHERS_OPACITY = 0.6
"""Of their curves."""
LOWEST_COLOURED = 3
"""So many of the lowest minima have a colour of their own, however few hits they have."""

INK: dict[Theme, str] = {"light": "#1c2430", "dark": "#e4e8ee"}
"""Text, and lines that belong to nobody."""
FAINT: dict[Theme, str] = {"light": "#e3e7ec", "dark": "#2a323d"}
PAPER: dict[Theme, str] = {"light": "#ffffff", "dark": "#151a21"}


class Grouping(NamedTuple):
    """One way to share colours out.

    Attributes:
        title: What it goes by.
        names: Of the groups; the last, if it is called `others`, has their colour.
        groups: The place of each optimizer's group, by number; that of the baseline, 0, is -1.
        in_legend: The names say something that numbers at the curves do not.
    """

    title: str
    names: tuple[str, ...]
    groups: NDArray[np.int64]
    in_legend: bool = True

    def colours(self, theme: Theme) -> tuple[str, ...]:
        """One for each group."""
        own = zip(PALETTE[theme], self.names, strict=False)
        colours = [OTHERS[theme] if name == OTHER_NAME else colour for colour, name in own]
        return (*colours, *[OTHERS[theme]] * (len(self.names) - len(colours)))


def groupings(picture: Picture) -> dict[ColourBy, Grouping]:
    """Every way to share colours out between the optimizers of a run."""
    return {"optimizer": _by_optimizer(picture), "type": _by_type(picture), "minimum": _by_minimum(picture)}


def default_grouping(picture: Picture, optimizers: set[int] | None = None) -> ColourBy:
    """What people want to see first: who it is; if those are many, of which type; if all are of one, its minimum.

    Args:
        picture: Of the run.
        optimizers: Those that are shown; None: all.
    """
    if len(picture.optimizers if optimizers is None else optimizers) <= len(PALETTE["light"]):
        return "optimizer"
    return "type" if len({optimizer.label for optimizer in picture.optimizers}) > 1 else "minimum"


def _by_optimizer(picture: Picture) -> Grouping:
    colours = len(PALETTE["light"])
    groups = [(optimizer.number - 1) % colours for optimizer in picture.optimizers]
    names = [f"optimizer {at + 1}" for at in range(min(colours, len(groups)))]
    return _grouping("optimizer", names, groups, len(groups) <= colours)


def _by_type(picture: Picture) -> Grouping:
    labels = list(dict.fromkeys(optimizer.label for optimizer in picture.optimizers))
    own = labels[: len(PALETTE["light"])]
    groups = [
        own.index(optimizer.label) if optimizer.label in own else len(own) for optimizer in picture.optimizers
    ]
    return _grouping("type", [*own, *[OTHER_NAME] * (len(labels) > len(own))], groups)


def _by_minimum(picture: Picture) -> Grouping:
    """The lowest minima, and those with most hits, have colours."""
    places = sorted(
        range(len(picture.minima)),
        key=lambda place: (place >= LOWEST_COLOURED, -picture.minima[place].hits, place),
    )
    own = sorted(places[: len(PALETTE["light"])])
    names = []
    for place in own:
        minimum = picture.minima[place]
        names.append(f"{minimum.loss:.6g} ({minimum.hits} {'hit' if minimum.hits == 1 else 'hits'})")
    group_of = {place: group for group, place in enumerate(own)}
    groups = [group_of.get(optimizer.minimum, len(own)) for optimizer in picture.optimizers]
    return _grouping("final minimum", [*names, *[OTHER_NAME] * (len(own) in groups)], groups)


def _grouping(title: str, names: list[str], groups: list[int], in_legend: bool = True) -> Grouping:
    return Grouping(title, tuple(names), np.array([-1, *groups], dtype=np.int64), in_legend)
