"""How a command ends that worked on a run: with a report, and an exit code."""

from __future__ import annotations

import click

from flows.reports.report import report, wide_console
from flows.reports.summary import summarize
from flows.run.location import command_on, shown
from flows.run.opened import RunResult
from optim.store import RunFolder, open_run

INTERRUPTED = 130
CODES = {"finished": 0, "failed": 1, "paused": 75}


def end(result: RunResult, quiet: bool) -> int:
    """Print what the run has come to, unless quiet; the exit code."""
    if not quiet:
        folder = RunFolder(result.path)
        summary = summarize(result.name, open_run(folder.store))
        wide_console().print(report(summary))
        if folder.picture.exists():
            click.echo(f"Losses: {shown(folder.picture)}")
        else:
            click.echo(f"To look at the losses: {command_on(folder, 'plot')}")
        if result.status == "paused":
            click.echo(f"To go on: {command_on(folder, 'resume')}")
    return INTERRUPTED if result.is_interrupted else CODES[result.status]
