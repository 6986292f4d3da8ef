"""Starting the process of a local Prefect server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from flows.server import server_process
from optim.errors import ServerError

LOG_LINES = 20
LAST_WORDS_S = 20.0
"""How long a server may take to end that cannot start, or that nobody uses any more."""


def start_server(
    folder: Path, port: int, settings: Mapping[str, str], password: str | None
) -> tuple[subprocess.Popen[bytes], str]:
    """A new server that uses a folder's locks, and where its API will be; it does not answer yet.

    Args:
        folder: For its locks and its log; above it is Prefect's home.
        port: Where it listens, on this machine only; 0: any that is free.
        settings: Environment; variables that this process has win.
        password: That it asks for; None: none.

    Raises:
        ServerError: The port is not to be had.
    """
    # The socket listens before the server runs: no port is lost to a race, and the first request simply waits.
    with _listener(port) as listener:
        host, port = listener.getsockname()
        url = f"http://{host}:{port}/api"
        log_file = folder / "server.log"
        log_file.unlink(missing_ok=True)
        log_file.touch(0o600 if password else 0o666)
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # no folder of the user's shadows a package
                    server_process.__file__,
                    str(listener.fileno()),
                    str(folder / "users.lock"),
                    str(folder / "server.lock"),
                ],
                env={
                    **settings,
                    **os.environ,
                    "PREFECT_HOME": str(folder.parent),
                    "PREFECT_SERVER_UI_API_URL": url,
                    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # its console is the log file
                    # not an argument: those are for everybody to see
                    **({"PREFECT_SERVER_API_AUTH_STRING": password} if password else {}),
                },
                umask=0o077 if password else -1,  # its database and its log
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # a terminal's Ctrl-C is for the manager alone
            )
    return process, url


def wait_for_answer(url: str, process: subprocess.Popen[bytes], log_file: Path, startup_s: float) -> None:
    """Wait until a new server answers.

    Raises:
        ServerError: It does not; the message has the end of its log.
    """
    try:
        httpx.get(f"{url}/health", timeout=startup_s, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        how = _end_of(process, error, startup_s)
        lines = log_file.read_text(errors="replace").splitlines()[-LOG_LINES:]
        raise ServerError(
            "\n".join([f"the local Prefect server {how}; the end of {log_file}:", *lines])
        ) from error


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ServerError(
            f"no Prefect server can listen on port {port} ({error.strerror}); choose another port"
        ) from error


def _end_of(process: subprocess.Popen[bytes], error: httpx.HTTPError, startup_s: float) -> str:
    """How a server came to its end that did not answer as it should; it is gone afterwards."""
    if isinstance(error, httpx.TimeoutException):
        process.kill()
        process.wait()
        return f"did not answer within {startup_s:g} s"
    try:
        # A connection breaks while the server is about to end: let it say why.
        return f"ended with code {process.wait(LAST_WORDS_S)}"
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"answered with an error ({error})"
