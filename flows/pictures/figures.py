"""Each plot of a run as a figure of plotly's.

The trace of anything that belongs to optimizers has their numbers as `customdata`, point by point, and says in
`meta["role"]` what becomes of it when people choose colours or optimizers on the page: `curves` are regrouped, `icons`
and `points` are coloured one by one, of others those that are not chosen are left out. `ink` is drawn in the colour of
text.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from flows.pictures.colours import (
    INK,
    OTHER_NAME,
    OTHERS,
    OTHERS_OPACITY,
    PAPER,
    ColourBy,
    Theme,
    default_grouping,
    groupings,
)
from flows.pictures.ends import ICONS, MOST_NUMBERED, icon_of
from flows.pictures.ink import baseline, marks, steps, validations
from flows.pictures.labels import end_text, physical_title, scaled_title
from flows.pictures.looks import template
from flows.pictures.loss_scale import LossScale
from flows.pictures.reading import DrawnOptimizer, Picture, Points
from optim.space import Parameter

EVALUATION = "evaluation"
"""The title of most horizontal axes."""
LOG_TICKS = 6
"""About so many: of more, plotly labels each of the nine digits between two powers of ten."""


class Figures:
    """The plots of one run, each a `plotly.graph_objects.Figure`.

    Args:
        picture: Of the run.
        colour_by: Who has which colour; None: what suits the run.
        theme: Of the page that they will be on.
        optimizers: The numbers of those that are shown; None: all.
    """

    def __init__(
        self,
        picture: Picture,
        colour_by: ColourBy | None = None,
        theme: Theme = "light",
        optimizers: set[int] | None = None,
    ) -> None:
        self.picture = picture
        self._theme = theme
        self._grouping = groupings(picture)[colour_by or default_grouping(picture, optimizers)]
        self._shown = optimizers

    def losses(self) -> go.Figure:
        """Every loss against the number of its evaluation, with the end of each optimizer."""
        picture, theme = self.picture, self._theme
        figure = self._figure(EVALUATION, picture.scale.title(), picture.scale.is_log)
        figure.update_layout(
            yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
            legend_title_text=self._grouping.title,
            hoverdistance=40,
        )
        curves = self._chosen(picture.curves)
        validated = self._chosen(picture.validations)
        figure.add_traces([*marks(picture, theme), *self._curves(curves, curves.evaluations, picture.scale)])
        figure.add_traces([*baseline(picture, theme), *validations(validated, picture.scale, theme)])
        figure.add_traces(list(self._ends()))
        return figure

    def running_best(self) -> go.Figure:
        """The lowest loss until then."""
        picture = self.picture
        scale = LossScale.of(np.append(picture.best.losses, picture.best_validation.losses))
        figure = self._figure(EVALUATION, scale.title("lowest loss so far"), scale.is_log)
        for name, curve, dash in (
            ("loss", picture.best, "solid"),
            ("validation loss", picture.best_validation, "dot"),
        ):
            if curve.losses.size:
                figure.add_trace(steps(name, curve, scale, dash, self._theme))
        figure.update_layout(showlegend=bool(picture.best_validation.losses.size))
        return figure

    def alive(self) -> go.Figure:
        """How many optimizers were alive."""
        at, counts = self.picture.alive
        figure = self._figure(EVALUATION, "optimizers alive")
        figure.add_trace(
            go.Scatter(
                x=at,
                y=counts,
                mode="lines",
                line={"shape": "hv", "color": INK[self._theme], "width": 1.5},
                meta={"role": "ink"},
                hovertemplate="%{y:d} alive after evaluation %{x:d}<extra></extra>",
                showlegend=False,
            )
        )
        figure.update_yaxes(rangemode="tozero", tickformat="d")
        return figure

    def final_losses(self) -> go.Figure:
        """The best loss of each optimizer, the lowest first."""
        found = sorted(
            (optimizer for optimizer in self._optimizers() if np.isfinite(optimizer.best_loss)),
            key=lambda optimizer: optimizer.best_loss,
        )
        losses = np.array([optimizer.best_loss for optimizer in found])
        scale = LossScale.of(losses)
        figure = self._figure("optimizers, the best first", scale.title("best loss of each"), scale.is_log)
        numbers = np.array([optimizer.number for optimizer in found], dtype=np.int32)
        texts = [
            f"({optimizer.number}) best loss: {optimizer.best_loss:.6g}<br>{html.escape(optimizer.label)},"
            f" {html.escape(icon_of(optimizer.end).words)}"
            for optimizer in found
        ]
        figure.add_trace(
            go.Scatter(
                x=np.arange(1, len(found) + 1),
                y=scale.place(losses),
                mode="markers",
                customdata=numbers,
                text=texts,
                meta={"role": "points"},
                marker={"color": self._colours_of(numbers), "size": 7, "line": {"width": 0}},
                hovertemplate="%{text}<extra></extra>",
                showlegend=False,
            )
        )
        return figure

    def parameter(self, name: str | None = None, scaled: bool = False) -> go.Figure:
        """The values of one parameter that the optimizers tried.

        Args:
            name: Of a free parameter; None: the first.
            scaled: From 0 at its lower bound to 1 at its upper one.

        Raises:
            KeyError: There is no free parameter of that name.
        """
        names = [parameter.name for parameter in self.picture.parameters]
        if name is not None and name not in names:
            raise KeyError(f"{name!r} is no free parameter; there are {', '.join(names)}")
        place = names.index(name) if name is not None else 0
        parameter = self.picture.parameters[place]
        points = self._chosen(self.picture.paths)
        values = points.scaled[:, place]
        figure = self._figure(
            EVALUATION,
            scaled_title(parameter) if scaled else physical_title(parameter),
            parameter.scale == "log" and not scaled,
        )
        drawn = np.asarray(values, dtype=np.float64) if scaled else physical(values, parameter)
        hover = "(%{customdata}) %{x:d}, %{y:.6~g}"
        figure.add_traces(list(self._paths(points, points.evaluations, drawn, hover)))
        return figure

    def plane(self) -> go.Figure:
        """The paths of optimizers on the plane of two parameters.

        Raises:
            ValueError: There are not two free parameters.
        """
        if len(self.picture.parameters) != 2:
            raise ValueError(f"a plane has two parameters; there are {len(self.picture.parameters)}")
        first, second = self.picture.parameters
        points = self._chosen(self.picture.paths)
        x, y = physical(points.scaled[:, 0], first), physical(points.scaled[:, 1], second)
        figure = self._figure(physical_title(first), physical_title(second), second.scale == "log")
        if first.scale == "log":
            figure.update_xaxes(type="log")
        figure.add_traces(list(self._paths(points, x, y, "(%{customdata}) %{x:.6~g}, %{y:.6~g}")))
        if self.picture.minima:
            best = self.picture.minima[0]
            figure.add_trace(
                go.Scatter(
                    x=[best.parameters[first.name]],
                    y=[best.parameters[second.name]],
                    mode="markers",
                    marker={
                        "symbol": "circle-open",
                        "size": 16,
                        "color": INK[self._theme],
                        "line": {"width": 2},
                    },
                    meta={"role": "ink"},
                    text=[f"best: loss {best.loss:.6g}, optimizer {best.optimizer}"],
                    hovertemplate="%{text}<extra></extra>",
                    showlegend=False,
                )
            )
        return figure

    def _figure(self, x: str, y: str, is_log: bool = False) -> go.Figure:
        figure = go.Figure(layout={"template": template(self._theme)})
        figure.update_xaxes(title_text=x, **({"tickformat": ",d"} if x == EVALUATION else {}))
        figure.update_yaxes(title_text=y, **({"type": "log", "nticks": LOG_TICKS} if is_log else {}))
        return figure

    def _optimizers(self) -> Iterator[DrawnOptimizer]:
        for optimizer in self.picture.optimizers:
            if self._shown is None or optimizer.number in self._shown:
                yield optimizer

    def _chosen(self, points: Points) -> Points:
        if self._shown is None:
            return points
        return points.at(np.isin(points.optimizers, sorted(self._shown)))

    def _colours_of(self, numbers: NDArray[np.int32]) -> list[str]:
        colours = [*self._grouping.colours(self._theme), OTHERS[self._theme]]  # -1: others
        return [colours[group] for group in self._grouping.groups[numbers].tolist()]

    def _curves(self, points: Points, x: NDArray[Any], scale: LossScale) -> Iterator[Any]:
        text = points.losses if scale.is_shifted else None
        loss = "%{text:.6~g}" if scale.is_shifted else "%{y:.6~g}"
        hover = f"(%{{customdata}}) loss: %{{x:d}}, {loss}<extra></extra>"
        yield from self._lines(points.optimizers, x, scale.place(points.losses), hover, text, in_legend=True)

    def _paths(self, points: Points, x: NDArray[Any], y: NDArray[Any], hover: str) -> Iterator[Any]:
        yield from self._lines(points.optimizers, x, y, f"{hover}<extra></extra>")

    def _lines(
        self,
        optimizers: NDArray[np.int32],
        x: NDArray[Any],
        y: NDArray[Any],
        hover: str,
        text: NDArray[np.float64] | None = None,
        in_legend: bool = False,
    ) -> Iterator[Any]:
        """One trace for each group, what stands out last."""
        groups = self._grouping.groups[optimizers]
        colours = self._grouping.colours(self._theme)
        for group in reversed(range(len(self._grouping.names))):
            its = (groups == group) & (optimizers > 0)
            if not its.any():
                continue
            # not Scattergl: no faster with so few points, and five times as slow where there is no graphics card
            yield go.Scatter(
                x=x[its],
                y=y[its],
                customdata=optimizers[its],
                text=None if text is None else text[its],
                name=html.escape(self._grouping.names[group]),
                mode="lines",
                line={"color": colours[group], "width": 1.3},
                opacity=OTHERS_OPACITY if self._grouping.names[group] == OTHER_NAME else 1,
                meta={"role": "curves"},
                hovertemplate=hover,
                legendrank=group,
                showlegend=in_legend and self._grouping.in_legend,
            )

    def _ends(self) -> Iterator[Any]:
        """The icons."""
        places = self.picture.icon_places
        optimizers = list(self._optimizers())
        is_few = len(optimizers) <= MOST_NUMBERED
        for end in [*ICONS, *sorted({one.end for one in optimizers} - ICONS.keys())]:
            those = [one for one in optimizers if one.end == end and one.number in places]
            if not those:
                continue
            icon = icon_of(end)
            numbers = np.array([one.number for one in those], dtype=np.int32)
            x, y = zip(*(places[one.number] for one in those), strict=True)
            yield go.Scatter(
                x=np.array(x),
                y=np.array(y),
                customdata=numbers,
                text=[end_text(one, icon) for one in those],
                texttemplate="%{customdata}",
                textposition="middle right",
                name=f"{html.escape(icon.words)} ({len(those)})",
                mode="markers+text" if is_few else "markers",
                marker={
                    "symbol": icon.symbol,
                    "size": icon.size,
                    "color": self._colours_of(numbers),
                    "line": {"width": 1, "color": PAPER[self._theme]},
                },
                meta={"role": "icons"},
                hovertemplate="%{text}<extra></extra>",
                legendgroup="ends",
                legendrank=2000,
                cliponaxis=False,
            )


def physical(scaled: NDArray[np.floating[Any]], parameter: Parameter) -> NDArray[np.float64]:
    """Physical values of coordinates in the unit cube."""
    lower, upper = float(parameter.lower or 0.0), float(parameter.upper or 0.0)
    u = np.asarray(scaled, dtype=np.float64)
    if parameter.scale == "log":
        return np.asarray(lower * (upper / lower) ** u)
    return np.asarray(lower + (upper - lower) * u)
