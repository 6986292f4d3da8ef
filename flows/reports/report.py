"""How a run is shown to people when it is over, or when they ask: tables on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from flows.reports.findings import findings
from flows.reports.summary import BestSummary, OptimizerDetail, OptimizerSummary, RunSummary

END_STYLES = {
    "converged": "green",
    "stopped": "yellow",
    "gave up": "magenta",
    "crashed": "red",
    "exit": "dim",
    None: "cyan",
}
"""The colour of each way in which an optimizer may end; None: it is alive."""


MAX_OPTIMIZERS = 200
"""Of more optimizers, only the latest are listed, with those that live and the owner of the best."""

WIDE = 300
"""Columns of a console that is no terminal."""


def report(summary: RunSummary) -> RenderableType:
    """Everything that one run has come to."""
    return Group(*_parts(summary))


def optimizer_report(detail: OptimizerDetail) -> RenderableType:
    """Everything about one optimizer."""
    return Group(*_detail_parts(detail))


def wide_console() -> Console:
    """Standard output; without a terminal, wide enough for whole lines."""
    return Console() if Console().is_terminal else Console(width=WIDE)


def _parts(summary: RunSummary) -> Iterator[RenderableType]:
    if summary.optimizers:
        yield optimizers_table(summary)
    if summary.best is not None:
        yield from _best(summary.best, summary.units)
    yield from findings(summary)
    failures = f", {summary.failures} of them failed" if summary.failures else ""
    speed = f" ({summary.evaluations / summary.elapsed_s:.0f}/s)" if summary.elapsed_s else ""
    yield Text(
        f"{summary.name}: {summary.status}, {summary.evaluations} evaluations{failures} in"
        f" {summary.elapsed_s:.1f} s{speed}, seed {summary.seed}",
        style="bold",
    )
    if summary.exit_conditions:
        yield Text(f"Exit conditions:\n{_indented(summary.exit_conditions)}")
    if summary.reason:
        yield Text(f"Why: {summary.reason}")


def optimizers_table(summary: RunSummary) -> Table:
    """Each optimizer: type, start, evaluations, best, how and why it ended."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("type", no_wrap=True)
    has_labels = any(optimizer.label != optimizer.type for optimizer in summary.optimizers)
    if has_labels:
        table.add_column("label", no_wrap=True)
    for heading in ("start", "end", "calls", "best loss"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("how", no_wrap=True)
    table.add_column("why")
    owner = _owner(summary)
    for optimizer in listed(summary):
        style = "bold" if optimizer.number == owner else ""
        table.add_row(*_cells(optimizer, has_labels), style=style)
    if len(summary.optimizers) > MAX_OPTIMIZERS:
        table.caption = f"the latest {MAX_OPTIMIZERS}, the living and the best of {len(summary.optimizers)}"
    return table


def listed(summary: RunSummary) -> list[OptimizerSummary]:
    """The optimizers that tables have."""
    owner, latest = _owner(summary), len(summary.optimizers) - MAX_OPTIMIZERS
    return [
        optimizer
        for optimizer in summary.optimizers
        if optimizer.number > latest or optimizer.end is None or optimizer.number == owner
    ]


def _owner(summary: RunSummary) -> int | None:
    return summary.best.optimizer if summary.best else None


def _cells(optimizer: OptimizerSummary, has_labels: bool) -> list[RenderableType]:
    label = "" if optimizer.label == optimizer.type else optimizer.label
    return [
        str(optimizer.number),
        Text(optimizer.type),
        *([Text(label)] if has_labels else []),
        str(optimizer.start_evaluation),
        "" if optimizer.end_evaluation is None else str(optimizer.end_evaluation),
        str(optimizer.evaluations),
        "none" if optimizer.best_loss is None else f"{optimizer.best_loss:.6g}",
        Text(optimizer.end or "alive", style=END_STYLES.get(optimizer.end, "")),
        Text(last_line(optimizer.reason)),
    ]


def _best(best: BestSummary, units: dict[str, str]) -> Iterator[RenderableType]:
    owner = f"optimizer {best.optimizer}" if best.optimizer else "the initial values"
    yield Text(f"Best loss {best.loss:.6g}, by {owner} at evaluation {best.evaluation}:", style="bold")
    yield _parameters_table(best.parameters, units)


def _parameters_table(parameters: Mapping[str, float], units: Mapping[str, str]) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column("parameter", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for name, value in parameters.items():
        table.add_row(Text(f"    {name}"), f"{value:.7g}", Text(units[name]))
    return table


def _detail_parts(detail: OptimizerDetail) -> Iterator[RenderableType]:
    label = "" if detail.label == detail.type else f" ({detail.label})"
    yield Text(f"Optimizer {detail.number}: {detail.type}{label}", style="bold")
    settings = [
        f"{key}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in detail.settings.items()
        if key not in ("type", "label")
    ]
    yield Text(_indented("\n".join(settings)))
    yield Text(f"Started at evaluation {detail.start_evaluation} ({detail.generator}):", style="bold")
    yield _parameters_table(detail.start, detail.units)
    if detail.best_loss is None or detail.best_parameters is None:
        yield Text("No finite loss yet")
    else:
        yield Text(f"Best loss {detail.best_loss:.6g}, at evaluation {detail.best_evaluation}:", style="bold")
        yield _parameters_table(detail.best_parameters, detail.units)
    if detail.end is None:
        yield Text(f"Alive after {detail.evaluations} calls", style="bold")
    else:
        yield Text(
            f"Ended at evaluation {detail.end_evaluation}, after {detail.evaluations} calls: {detail.end}",
            style="bold",
        )
        yield Text(_indented(detail.reason))
    if detail.verdicts:
        yield Text(f"Stoppers:\n{_indented(detail.verdicts)}")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def last_line(text: str) -> str:
    """The last line of a text: of a traceback, the one that says what went wrong."""
    return text.rstrip().rpartition("\n")[2]
