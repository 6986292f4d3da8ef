"""One writer per run: an advisory lock on a file, which the operating system drops when the process dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from optim.errors import RunLockedError

_ATTEMPTS = 10
_PAUSE_S = 0.02


class Holder(NamedTuple):
    """Who holds a lock.

    Attributes:
        pid: Of the process; 0: it did not say yet.
        host: Where it runs; empty: it did not say yet.
        since: When it took the lock, ISO 8601; empty: it did not say yet.
    """

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}" if self.pid else "another process"


class RunLock:
    """Held from construction to `release`, or to the death of this process.

    A child that was forked meanwhile does not keep it: it closes its copy at once. (A child that executes
    another program never has one.)

    Args:
        path: The lock file; it is made if need be, and never removed.

    Raises:
        RunLockedError: Another process, or another lock of this one, holds it.
        OSError: The file cannot be opened, or its file system knows no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        with contextlib.ExitStack() as refused:
            refused.callback(self.release)
            self._acquire(self._descriptor)
            refused.pop_all()
        close_in_child = weakref.WeakMethod(self._close)
        os.register_at_fork(after_in_child=lambda: (close := close_in_child()) and close())

    def release(self) -> None:
        """Let others write the run. Idempotent."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _acquire(self, descriptor: int) -> None:
        # `holder` takes the lock for an instant to see whether it is free: that must not turn a writer away
        for attempt in range(_ATTEMPTS):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if attempt + 1 < _ATTEMPTS:
                time.sleep(_PAUSE_S)
        else:
            raise RunLockedError(
                f"{self.path.parent} is being written by {_read_holder(descriptor)};"
                " wait until it ends, or end it, and try again"
            )
        me = Holder(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(me._asdict()).encode(), 0)

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def holder(path: Path) -> Holder | None:
    """Who holds the lock of that file; None: nobody.

    Args:
        path: The lock file; it may be missing.

    Raises:
        OSError: The file cannot be opened, or its file system knows no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would keep us waiting
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read_holder(descriptor: int) -> Holder:
    try:
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):  # it has the lock, but has not written its name yet
        return Holder(0, "", "")
