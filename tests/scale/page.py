"""The generated parts of docs/scale.md, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from optim.testing.simulation import PER_WORKER
from tests.scale.formula import CHUNKED, TRACKED_EACH, affordable_s
from tests.scale.simulated import Row


def table(rows: Iterable[Row]) -> list[str]:
    """What was simulated, beside the formula; in Markdown."""
    lines = [
        "| workers | optimizers | way | loss | evaluations/s | manager itself | manager busy | workers busy"
        " | by the formula | limit |",
        "| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        crew, phase, totals = row.crew, row.phase, row.totals
        kind = "Nelder-Mead" if crew.popsize == 1 else f"CMA-ES of {crew.popsize}"
        cells = (
            f"{crew.workers:,}",
            f"{crew.optimizers:,} {kind}{', store' if crew.has_store else ''}",
            phase.lane.name,
            seconds(phase.loss_s),
            f"{totals.evaluations / totals.elapsed_s:,.1f}",
            f"{row.own_s * 1e6:.0f} µs",
            f"{totals.manager_s / totals.elapsed_s:.0%}",
            f"{row.utilisation:.0%}",
            f"{min(row.bounds):.0%}",
            row.bounds.limit,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def affordable(workers: Iterable[int], own_s: float) -> list[str]:
    """From which duration on tracking costs little; in Markdown."""
    lanes = (TRACKED_EACH, CHUNKED)
    lines = [
        f"| workers | {' | '.join(lane.name for lane in lanes)} | points that this needs |",
        f"| ---: |{' ---: |' * len(lanes)} ---: |",
    ]
    for count in workers:
        durations = (f"from {seconds(affordable_s(count, lane, own_s))}" for lane in lanes)
        lines.append(f"| {count:,} | {' | '.join(durations)} | {PER_WORKER * CHUNKED.per_task * count:,} |")
    return lines


def seconds(value: float) -> str:
    """As people write it."""
    return f"{value * 1000:.2g} ms" if value < 0.1 else f"{value:.2g} s" if value < 100 else f"{value:.0f} s"


def write_into(page: str, name: str, lines: Iterable[str]) -> str:
    """Put a generated part into the page, between the comments that name it."""
    begin, end = f"<!-- make scale: {name} -->\n", f"<!-- end of {name} -->"
    head, _, rest = page.partition(begin)
    _, end_found, tail = rest.partition(end)
    if not end_found:
        raise ValueError(f"the page has no place for {name!r}: {begin.strip()} ... {end}")
    return "".join([head, begin, *(f"{line}\n" for line in lines), end, tail])
