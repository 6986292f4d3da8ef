"""How all plots look, on a light and on a dark page."""

from __future__ import annotations

import plotly.graph_objects as go

from flows.pictures.colours import FAINT, INK, OTHERS, PAPER, Theme

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def template(theme: Theme) -> go.layout.Template:
    """How all plots look."""
    ink, faint = INK[theme], FAINT[theme]
    axis = {
        "gridcolor": faint,
        "linecolor": faint,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
        "title": {"standoff": 8},
        "exponentformat": "power",
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 60, "r": 20, "t": 28, "b": 46},
            "xaxis": axis,
            "yaxis": axis,
            "hovermode": "closest",
            "hoverlabel": {
                "align": "left",
                "bgcolor": PAPER[theme],
                "bordercolor": OTHERS[theme],
                "font": {"color": ink, "family": FONT},
            },
            "legend": {
                "bgcolor": "rgba(0,0,0,0)",
                "font": {"size": 12},
                "orientation": "h",
                "x": 0,
                "y": 1,
                "yanchor": "bottom",
            },
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": OTHERS[theme], "activecolor": ink},
            "uirevision": "kept",
        }
    )
