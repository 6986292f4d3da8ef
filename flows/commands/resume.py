"""`shoal resume NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from optim.store import RunFolder


@click.command("resume")
@click.argument("name")
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
@click.option(
    "--accept-divergence",
    is_flag=True,
    help="Where an optimizer does something else than before (another processor, other versions), let it go on from"
    " its best.",
)
@click.option(
    "--walltime",
    metavar="TIME",
    help="Save and end before so much time has passed, as in 23h50m, to be resumed later (exit code 75).",
)
@click.option("-v", "--verbose", is_flag=True, envvar="SHOAL_VERBOSE", help="Log every start and end.")
@click.option("-q", "--quiet", is_flag=True, envvar="SHOAL_QUIET", help="Only warnings, and no report.")
def command(
    name: str,
    location: str | None,
    accept_divergence: bool,
    walltime: str | None,
    verbose: bool,
    quiet: bool,
) -> int:
    """Go on with the run NAME, however it was interrupted, in the lane in which it began.

    What counts is its store, not its run file; its problem is imported again. Nothing is evaluated twice but what was
    under way. A run that has finished is left as it is; `shoal extend` gives it more to do.
    """
    from flows.run.kernel import ask_for_kernel
    from flows.run.location import runs_location

    place = runs_location(location)
    ask_for_kernel(place / name / "run.zarr")  # before anything imports numpy

    from optim.store import RunFolder

    return carry_on(RunFolder.find(place, name), accept_divergence, walltime, verbose, quiet)


def carry_on(
    folder: RunFolder,
    accept_divergence: bool = False,
    walltime: str | None = None,
    verbose: bool = False,
    quiet: bool = False,
) -> int:
    """Go on with a run that is there, in the lane in which it began; the exit code.

    Args:
        folder: Of the run.
        accept_divergence: As the option of the command.
        walltime: As the option of the command.
        verbose: As the option of the command.
        quiet: As the option of the command.

    Raises:
        RunLockedError: Another process works on it.
        ShoalError: It cannot go on.
    """
    from rich.console import Console

    from flows.commands.ending import end
    from flows.durations import end_after
    from flows.reports.outlook import Outlook
    from flows.run.request import request_to_resume
    from optim.errors import RunLockedError
    from optim.printable import printable
    from optim.store import read_attributes

    ends_at = end_after(walltime)
    attributes = read_attributes(folder.store)
    if attributes["status"] == "finished":
        click.echo(f"{folder.name} has finished: {printable(attributes['reason'])}. Nothing was changed.")
        return 0
    if holder := folder.holder():
        raise RunLockedError(f"{folder.path} is being worked on by {holder}")
    console = Console(stderr=True, quiet=quiet)
    outlook = Outlook(console, verbose - quiet)
    if attributes["lane"] == "in-process":
        from flows.lanes.local import run_in_process

        request = request_to_resume(folder, accept_divergence=accept_divergence, ends_at=ends_at)
        result = run_in_process(request, outlook)
    else:
        from flows.environment import set_prefect_defaults

        set_prefect_defaults()
        from flows.launch import run_as_flow
        from flows.run.stored import present_settings
        from optim.store import open_run

        settings = present_settings(open_run(folder.store))
        result = run_as_flow(
            "resume",
            console,
            outlook,
            settings.cluster,
            settings.private,
            name=folder.name,
            location=str(folder.path.parent.resolve()),
            accept_divergence=accept_divergence,
            walltime=walltime,
        )
    return end(result, quiet)
