"""`shoal inject NAME PARAMETER=VALUE ...`."""

from __future__ import annotations

import click


@click.command("inject")
@click.argument("name")
@click.argument("values", metavar="PARAMETER=VALUE...", nargs=-1, required=True)
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(name: str, values: tuple[str, ...], location: str | None) -> None:
    """Start one more optimizer of the run NAME at a point, as in `shoal inject fit eps=0.24 rmin=3.8`.

    Values are in physical units; parameters that are not given have their initial values. It starts at once, however
    many are alive; budgets hold for it, too.
    """
    from flows.run.steering import ask, by_whom, point_of, steered
    from optim.steering import StartOptimizer
    from optim.store import open_run

    folder = steered(name, location)
    space = open_run(folder.store).space()
    ask(folder, StartOptimizer(**by_whom(), x=point_of(space, values)))
