"""`shoal serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flows.run.existing import IfExists


@click.command("serve")
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False), metavar="[FILE]...")
@click.option(
    "--cron", help="Start the run files by themselves, as in '0 2 * * *': each night at two, local time."
)
@click.option("--every", metavar="TIME", help="Start the run files by themselves, every 6h, say.")
@click.option(
    "--if-exists",
    type=click.Choice(["refuse", "resume", "new"]),
    default="refuse",
    help="What starting a run file does when there is a run called like it: go on with it, or start a new one with a"
    " number behind the name.  [default: runs are called like their problem, with a number]",
)
@click.option(
    "--walltime", metavar="TIME", help="The run files' runs save and end after so much time, as 5h30m."
)
@click.option("--name", help="Of the deployments in the dashboard.  [default: this folder and this machine]")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    show_default=True,
    help="Of the dashboard, if a Prefect server has to be started.",
)
@click.option("--private", is_flag=True, help="Keep other users of this machine out of the dashboard.")
def command(
    files: tuple[str, ...],
    cron: str | None,
    every: str | None,
    if_exists: IfExists,
    walltime: str | None,
    name: str | None,
    port: int,
    private: bool,
) -> int:
    """Start Prefect's dashboard, in which runs are started, cancelled and retried, and run them in this folder.

    Each run FILE gets a deployment of its own, which Quick run starts without any typing.

    The server is the one in PREFECT_API_URL, or else a local one that only this machine reaches. Ctrl-C ends all of
    it: runs that go on are saved, as with Cancel in the dashboard; a second time, at once.
    """
    import json
    import os
    import signal
    import socket
    import subprocess
    import sys
    from pathlib import Path
    from types import FrameType

    from flows.durations import end_after, seconds_of
    from flows.environment import DEFAULTS
    from flows.run_files.reading import read_settings

    name = name or f"{Path.cwd().name} on {socket.gethostname()}"
    file_names = {Path(file).name for file in files}
    for called in (name, *file_names):
        if "/" in called or "%" in called:
            raise click.UsageError(
                f"{called!r} cannot be the name of a deployment: Prefect allows neither '/' nor '%'"
            )
    if len(file_names) < len(files):
        raise click.UsageError("run files that are served together need different names")
    if (cron or every) and (not files or (cron and every)):
        raise click.UsageError("give --cron or --every, with at least one run FILE")
    if cron:
        _check_cron(cron)
    end_after(walltime)  # to say now what is wrong with it, as with the files
    for file in files:
        read_settings(Path(file))
    serving = {
        "name": name,
        "port": port,
        "private": private,
        "run_files": files,
        "cron": cron or "",
        "every_s": seconds_of(every) if every else 0.0,
        "if_exists": if_exists,
        "walltime": walltime or "",
    }
    click.echo("Starting Prefect ...", err=True)
    with subprocess.Popen(
        [sys.executable, "-m", "flows.serve", json.dumps(serving)],
        env={**DEFAULTS, **os.environ, "PYTHONSAFEPATH": "1"},  # no folder of the user's shadows a package
        stdin=subprocess.PIPE,  # ends with this process, however that ends
        start_new_session=True,  # a terminal's Ctrl-C is for this process alone, which says once who shall end
    ) as process:
        stopping = False

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal stopping
            if stopping:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                stopping = True
                process.terminate()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
        code = process.wait()
    if code < 0 and not stopping:
        click.echo(f"shoal: what served was ended by {signal.Signals(-code).name}", err=True)
    return 130 if code < 0 else code


def _check_cron(cron: str) -> None:
    """See that Prefect can read it.

    Raises:
        click.UsageError: It cannot.
    """
    from prefect.schedules import Cron

    try:
        Cron(cron)
    except ValueError:
        raise click.UsageError(
            f"--cron {cron!r}: it must be minute, hour, day, month, day of the week, as in '0 2 * * *'"
        ) from None
