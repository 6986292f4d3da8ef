"""`shoal watch NAME`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from flows.reports.from_store import StoreSource
    from optim.store import RunFolder


@click.command("watch")
@click.argument("name")
@click.option(
    "--location",
    help="Folder of all runs, or any URL that fsspec reads.  [default: SHOAL_LOCATION or ./runs]",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Seconds between two looks at the store.",
)
@click.option("--once", is_flag=True, help="Show how it looks now, and end.")
def command(name: str, location: str | None, interval: float, once: bool) -> None:
    """Follow the run NAME from its store, wherever it is worked on, until it ends or rests.

    On a terminal it shows what `shoal run` shows; else it prints a line now and then. Ctrl-C leaves the watching, and
    never the run. Behind a URL nobody can tell whether the process that works on a run is still alive.
    """
    from flows.reports.drawing import Drawing
    from flows.reports.from_store import GONE, StoreSource
    from flows.reports.report import wide_console
    from flows.run.location import runs_place
    from flows.server.crashed import mark_crashed
    from optim.errors import RunNameError, StoreError
    from optim.store import store_of

    place = runs_place(location)
    url, folder = store_of(place, name)
    try:
        source = StoreSource(name, url, folder)
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise RunNameError(f"there is no run {name!r} in {place}") from None
        raise
    console = wide_console()
    if not once and not source.is_over:
        try:
            _follow(source, console, interval)
        except KeyboardInterrupt:
            click.echo(f"{name} goes on without you.", err=True)
            raise
    console.print(Drawing(source.snapshot, below=4))
    for line in _ending(name, source, folder):
        console.print(line, soft_wrap=True)
    if source.state == GONE and folder is not None:
        mark_crashed([folder])


def _follow(source: StoreSource, console: Console, interval_s: float) -> None:
    """Until nobody works on the run any more."""
    from rich.live import Live

    from flows.reports.drawing import Drawing

    if not console.is_terminal:
        _print_lines(source, interval_s)
        return
    with Live(Drawing(source.snapshot), console=console, auto_refresh=False, transient=True) as live:
        while not source.is_over:
            live.refresh()
            time.sleep(interval_s)
            source.look()


def _print_lines(source: StoreSource, interval_s: float) -> None:
    from flows.reports.snapshot import LINE_EVERY_S, progress_line

    next_s = 0.0
    while not source.is_over:
        if time.monotonic() >= next_s:
            click.echo(f"[{time.strftime('%d.%m|%H:%M:%S')}] {progress_line(source.snapshot())}")
            next_s = time.monotonic() + LINE_EVERY_S
        time.sleep(interval_s)
        source.look()


def _ending(name: str, source: StoreSource, folder: RunFolder | None) -> Iterator[Text]:
    """How it ended, and how to go on."""
    from rich.text import Text

    from flows.reports.from_store import GONE
    from flows.run.location import command_on

    if source.state == GONE:
        yield Text("The process that worked on it is gone.", "yellow")
    elif source.is_over:
        verb = "is" if source.state == "paused" else "has"
        yield Text(f"{name} {verb} {source.state}: {source.reason}".removesuffix(": "))
    if source.state in (GONE, "paused"):
        yield Text(f"To go on: {command_on(folder, 'resume') if folder else f'shoal resume {name}'}")
