"""`shoal pause NAME`."""

from __future__ import annotations

import click


@click.command("pause")
@click.argument("name")
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(name: str, location: str | None) -> None:
    """Have whoever works on the run NAME save it and end; `shoal resume NAME` goes on.

    What is under way is waited for and recorded.
    """
    from flows.run.steering import ask, by_whom, steered
    from optim.steering import PauseRun

    folder = steered(name, location)
    if folder.holder() is None:
        click.echo(f"Nobody works on {name}: there is nothing to pause.")
        return
    ask(folder, PauseRun(**by_whom()))
