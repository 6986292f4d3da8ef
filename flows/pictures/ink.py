"""What is drawn in the colour of text: initial values, validation losses, steps, and what has happened to the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go

from flows.pictures.colours import INK, Theme
from flows.pictures.labels import wrapped
from flows.pictures.loss_scale import LossScale
from flows.pictures.reading import Curve, Picture, Points

MOST_LABELLED = 6
"""So many marks of a kind have their name beside them."""
_MARKS = {
    "checkpoint": ("square-open", "saved"),
    "resume": ("triangle-right-open", "resumed"),
    "intervention": ("diamond-open", "by hand"),
}
"""Symbol and words of each kind."""


def baseline(picture: Picture, theme: Theme) -> Iterator[Any]:
    """The loss at the initial values, if it is finite."""
    points = picture.curves
    its = (points.optimizers == 0) & np.isfinite(points.losses)
    if its.any():
        yield go.Scatter(
            x=points.evaluations[its],
            y=picture.scale.place(points.losses[its]),
            text=[f"(initial values) loss: 1, {loss:.6g}" for loss in points.losses[its].tolist()],
            name="initial values",
            mode="markers",
            marker={"symbol": "circle-open", "size": 9, "color": INK[theme]},
            meta={"role": "ink"},
            hovertemplate="%{text}<extra></extra>",
        )


def validations(points: Points, scale: LossScale, theme: Theme) -> Iterator[Any]:
    """Validation losses, those that are finite."""
    its = np.isfinite(points.losses)
    if its.any():
        yield go.Scatter(
            x=points.evaluations[its],
            y=scale.place(points.losses[its]),
            customdata=points.optimizers[its],
            text=points.losses[its],
            name="validation loss",
            mode="markers",
            marker={"symbol": "circle-open", "size": 5, "color": INK[theme], "line": {"width": 1}},
            meta={"role": "ink"},
            hovertemplate="(%{customdata}) validation loss: %{x:d}, %{text:.6~g}<extra></extra>",
        )


def steps(name: str, curve: Curve, scale: LossScale, dash: str, theme: Theme) -> Any:
    """A loss that holds until the next one."""
    return go.Scatter(
        x=curve.evaluations,
        y=scale.place(curve.losses),
        text=curve.losses,
        name=name,
        mode="lines",
        line={"shape": "hv", "color": INK[theme], "dash": dash, "width": 1.5},
        meta={"role": "ink"},
        hovertemplate="%{text:.6~g} from evaluation %{x:d}<extra></extra>",
    )


def marks(picture: Picture, theme: Theme) -> Iterator[Any]:
    """Lines across the plot, with a sign at the top."""
    for kind, (symbol, words) in _MARKS.items():
        those = [mark for mark in picture.marks if mark.kind == kind]
        if not those:
            continue
        x = [mark.evaluation + 0.5 for mark in those]
        ink = {"color": INK[theme]}
        yield go.Scatter(
            x=[at for place in x for at in (place, place, None)],
            y=[0, 1, None] * len(x),
            yaxis="y2",
            mode="lines",
            line={**ink, "width": 1, "dash": "dot"},
            opacity=0.5,
            meta={"role": "ink"},
            hoverinfo="skip",
            showlegend=False,
        )
        yield go.Scatter(
            x=x,
            y=[0.985] * len(x),
            yaxis="y2",
            mode="markers+text" if len(those) <= MOST_LABELLED else "markers",
            marker={**ink, "symbol": symbol, "size": 9},
            meta={"role": "ink"},
            name=f"{words} ({len(those)})",
            text=[f"{words} after evaluation {mark.evaluation}<br>{wrapped(mark.text)}" for mark in those],
            texttemplate=words,
            textposition="middle right",
            textfont={"size": 11},
            hovertemplate="%{text}<extra></extra>",
            legendrank=3000,
        )
