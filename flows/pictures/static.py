"""The loss picture without a browser, for papers: PNG or SVG, drawn by matplotlib."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from flows.pictures.colours import (
    FAINT,
    INK,
    OTHER_NAME,
    OTHERS,
    OTHERS_OPACITY,
    ColourBy,
    default_grouping,
    groupings,
)
from flows.pictures.ends import ICONS, MOST_NUMBERED, icon_of
from flows.pictures.reading import Picture
from optim.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES = (7.0, 4.2)
DPI = 200


def get_ready() -> None:
    """Import what drawing needs, which takes most of a second; otherwise the first drawing does."""
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401


def static_losses(
    picture: Picture,
    file_format: Literal["png", "svg"],
    optimizers: set[int] | None = None,
    colour_by: ColourBy | None = None,
    dpi: int = DPI,
) -> bytes:
    """Draw losses against evaluations, with the end of each optimizer.

    Args:
        picture: Of the run.
        file_format: What the bytes shall be.
        optimizers: The numbers of those that are shown; None: all.
        colour_by: Who has which colour; None: what suits the run.
        dpi: Dots per inch.
    """
    import matplotlib
    from matplotlib.figure import Figure

    own: dict[Any, Any] = {
        "svg.hashsalt": "shoal",
        "svg.fonttype": "none",
        "axes.formatter.use_mathtext": True,
    }
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **own}):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=FAINT["light"], linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("evaluation")
        axes.set_ylabel(picture.scale.title())
        if picture.scale.is_log:
            axes.set_yscale("log")
        _draw(axes, picture, colour_by or default_grouping(picture, optimizers), optimizers)
        data = BytesIO()
        metadata = {"Date": None} if file_format == "svg" else {}
        figure.savefig(data, format=file_format, dpi=dpi, metadata=metadata)
    return data.getvalue()


def _draw(axes: Axes, picture: Picture, colour_by: ColourBy, optimizers: set[int] | None) -> None:
    grouping = groupings(picture)[colour_by]
    colours = [*grouping.colours("light"), OTHERS["light"]]
    points, y = picture.curves, picture.scale.place(picture.curves.losses)
    is_shown = points.optimizers > 0
    if optimizers is not None:
        is_shown &= np.isin(points.optimizers, sorted(optimizers))
    groups = grouping.groups[points.optimizers]
    for group, name in reversed(list(enumerate(grouping.names))):
        its = is_shown & (groups == group)
        if its.any():
            axes.plot(
                points.evaluations[its],
                y[its],
                color=colours[group],
                linewidth=0.9,
                alpha=OTHERS_OPACITY if name == OTHER_NAME else 1,
                label=_plain(name) if grouping.in_legend else None,
            )
    validations = picture.validations
    if np.isfinite(validations.losses).any():
        axes.plot(
            validations.evaluations,
            picture.scale.place(validations.losses),
            "o",
            markersize=2.5,
            markerfacecolor="none",
            color=INK["light"],
            markeredgewidth=0.5,
            label="validation loss",
        )
    for at in {mark.evaluation for mark in picture.marks}:
        axes.axvline(at + 0.5, color=INK["light"], linewidth=0.7, linestyle=":")
    _draw_ends(axes, picture, [colours[group] for group in grouping.groups], optimizers)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        curves = sum(
            grouping.in_legend and bool(np.any(is_shown & (groups == group)))
            for group in range(len(grouping.names))
        )
        axes.legend(
            [*handles[:curves][::-1], *handles[curves:]],
            [*labels[:curves][::-1], *labels[curves:]],
            title=grouping.title if grouping.in_legend else None,
            fontsize=7,
            title_fontsize=7,
            frameon=False,
            loc="upper left",
            bbox_to_anchor=(1, 1),
        )


def _draw_ends(axes: Axes, picture: Picture, colours: list[str], optimizers: set[int] | None) -> None:
    places = picture.icon_places
    is_few = len(picture.optimizers if optimizers is None else optimizers) <= MOST_NUMBERED
    for end in [*ICONS, *sorted({one.end for one in picture.optimizers} - ICONS.keys())]:
        numbers = [
            one.number
            for one in picture.optimizers
            if one.end == end and one.number in places and (optimizers is None or one.number in optimizers)
        ]
        if not numbers:
            continue
        icon = icon_of(end)
        x, y = zip(*(places[number] for number in numbers), strict=True)
        axes.scatter(
            x,
            y,
            marker=icon.marker,
            s=(icon.size / 1.8) ** 2,
            c=[colours[number] for number in numbers],
            edgecolors="white",
            linewidths=0.4,
            zorder=3,
            clip_on=False,
        )
        if is_few:
            for number in numbers:
                axes.annotate(
                    str(number), places[number], (5, 0), textcoords="offset points", fontsize=7, va="center"
                )
        label = f"{_plain(icon.words)} ({len(numbers)})"
        axes.scatter([], [], marker=icon.marker, s=20, color=INK["light"], label=label)


def _plain(text: str) -> str:
    """Text without formulas."""
    return printable(text).replace("$", r"\$")
