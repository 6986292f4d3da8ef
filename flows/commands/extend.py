"""`shoal extend NAME`."""

from __future__ import annotations

import click


@click.command("extend")
@click.argument("name")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    required=True,
    metavar="KEY=VALUE",
    help="Change a setting, as in exit_condition.1.max=5000 or stopper.3={type='MaxFunctionCalls', max=200}.",
)
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(name: str, overrides: tuple[str, ...], location: str | None) -> None:
    """Change the rules of the run NAME, which may have finished, and start nothing: `shoal resume NAME` goes on.

    Budgets, conditions, stoppers, parallelism, workers and further optimizer blocks can be changed; the problem, its
    parameters and the seed cannot. The change is kept in the run; another one takes it back.
    """
    from flows.run.extension import extend
    from flows.run.location import command_on, runs_location
    from optim.store import RunFolder

    folder = RunFolder.find(runs_location(location), name)
    extend(folder, overrides)
    click.echo(f"{name}: changed. To go on: {command_on(folder, 'resume')}")
