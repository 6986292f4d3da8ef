"""The process of a local Prefect server; a script. `flows.server.local_server` says what its locks mean.

Arguments: the file descriptor of a listening socket, the lock of those who use the server, its own lock.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import IO, NoReturn

import uvicorn

GRACE_S = 20.0
"""How long a shutdown may take before the process ends the hard way."""
SQLITE_BYTES = 32 * 2**20
"""What SQLite may keep in memory, about; Prefect would let each of its connections keep 80 MB."""


def main(descriptor: str, users_lock: str, server_lock: str) -> None:
    """Serve Prefect's API and dashboard until nobody holds the users' lock any more."""
    listener = socket.socket(fileno=int(descriptor))
    with Path(server_lock).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.write("http://{}:{}/api".format(*listener.getsockname()))
        lock.flush()
        sqlite3.connect(":memory:").execute(
            f"PRAGMA soft_heap_limit = {SQLITE_BYTES}"
        )  # of the whole process
        server = _Server(
            uvicorn.Config(
                "prefect.server.api.server:create_app",
                factory=True,
                lifespan="on",
                log_level="error",
                timeout_graceful_shutdown=3,
            )
        )
        threading.Thread(target=_stop_when_unused, args=(server, users_lock, lock), daemon=True).start()
        server.run(sockets=[listener])
        # All is written, and the listener closed. Taking the interpreter apart would take more than a second, and
        # whoever ends a run waits for it.
        logging.shutdown()
        _exit(0, lock)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()  # what is loaded stays; the garbage collector need not look at it again and again


def _stop_when_unused(server: uvicorn.Server, users_lock: str, own_lock: IO[str]) -> None:
    # Users hold the lock shared, so this waits for the last of them, however it ends. The lock is then kept:
    # whoever comes now waits until this process is gone.
    lock = os.open(users_lock, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    server.should_exit = True
    time.sleep(GRACE_S)
    _exit(1, own_lock)


def _exit(code: int, own_lock: IO[str]) -> NoReturn:
    # The kernel may let go of the users' lock first: who waits for that one would take this process for alive.
    fcntl.flock(own_lock, fcntl.LOCK_UN)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
