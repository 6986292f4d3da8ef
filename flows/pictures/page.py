"""The page: every plot of a run in one HTML file, which works without a network."""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

from flows.pictures.colours import INK, OTHER_NAME, OTHERS, OTHERS_OPACITY, PAPER, default_grouping, groupings
from flows.pictures.ends import ICONS, MOST_NUMBERED, icon_of
from flows.pictures.figures import Figures
from flows.pictures.labels import physical_title, scaled_title
from flows.pictures.looks import template
from flows.pictures.reading import Picture
from flows.reports.statistics import MinimumSummary
from optim.printable import printable

MOST_MINIMA = 50
"""So many minima are listed."""
MOST_NUMBERS = 15
"""So many optimizers are listed with each."""

PANELS = {
    "best": "Best so far",
    "parameters": "Parameters",
    "plane": "Plane",
    "final": "Final losses",
    "alive": "Alive",
    "minima": "Minima",
}
"""What is beside the losses."""


def page(picture: Picture, chosen: str = "") -> str:
    """The page of a run.

    Args:
        picture: Of the run.
        chosen: Numbers of the optimizers that are shown at first, as in `2 4 7`; empty: all.
    """
    parts = files("flows.pictures")
    panels = {key: title for key, title in PANELS.items() if key != "plane" or len(picture.parameters) == 2}
    return Template((parts / "page.html").read_text(encoding="utf-8")).substitute(
        title=_text(picture.name),
        problem=_text(picture.problem),
        status=_text(picture.status),
        facts=_facts(picture),
        tabs="".join(
            f'<button role="tab" id="tab-{key}" aria-controls="panel-{key}" data-panel="{key}">{title}</button>'
            for key, title in panels.items()
        ),
        panels="".join(
            f'<div role="tabpanel" class="panel" id="panel-{key}" aria-labelledby="tab-{key}" hidden>'
            f"{_panel(key, picture)}</div>"
            for key in panels
        ),
        chosen=_text(chosen),
        style=(parts / "page.css").read_text(encoding="utf-8"),
        data=_json(_data(picture)),
        plotly=get_plotlyjs(),
        script=(parts / "page.js").read_text(encoding="utf-8"),
    )


def _text(text: str) -> str:
    return html.escape(printable(text))


def _facts(picture: Picture) -> str:
    facts = [f"{picture.evaluations:,} {'evaluation' if picture.evaluations == 1 else 'evaluations'}"]
    if picture.failures:
        facts[0] += f", {picture.failures:,} failed"
    facts.append(
        f"{len(picture.optimizers):,} {'optimizer' if len(picture.optimizers) == 1 else 'optimizers'}"
    )
    if picture.best.losses.size:
        facts.append(f"best loss <b>{picture.best.losses[-1]:.6g}</b>")
    if picture.reason:
        facts.append(_text(picture.reason))
    return " &middot; ".join(facts)


def _data(picture: Picture) -> dict[str, Any]:
    figures = Figures(picture)
    drawn = {
        "losses": figures.losses(),
        "best": figures.running_best(),
        "parameters": figures.parameter(),
        "final": figures.final_losses(),
        "alive": figures.alive(),
    }
    if len(picture.parameters) == 2:
        drawn["plane"] = figures.plane()
    # the page takes the values from `paths`, for each parameter
    drawn["parameters"].data = drawn["parameters"].data[:1]
    drawn["parameters"].update_traces(x=None, y=None, customdata=None)
    return {
        "figures": {
            key: figure.update_layout(template=None).to_plotly_json() for key, figure in drawn.items()
        },
        "themes": {theme: template(theme).to_plotly_json() for theme in INK},
        "ink": INK,
        "paper": PAPER,
        "others": OTHERS,
        "groupings": {
            key: {
                "title": one.title,
                "names": [printable(name) for name in one.names],
                "groups": one.groups.tolist(),
                "colours": {theme: one.colours(theme) for theme in INK},
                "other": one.names.index(OTHER_NAME) if OTHER_NAME in one.names else -1,
                "inLegend": one.in_legend,
            }
            for key, one in groupings(picture).items()
        },
        "colourBy": default_grouping(picture),
        "optimizers": len(picture.optimizers),
        "othersOpacity": OTHERS_OPACITY,
        "ends": _ends(picture),
        "signs": _signs(picture),
        "mostNumbered": MOST_NUMBERED,
        "minima": [minimum.optimizers for minimum in picture.minima[:MOST_MINIMA]],
        "paths": {
            "x": picture.paths.evaluations,
            "optimizers": picture.paths.optimizers,
            "scaled": [np.ascontiguousarray(column) for column in picture.paths.scaled.T],
        },
        "parameters": [
            {
                "name": printable(one.name),
                "physical": physical_title(one),
                "scaled": scaled_title(one),
                "lower": one.lower,
                "upper": one.upper,
                "isLog": one.scale == "log",
            }
            for one in picture.parameters
        ],
    }


def _ends(picture: Picture) -> list[dict[str, Any]]:
    """Which optimizers ended how, in the order of the icons."""
    found: dict[str, list[int]] = {end: [] for end in ICONS}
    for optimizer in picture.optimizers:
        found.setdefault(optimizer.end, []).append(optimizer.number)
    return [
        {"glyph": icon_of(end).glyph, "words": printable(icon_of(end).words), "optimizers": numbers}
        for end, numbers in found.items()
        if numbers
    ]


def _signs(picture: Picture) -> list[list[str]]:
    """What other signs among the losses mean."""
    has_baseline = bool(np.isfinite(picture.curves.losses[picture.curves.optimizers == 0]).any())
    has_validations = bool(np.isfinite(picture.validations.losses).any())
    return [*[["○", "initial values"]] * has_baseline, *[["∘", "validation loss"]] * has_validations]


def _panel(key: str, picture: Picture) -> str:
    if key == "minima":
        return _minima(picture)
    controls = ""
    if key == "parameters":
        options = "".join(
            f'<option value="{place}">{_text(one.name)}</option>'
            for place, one in enumerate(picture.parameters)
        )
        controls = (
            f'<div class="controls"><label>Parameter <select id="parameter">{options}</select></label>'
            '<label><input type="checkbox" id="scaled"> scaled to the unit cube</label></div>'
        )
    return f'{controls}<div class="plot" id="plot-{key}"></div>'


def _minima(picture: Picture) -> str:
    if not picture.minima:
        return "<p>No finite loss yet.</p>"
    headings = [
        "",
        "loss",
        "hits",
        "found by",
        "optimizers",
        *(physical_title(one) for one in picture.parameters),
    ]
    rows = [
        _minimum(place, minimum, [one.name for one in picture.parameters])
        for place, minimum in enumerate(picture.minima[:MOST_MINIMA])
    ]
    more = len(picture.minima) - MOST_MINIMA
    rest = f"<p>... and {more:,} more</p>" if more > 0 else ""
    return (
        '<div class="table"><table id="minima"><thead><tr>'
        + "".join(f'<th scope="col">{heading}</th>' for heading in headings)
        + f"</tr></thead><tbody>{''.join(rows)}</tbody></table>{rest}</div>"
    )


def _minimum(place: int, minimum: MinimumSummary, names: list[str]) -> str:
    by = ", ".join(f"{_text(label)} {hits}" for label, hits in minimum.hits_by_label.items())
    listed = minimum.optimizers[:MOST_NUMBERS]
    more = len(minimum.optimizers) - len(listed)
    who = " ".join(map(str, listed)) + (f" and {more} more" if more else "")
    cells = [f"{minimum.loss:.6g}", str(minimum.hits), by, who]
    cells += [f"{minimum.parameters[name]:.6g}" for name in names]
    button = f'<button data-minimum="{place}" title="Show only these optimizers">{place + 1}</button>'
    return f"<tr><td>{button}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _json(data: Any) -> str:
    """For a script element: nothing in it ends that, or begins a comment."""
    return json.dumps(data, default=_plain, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _plain(value: Any) -> Any:
    """Arrays as plotly.js reads them."""
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON")


_KINDS = {"int32": "i4", "float32": "f4", "float64": "f8"}


def _array(values: NDArray[Any]) -> Any:
    if values.dtype.kind == "i":
        values = values.astype("<i4")
    if values.dtype.name not in _KINDS:
        return values.tolist()
    return {
        "dtype": _KINDS[values.dtype.name],
        "bdata": base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode(),
    }
