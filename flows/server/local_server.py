"""One local Prefect server, with its dashboard, for as long as somebody on this machine uses it.

The server belongs to a `PREFECT_HOME`, not to a run: two runs at once would otherwise write one SQLite file from
two servers. File locks, which the kernel lets go however a process ends, keep count, in `PREFECT_HOME/shoal/`:

* `users.lock` is held shared by every process that uses the server. The server waits to hold it alone, and then ends.
* `server.lock` is held by the server while it lives; its text is the URL.
* `start.lock` is held by whoever comes or goes, so that only one decides at a time.

A private server asks for a password, which `flows.server.password` keeps for the users that come later.
"""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    temporary_settings,
)

from flows.server.new_server import LAST_WORDS_S, start_server, wait_for_answer
from flows.server.password import new_password, password_file, read_password, write_password
from optim.errors import ServerError

SERVER_SETTINGS = {
    # Each task run is three events; recorded one at a time they cost 44 ms of server CPU, in batches 13 ms.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    # A batch that is not full waits no longer than a second: the end of a run waits for the last one. Of less than a
    # second Prefect makes 0, and its recorder then keeps a processor busy with doing nothing.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "DO_NOT_TRACK": "1",
}
"""What a local server is started with; variables that the environment already has win."""

SEND_S = 10.0
"""How long events, and log lines, may take to reach the server at the end."""


@contextmanager
def local_server(
    startup_s: float = 120.0,
    *,
    port: int = 0,
    settings: Mapping[str, str] = SERVER_SETTINGS,
    private: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[str]:
    """A Prefect server to work with: the one that is configured, else a local one.

    Inside, `PREFECT_API_URL`, and `PREFECT_API_AUTH_STRING` for a server that asks for a password, are set for this
    process and for those that it starts. On the way out every event that this process still holds is sent, and the
    server is stopped if nobody else uses it.

    Args:
        startup_s: How long a new server may take until it answers.
        port: Of a new server; 0: any that is free.
        settings: Environment of a new server.
        private: Only with a server that asks for a password; a new one does. Otherwise either will do.
        meanwhile: What to do while a new server starts, which takes seconds; it finds those variables set.

    Yields:
        The URL of the API.

    Raises:
        ServerError: The configured server does not answer, a local one does not come up, or it asks for a password
            that nobody gave, or for none where it should.
    """
    home = _home()
    if url := PREFECT_API_URL.value():
        _check_answers(url)
        with _configured(url, _known_password(url, home)), _everything_sent():
            _check_password(url, private)
            yield url
        return
    with (
        _shared_server(home, startup_s, port, settings, private, meanwhile) as url,
        _configured(url, read_password(home)),
        _everything_sent(),
    ):
        _check_password(url, private)
        yield url


def require_password() -> None:
    """See that the Prefect server asks for a password: what a private run tells it is for its owner.

    Raises:
        ServerError: It does not.
    """
    _check_password(str(PREFECT_API_URL.value()), private=True)


def where_password_is(url: str) -> Path | None:
    """The file that has the password of a server; None: it asks for none, or it is not the local one."""
    home = _home()
    return password_file(home) if _is_local(url, home) and read_password(home) else None


def _home() -> Path:
    home: Path = PREFECT_HOME.value()
    return home.expanduser().resolve()


def _is_local(url: str, home: Path) -> bool:
    try:
        return (home / "shoal" / "server.lock").read_text() == url
    except OSError:
        return False


def _known_password(url: str, home: Path) -> str | None:
    """What is configured, or else what is kept for the local server, if it is that one."""
    configured: str | None = PREFECT_API_AUTH_STRING.value()
    return configured or (read_password(home) if _is_local(url, home) else None)


def _check_password(url: str, private: bool) -> None:
    """See that a server asks for a password if it should, and takes ours."""
    try:
        asks = httpx.get(f"{url}/admin/version", timeout=SEND_S).status_code in (401, 403)
        if private and not asks:
            raise ServerError(
                f"the run is private, but the Prefect server at {url} asks for no password; end what uses it, or start"
                " your own with PREFECT_SERVER_API_AUTH_STRING, or set another PREFECT_HOME"
            )
        if asks:
            with get_client(sync_client=True) as client:
                client.request("GET", "/admin/version")
    except httpx.HTTPStatusError as error:
        raise ServerError(
            f"the Prefect server at {url} does not let us in ({error.response.status_code}); set"
            " PREFECT_API_AUTH_STRING to its password"
        ) from error
    except httpx.HTTPError as error:
        raise ServerError(f"the Prefect server at {url} does not answer ({error})") from error


@contextmanager
def _shared_server(
    home: Path,
    startup_s: float,
    port: int,
    settings: Mapping[str, str],
    private: bool,
    meanwhile: Callable[[], object],
) -> Iterator[str]:
    folder = home / "shoal"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServerError(f"Prefect's home {home} cannot be used ({error}); set PREFECT_HOME") from error
    own: subprocess.Popen[bytes] | None = None
    with (folder / "users.lock").open("w") as users, (folder / "server.lock").open("a+") as server:
        with _locked(folder / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a server that is just ending
            if _try_lock(server, fcntl.LOCK_SH):
                fcntl.flock(server, fcntl.LOCK_UN)
                password = os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or (
                    new_password() if private else None
                )
                write_password(home, password)
                own, url = start_server(folder, port, settings, password)
                with _configured(url, password):
                    meanwhile()
                wait_for_answer(url, own, folder / "server.log", startup_s)
            else:
                server.seek(0)
                url = server.read()
                _check_answers(url)
        try:
            yield url
        finally:
            with _locked(folder / "start.lock"):
                last = _is_last(users)
                users.close()
                if last:
                    _wait_for_end(server, own)


def _wait_for_end(server: IO[str], own: subprocess.Popen[bytes] | None) -> None:
    """Wait until a server has ended that nobody uses any more; one that hangs is left, or killed if it is our own."""
    deadline_s = time.monotonic() + LAST_WORDS_S
    while not _try_lock(server, fcntl.LOCK_SH):
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.05)
    if own:
        try:
            own.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            own.kill()
            own.wait()


def _is_last(users: IO[str]) -> bool:
    """Whether nobody else uses the server; `users` is held shared."""
    if _try_lock(users, fcntl.LOCK_EX):
        return True
    # Changing a lock lets go of it for a moment, in which the server may have got it.
    return not _try_lock(users, fcntl.LOCK_SH)


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _configured(url: str, password: str | None) -> Iterator[None]:
    given = {"PREFECT_API_URL": url} | ({"PREFECT_API_AUTH_STRING": password} if password else {})
    before = {name: os.environ.get(name) for name in given}
    os.environ |= given  # worker processes inherit it
    try:
        with temporary_settings(
            {PREFECT_API_URL: url} | ({PREFECT_API_AUTH_STRING: password} if password else {})
        ):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _check_answers(url: str) -> None:
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        if error := client.api_healthcheck():
            raise ServerError(
                f"the Prefect server at {url} does not answer ({error}); start it, or unset PREFECT_API_URL "
                "for a local one"
            ) from error


@contextmanager
def _everything_sent() -> Iterator[None]:
    """Send events and log lines that this process still holds on the way out; a later server needs new connections.

    Of what does not reach the server nothing is said on the terminal: the run tells what the dashboard missed.
    """
    is_told, logging.raiseExceptions = (
        logging.raiseExceptions,
        False,
    )  # where Prefect looks before it complains
    try:
        yield
    finally:
        EventsWorker.drain_all(timeout=SEND_S, at_exit=False)
        lines = APILogWorker.drain_all(timeout=SEND_S, at_exit=False)
        if not (isinstance(lines, tuple) and lines[1]):  # else Prefect goes on trying while this process ends
            logging.raiseExceptions = is_told
