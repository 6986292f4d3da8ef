"""How a run is shown to people when it is over, or when they ask: tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from flows.summary import BestSummary, OptimizerSummary, RunSummary

END_STYLES = {
    "converged": "green",
    "stopped": "yellow",
    "gave up": "magenta",
    "crashed": "red",
    "exit": "dim",
    None: "cyan",
}
"""The colour of each way in which an optimizer may end; None: it is alive."""


WIDE = 300
"""Columns of a console that is no terminal."""


def report(summary: RunSummary) -> RenderableType:
    """Everything that one run has come to."""
    return Group(*_parts(summary))


def wide_console() -> Console:
    """Standard output; without a terminal, wide enough for whole lines."""
    return Console() if Console().is_terminal else Console(width=WIDE)


def _parts(summary: RunSummary) -> Iterator[RenderableType]:
    if summary.optimizers:
        yield optimizers_table(summary)
    if summary.best is not None:
        yield from _best(summary.best, summary.units)
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
    for heading in ("start", "end", "calls", "best loss"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("how", no_wrap=True)
    table.add_column("why")
    owner = summary.best.optimizer if summary.best else None
    for optimizer in summary.optimizers:
        style = "bold" if optimizer.number == owner else ""
        table.add_row(*_cells(optimizer), style=style)
    return table


def _cells(optimizer: OptimizerSummary) -> list[RenderableType]:
    return [
        str(optimizer.number),
        Text(optimizer.label),
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
    table = Table(box=None, show_header=False)
    table.add_column("parameter", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for name, value in best.parameters.items():
        table.add_row(Text(f"    {name}"), f"{value:.7g}", Text(units[name]))
    yield table


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def last_line(text: str) -> str:
    """The last line of a text: of a traceback, the one that says what went wrong."""
    return text.rstrip().rpartition("\n")[2]
