"""`make scale`: simulate everything, show the tables, and write them and the plot into the docs."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from rich.markdown import Markdown

from flows.reports.report import wide_console
from tests.scale.formula import CHUNKED, TRACKED_EACH, UNTRACKED, Crew, Lane, Phase
from tests.scale.page import affordable, table, write_into
from tests.scale.plot import plot
from tests.scale.simulated import simulated

PAGE = Path(__file__).parents[2] / "docs/scale.md"


def _crowd(workers: int) -> Crew:
    """As many optimizers as workers, but at least 10 and at most 1,000."""
    return Crew(workers, min(max(workers, 10), 1000))


def _phases(lane: Lane, *losses_s: float) -> list[Phase]:
    return [Phase(lane, loss_s) for loss_s in losses_s]


CROWDS: dict[Crew, list[Phase]] = {
    _crowd(2): [
        *_phases(UNTRACKED, 0.001, 0.01),
        *_phases(CHUNKED, 0.001, 0.003, 0.01),
        *_phases(TRACKED_EACH, 0.01, 0.03, 0.1),
    ],
    _crowd(100): [
        *_phases(UNTRACKED, 0.01, 0.03, 0.1),
        *_phases(CHUNKED, 0.03, 0.1, 0.3),
        *_phases(TRACKED_EACH, 0.3, 1.0, 3.0),
    ],
    _crowd(1000): [
        *_phases(UNTRACKED, 0.1, 1.0),
        *_phases(CHUNKED, 0.5, 3.0),
        *_phases(TRACKED_EACH, 3.0, 10.0, 30.0),
    ],
    _crowd(10_000): [*_phases(UNTRACKED, 3.0), *_phases(TRACKED_EACH, 30.0, 180.0)],
}
"""Populations that give every worker something to do; these are in the plot."""

WORKERS = [crew.workers for crew in CROWDS]

OTHERS: dict[Crew, list[Phase]] = {
    Crew(10, 10, popsize=1): _phases(TRACKED_EACH, 60.0),
    Crew(100, 100, popsize=1): _phases(TRACKED_EACH, 60.0),
    Crew(1000, 1000, popsize=1): _phases(TRACKED_EACH, 20.0),
    Crew(1000, 1000, popsize=1, has_store=True): _phases(TRACKED_EACH, 20.0),
    Crew(10_000, 1000, popsize=1): _phases(TRACKED_EACH, 180.0),
    Crew(1000, 100, popsize=10): _phases(TRACKED_EACH, 60.0),
    Crew(1000, 100, popsize=20): _phases(TRACKED_EACH, 60.0),
    Crew(1000, 100, popsize=40): _phases(TRACKED_EACH, 60.0),
}
"""One point at a time, and populations that leave workers without one."""


def main() -> None:
    """Simulate everything, show the tables, and write them and the plot into the docs."""
    began_s = time.process_time()
    rows = [row for crew, those in (CROWDS | OTHERS).items() for row in simulated(crew, those)]
    own_s = statistics.median(row.own_s for row in rows)
    parts = {"simulated": table(rows), "affordable": affordable(WORKERS, own_s)}
    page = PAGE.read_text()
    for name, lines in parts.items():
        wide_console().print(Markdown("\n".join(lines)))
        page = write_into(page, name, lines)
    PAGE.write_text(page)
    plot(PAGE.with_suffix(".svg"), [row for row in rows if row.crew in CROWDS], own_s)
    wide_console().print(f"The simulation took {time.process_time() - began_s:.0f} s of CPU")


if __name__ == "__main__":
    main()
