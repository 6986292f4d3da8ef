"""`shoal convert SOURCE TARGET`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flows.run_files.reading import Format


@click.command("convert")
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--to",
    type=click.Choice(["toml", "yaml", "blocks"]),
    help="Format of TARGET.  [default: by its suffix; .in, .inp and .params are blocks]",
)
@click.option("--force", is_flag=True, help="Overwrite TARGET.")
def command(source: Path, target: Path, to: Format | None, force: bool) -> None:
    """Write the run file SOURCE as TARGET, in TOML, YAML or ParAMS' block syntax.

    The settings stay the same in every direction; comments are not kept. With - as TARGET the text is printed.
    """
    from flows.named_files import check_free, write_whole
    from flows.run_files.faults import located
    from flows.run_files.reading import format_of, read_settings
    from flows.run_files.writing import run_text

    file, settings = read_settings(source)
    with located(file.name, file.places):
        text = run_text(settings, to or format_of(target))
    if str(target) == "-":
        click.echo(text, nl=False)
    else:
        if not force:
            check_free(target)
        write_whole(target, text.encode())
        click.echo(f"{source} is now also {target}; comments were not kept.")
