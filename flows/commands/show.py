"""`shoal show NAME`."""

from __future__ import annotations

import click


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(name: str, as_json: bool, location: str | None) -> None:
    """Show what the run NAME has come to: optimizers, best parameters, exit conditions."""
    from flows.run import runs_location
    from flows.summary import summarize
    from optim.store import RunFolder, open_run

    folder = RunFolder.find(runs_location(location), name)
    summary = summarize(name, open_run(folder.store))
    if as_json:
        click.echo(summary.model_dump_json(indent=2))
        return
    from flows.report import report, wide_console

    console = wide_console()
    console.print(report(summary))
    if summary.status == "running" and not folder.is_locked:
        console.print("The process that worked on it is gone.", style="yellow")
