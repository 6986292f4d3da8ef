"""`shoal run FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flows.run.existing import IfExists


@click.command("run")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", help="Name of the run.  [default: the problem's, with a number]")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of all random numbers.")
@click.option("--local", is_flag=True, help="Evaluate here: neither Prefect nor Dask.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes of this machine that evaluate, instead of this one with --local. The same as --set"
    " cluster.workers=N; with --local, as --set evaluation.processes=N.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting, as in generator.type=Random or exit_condition.1.max=500; can be repeated.",
)
@click.option(
    "--if-exists",
    type=click.Choice(["refuse", "resume", "new"]),
    default="refuse",
    show_default=True,
    help="When there is a run of that name: do nothing; or go on with it, as `shoal resume` does; or start a new one,"
    " with a number behind the name.",
)
@click.option(
    "--walltime",
    metavar="TIME",
    help="Save and end before so much time has passed, as in 23h50m, to be resumed later (exit code 75).",
)
@click.option(
    "--private",
    is_flag=True,
    help="Keep other users of this machine out of the dashboard and the Dask workers.",
)
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
@click.option("-v", "--verbose", is_flag=True, envvar="SHOAL_VERBOSE", help="Log every start and end.")
@click.option("-q", "--quiet", is_flag=True, envvar="SHOAL_QUIET", help="Only warnings, and no report.")
def command(
    file: Path,
    name: str | None,
    seed: int | None,
    local: bool,
    workers: int | None,
    overrides: tuple[str, ...],
    if_exists: IfExists,
    walltime: str | None,
    private: bool,
    location: str | None,
    verbose: bool,
    quiet: bool,
) -> int:
    """Run the run file FILE (TOML, YAML or ParAMS blocks), as a Prefect flow on Dask unless --local is given.

    With --if-exists resume the same command begins a run, goes on with it as often as need be, and leaves it as it is
    once it has finished. Of a run that goes on its store counts, not FILE nor any other option but --walltime.
    """
    if name and if_exists == "resume":
        from flows.run.kernel import ask_for_kernel
        from flows.run.location import runs_location

        ask_for_kernel(runs_location(location) / name / "run.zarr")  # before anything imports numpy

    from rich.console import Console

    from flows.commands.ending import end
    from flows.durations import end_after
    from flows.reports.outlook import Outlook
    from flows.run.request import request_of

    ends_at = end_after(walltime)
    chosen = [*overrides]
    if seed is not None:
        chosen.append(f"seed={seed}")
    if location is not None:
        chosen.append(f"store.location={location!r}")
    if private:
        chosen.append("private=true")
    if workers is not None:
        chosen.append(_workers(workers, local, overrides))
    if if_exists == "resume":
        from flows.commands.resume import carry_on
        from flows.run.existing import location_in, run_to_resume

        if (known := run_to_resume(location or location_in(file, chosen), name)) is not None:
            return carry_on(known, walltime=walltime, verbose=verbose, quiet=quiet)
    request = request_of(file, chosen, name, in_this_process=local)
    console = Console(stderr=True, quiet=quiet)
    outlook = Outlook(console, verbose - quiet)
    if local:
        from flows.lanes.local import run_in_process

        result = run_in_process(request._replace(ends_at=ends_at, numbers_taken=if_exists == "new"), outlook)
    else:
        from flows.environment import set_prefect_defaults

        set_prefect_defaults()
        from flows.launch import run_as_flow

        parameters = {
            "run_file": str(file.resolve()),
            "name": name,
            "overrides": chosen,
            "walltime": walltime,
            "if_exists": if_exists,
        }
        settings = request.settings
        result = run_as_flow("optimize", console, outlook, settings.cluster, settings.private, **parameters)
    return end(result, quiet)


def _workers(count: int, is_local: bool, overrides: tuple[str, ...]) -> str:
    """What to override so that so many processes evaluate.

    Raises:
        click.UsageError: That is overridden already.
    """
    key = "evaluation.processes" if is_local else "cluster.workers"
    for override in overrides:
        if override.partition("=")[0].strip() == key:
            raise click.UsageError(f"--workers {count} is {key}={count}, and --set {override} was given, too")
    return f"{key}={count}"
