"""The plot of docs/scale.md: how busy workers are, by the duration of a loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from tests.scale.formula import LANES, Phase, bounds
from tests.scale.simulated import Row

COLOURS = ("#3b8bd0", "#2f9e6e", "#d9822b", "#c2528b")
"""One for each number of workers; each is seen well on white and on black."""
INK = "#808080"
TICKS = {0.001: "1 ms", 0.1: "0.1 s", 10.0: "10 s", 1000.0: "1,000 s"}
LOSSES_S = np.geomspace(0.001, 1000, 91)

STYLE = {
    "svg.hashsalt": "shoal",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def plot(path: Path, rows: Sequence[Row], own_s: float) -> None:
    """Lines by the formula, points as simulated; one panel for each way to the workers.

    Args:
        path: Of the SVG.
        rows: As simulated, with as many crews as there are colours.
        own_s: What the manager itself takes for an evaluation, for the lines.
    """
    crews = list(dict.fromkeys(row.crew for row in rows))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 3.1), layout="constrained")
        panels = figure.subplots(1, len(LANES), sharex=True, sharey=True)
        for panel, lane in zip(panels, LANES, strict=True):
            panel.set_title(lane.name, fontsize=9)
            panel.set(xscale="log", ylim=(0, 1.03), xlabel="mean duration of a loss")
            panel.set_xticks(list(TICKS), TICKS.values())
            panel.minorticks_off()
            panel.grid(color=INK, alpha=0.25, linewidth=0.5)
            for crew, colour in zip(crews, COLOURS, strict=True):
                expected = [min(bounds(crew, Phase(lane, loss_s), own_s)) for loss_s in LOSSES_S]
                panel.plot(LOSSES_S, expected, color=colour, linewidth=1.2, label=f"{crew.workers:,} workers")
                found = [row for row in rows if row.crew == crew and row.phase.lane == lane]
                losses_s = [row.phase.loss_s for row in found]
                panel.plot(losses_s, [row.utilisation for row in found], "o", color=colour, markersize=4)
        panels[0].set_ylabel("workers busy with losses")
        panels[0].legend(frameon=False, fontsize=8, loc="lower right")
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
