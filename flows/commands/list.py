"""`shoal list`."""

from __future__ import annotations

import click


@click.command("list")
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(location: str | None) -> None:
    """List all runs: status, evaluations, best loss."""
    from rich.table import Table
    from rich.text import Text

    from flows.reports.report import wide_console
    from flows.reports.summary import summarize
    from flows.run.location import runs_location
    from flows.server.crashed import mark_crashed
    from optim.errors import ShoalError
    from optim.printable import printable
    from optim.store import list_runs, open_run

    place = runs_location(location)
    folders = list_runs(place)
    if not folders:
        click.echo(f"no runs in {place}")
        return
    table = Table(box=None, header_style="bold")
    for heading in ("name", "status", "problem"):
        table.add_column(heading, no_wrap=True)
    for heading in ("evaluations", "optimizers", "best loss"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why")
    left_behind = []
    for folder in folders:
        try:
            summary = summarize(folder.name, open_run(folder.store))
        except ShoalError as error:
            table.add_row(
                Text(printable(folder.name)),
                Text("unreadable", style="red"),
                *[""] * 4,
                Text(printable(str(error))),
            )
            continue
        gone = summary.status == "running" and not folder.is_locked
        if gone:
            left_behind.append(folder)
        table.add_row(
            Text(summary.name),
            Text("running (its process is gone)" if gone else summary.status),
            Text(summary.problem),
            str(summary.evaluations),
            str(len(summary.optimizers)),
            f"{summary.best.loss:.6g}" if summary.best else "none",
            Text(summary.reason),
        )
    wide_console().print(table)
    mark_crashed(left_behind)
