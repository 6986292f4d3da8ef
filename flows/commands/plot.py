"""`shoal plot NAME`."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("plot")
@click.argument("name")
@click.option(
    "--output", type=FILE, help="Where the page goes.  [default: loss.html in the folder of the run]"
)
@click.option("--png", type=FILE, help="Instead, losses as PNG, for papers.")
@click.option("--svg", type=FILE, help="Instead, losses as SVG.")
@click.option("--optimizers", default="", metavar="NUMBERS", help="Show only these at first, as in '2 4 7'.")
@click.option("--force", is_flag=True, help="Write over files that exist.")
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(
    name: str,
    output: Path | None,
    png: Path | None,
    svg: Path | None,
    optimizers: str,
    force: bool,
    location: str | None,
) -> None:
    """Draw the run NAME, also while it goes on, as one HTML page that works without a network.

    Every loss is drawn against the number of its evaluation, with an icon where an optimizer ended. Beside it are the
    lowest loss so far, the parameters, the final losses, how many optimizers were alive, and the minima. A click on a
    curve shows that optimizer alone; another click shows all again.
    """
    from flows.named_files import check_free, write_whole
    from flows.pictures.reading import read_picture
    from flows.run.location import runs_location
    from optim.store import RunFolder, open_run

    folder = RunFolder.find(runs_location(location), name)
    picture = read_picture(name, open_run(folder.store))
    chosen = _numbers(optimizers, len(picture.optimizers))
    if not force:
        for path in filter(None, (output, png, svg)):
            check_free(path)
    files: dict[Path, bytes] = {}
    if output is not None or (png is None and svg is None):
        from flows.pictures.page import page

        files[output or folder.picture] = page(picture, optimizers).encode()
    if png is not None or svg is not None:
        from flows.pictures.static import static_losses

        if png is not None:
            files[png] = static_losses(picture, "png", chosen)
        if svg is not None:
            files[svg] = static_losses(picture, "svg", chosen)
    for path, data in files.items():
        write_whole(path, data)
        click.echo(f"{name} is drawn in {path}")


def _numbers(text: str, started: int) -> set[int] | None:
    """The optimizers that are meant; None: all.

    Raises:
        click.BadParameter: One of them is not there.
    """
    words = text.replace(",", " ").split()
    for word in words:
        if not (word.isascii() and word.isdigit() and 1 <= int(word) <= started):
            known = f"1 to {started}" if started else "none yet"
            raise click.BadParameter(
                f"there is no optimizer {word}; the run has {known}", param_hint="--optimizers"
            )
    return set(map(int, words)) or None
