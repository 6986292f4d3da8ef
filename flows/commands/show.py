"""`shoal show NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flows.reports.summary import OptimizerDetail
    from optim.store import RunReader


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--optimizer", "number", type=int, metavar="N", help="Show everything about optimizer N.")
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(name: str, as_json: bool, number: int | None, location: str | None) -> None:
    """Show what the run NAME has come to: optimizers, best parameters, minima, exit conditions.

    Optimizers are in the same minimum whose best points are at most 0.01 of the unit cube's diagonal from the lowest
    of them, with losses at most 1% (or 1e-6) above it.
    """
    from flows.reports.report import optimizer_report, report, wide_console
    from flows.reports.summary import summarize
    from flows.run.location import command_on, runs_location
    from flows.server.crashed import mark_crashed
    from optim.store import RunFolder, open_run

    folder = RunFolder.find(runs_location(location), name)
    reader = open_run(folder.store)
    console = wide_console()
    if number is not None:
        detail = _optimizer(reader, number)
        if as_json:
            click.echo(detail.model_dump_json(indent=2))
        else:
            console.print(optimizer_report(detail))
        return
    summary = summarize(name, reader)
    if as_json:
        click.echo(summary.model_dump_json(indent=2))
    else:
        console.print(report(summary))
    if summary.status == "running" and not folder.is_locked:
        if not as_json:
            console.print(
                f"The process that worked on it is gone; go on with: {command_on(folder, 'resume')}",
                style="yellow",
                soft_wrap=True,
            )
        mark_crashed([folder])


def _optimizer(reader: RunReader, number: int) -> OptimizerDetail:
    from flows.reports.summary import describe_optimizer
    from optim.store import OPTIMIZERS

    started = reader.size(OPTIMIZERS)
    if not 1 <= number <= started:
        known = f"1 to {started}" if started else "none yet"
        raise click.BadParameter(
            f"there is no optimizer {number}; the run has {known}", param_hint="--optimizer"
        )
    return describe_optimizer(reader, number)
