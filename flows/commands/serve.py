"""`shoal serve`."""

from __future__ import annotations

import click


@click.command("serve")
@click.option("--name", help="Of the deployments in the dashboard.  [default: this folder and this machine]")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    show_default=True,
    help="Of the dashboard, if a Prefect server has to be started.",
)
@click.option("--private", is_flag=True, help="Keep other users of this machine out of the dashboard.")
def command(name: str | None, port: int, private: bool) -> int:
    """Start Prefect's dashboard, in which runs are started, cancelled and retried, and run them in this folder.

    The server is the one in PREFECT_API_URL, or else a local one that only this machine reaches. Ctrl-C ends all of
    it: runs that go on are saved, as with Cancel in the dashboard; a second time, at once.
    """
    import os
    import signal
    import socket
    import subprocess
    import sys
    from pathlib import Path
    from types import FrameType

    from flows.environment import DEFAULTS

    name = name or f"{Path.cwd().name} on {socket.gethostname()}"
    if "/" in name or "%" in name:
        raise click.UsageError(f"--name {name!r}: Prefect allows neither '/' nor '%'")
    click.echo("Starting Prefect ...", err=True)
    with subprocess.Popen(
        [sys.executable, "-m", "flows.serve", name, str(port), *(["private"] if private else [])],
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
