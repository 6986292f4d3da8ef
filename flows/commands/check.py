"""`shoal check FILE`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting.")
def command(file: Path, overrides: tuple[str, ...]) -> None:
    """Check FILE and its problem, list every fault, and start nothing."""
    from flows.run.request import request_of

    request = request_of(file, overrides, in_this_process=False)
    settings = request.settings
    parameters = ", ".join(request.space.names)
    blocks = ", ".join(block.title for block in settings.optimizers)
    for advised in request.advice:
        click.echo(f"{file}: look again at {advised}", err=True)
    click.echo(f"{file}: good. Problem {request.problem_name} with {parameters}; optimizers {blocks}.")
