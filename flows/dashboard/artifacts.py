"""What the artifacts of a run say: its progress, exit conditions, optimizers, losses, and at the end a report."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import NamedTuple

from rich.console import Console, Group

from flows.pictures.reading import read_picture
from flows.pictures.static import static_losses
from flows.reports.findings import findings
from flows.reports.report import last_line, listed
from flows.reports.snapshot import ConditionRow, loss_text, owner_text
from flows.reports.summary import RunSummary, summarize
from optim.combination import Combination
from optim.progress import Progress
from optim.store import RunReader

DPI = 120
"""Of the picture: as wide as the dashboard shows it on a laptop."""
COLUMNS = 110
"""Of what is found, which is shown as plain text."""


class Content(NamedTuple):
    """What one artifact says.

    Attributes:
        kind: A type of Prefect's: progress, table or markdown.
        data: As Prefect keeps it.
        description: Above it, as Markdown.
    """

    kind: str
    data: str | float
    description: str


class Conditions(NamedTuple):
    """How far the exit conditions of a run are, and how they are combined (None: any is enough)."""

    rows: tuple[ConditionRow, ...]
    combination: str | None


def contents(
    name: str, reader: RunReader, conditions: Conditions, has_ended: bool = False
) -> dict[str, Content]:
    """Every artifact of a run, by what it is about.

    Args:
        name: Of the run.
        reader: Of its store.
        conditions: As they stand.
        has_ended: There is to be a report, too.
    """
    summary = summarize(name, reader)
    headline = _headline(summary)
    picture = _picture(name, reader)
    found = {
        "progress": Content("progress", _percent(conditions, summary.status), headline),
        "exit-conditions": Content("markdown", _conditions(conditions), f"Exit conditions of {_text(name)}"),
        "optimizers": Content("table", _optimizers(summary), f"Optimizers of {_text(name)}"),
        "losses": Content("markdown", picture, headline),
    }
    if has_ended:
        found["report"] = Content("markdown", _report(summary, conditions, picture), headline)
    return found


def key_of(name: str, about: str) -> str:
    """The key under which the Artifacts page has it: `shoal-RUN-ABOUT` in lowercase letters, digits and dashes."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return "-".join(filter(None, ["shoal", slug, about]))


def _headline(summary: RunSummary) -> str:
    best = summary.best
    found = f"best loss {best.loss:.6g}, by {owner_text(best.optimizer)}" if best else "no finite loss yet"
    return f"{_text(summary.name)}: {summary.status}, {summary.evaluations:,} evaluations, {found}"


def _percent(conditions: Conditions, status: str) -> float:
    """How far the run is, in percent: by the exit condition that is met first, or must be met at last."""
    if status == "finished":
        return 100.0
    missing = [1 - ((row.progress and row.progress.fraction) or 0.0) for row in conditions.rows]
    return round(100 * (1 - Combination(conditions.combination, len(missing)).true_from(missing)), 1)


def _conditions(conditions: Conditions) -> str:
    rows = [[_text(row.name), *_how_far(row.progress)] for row in conditions.rows]
    combined = (
        f"Combined as `{conditions.combination}`." if conditions.combination else "Any of them is enough."
    )
    return f"{_table(['condition', 'so far', ''], rows)}\n\n{combined}"


def _how_far(progress: Progress | None) -> tuple[str, str]:
    if progress is None:
        return "", ""
    return str(progress), "" if progress.fraction is None else f"{progress.fraction:.0%}"


def _optimizers(summary: RunSummary) -> str:
    rows = [
        {
            "#": one.number,
            "optimizer": one.label,
            "started at": one.start_evaluation,
            "ended at": "" if one.end_evaluation is None else one.end_evaluation,
            "calls": one.evaluations,
            "best loss": "none" if one.best_loss is None else loss_text(one.best_loss),
            "how": one.end or "alive",
            "why": last_line(one.reason),
        }
        for one in reversed(listed(summary))
    ]
    return json.dumps(rows)


def _picture(name: str, reader: RunReader) -> str:
    png = static_losses(read_picture(name, reader), "png", dpi=DPI)
    return f"![Losses](data:image/png;base64,{b64encode(png).decode()})"


def _report(summary: RunSummary, conditions: Conditions, picture: str) -> str:
    parts = [f"# {_text(summary.name)} {summary.status}"]
    if summary.reason:
        parts.append(_text(summary.reason))
    if summary.best:
        rows = [
            [_text(parameter), f"{value:.7g}", _text(summary.units[parameter])]
            for parameter, value in summary.best.parameters.items()
        ]
        parts += [
            f"## Best, at evaluation {summary.best.evaluation:,}",
            _table(["parameter", "value", "unit"], rows),
        ]
    parts += [picture, "## Exit conditions", _conditions(conditions)]
    if found := _plain_text(summary):
        parts += ["## What was found", f"```\n{found}\n```"]
    speed = f" ({summary.evaluations / summary.elapsed_s:,.0f}/s)" if summary.elapsed_s else ""
    parts.append(f"Seed {summary.seed}; {summary.elapsed_s:,.1f} s{speed}; {summary.failures:,} failed.")
    return "\n\n".join(parts)


def _plain_text(summary: RunSummary) -> str:
    """The same as `shoal show` prints."""
    file = StringIO()
    Console(file=file, width=COLUMNS, color_system=None).print(Group(*findings(summary)))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()).replace("```", "'''")


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str) -> str:
    """Text from elsewhere, of which nothing is taken for Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>()#+|~$!&])", r"\\\1", " ".join(text.split()))
