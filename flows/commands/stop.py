"""`shoal stop NAME`."""

from __future__ import annotations

import click


@click.command("stop")
@click.argument("name")
@click.option("--optimizer", type=click.IntRange(min=1), help="Stop only the optimizer of this number.")
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(name: str, optimizer: int | None, location: str | None) -> None:
    """End the run NAME, or one of its optimizers.

    What is under way is waited for and recorded. A run that was stopped has finished; `shoal extend` gives it more to
    do. In place of an optimizer that was stopped another one starts, as after any other end.
    """
    from flows.run.steering import ask, by_whom, steered
    from optim.steering import StopOptimizer, StopRun

    folder = steered(name, location)
    if optimizer is None:
        ask(folder, StopRun(**by_whom()))
    else:
        ask(folder, StopOptimizer(**by_whom(), optimizer=optimizer))
