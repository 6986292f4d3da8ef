"""The page of a run that goes on: a process draws it now and then, and never holds up the run."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from optim.errors import StoreError
from optim.printable import printable
from optim.store import RunFolder

REST = 20.0
"""So many times as long as drawing took, nothing is drawn."""
LOOK_S = 0.1
LAST_S = 10.0
"""How long the process waits at its end for the last picture ..."""
LAST = "shoal last picture"
"""... which this thread has drawn, while whatever else ends comes to its end."""


@contextmanager
def kept_picture(
    folder: RunFolder,
    every_s: float,
    ends_at: float | None,
    flush: Callable[[], None],
    logger: logging.Logger,
) -> Iterator[None]:
    """Keep the page of a run current until the context ends, and begin to draw it once more then.

    A run that ends before its first picture is due gets none: to draw it would take longer than such a run.

    Args:
        folder: Of the run.
        every_s: About so often; 0: never.
        ends_at: When the session must be over, seconds since the epoch; None: it takes what it takes.
        flush: Commits what the last picture must show.
        logger: Told of the first picture that cannot be drawn.
    """
    if not every_s:
        yield
        return
    artist = _Artist(folder, every_s, logger)
    try:
        yield
    finally:
        if artist.put_down():
            until = time.time() + LAST_S if ends_at is None else min(time.time() + LAST_S, ends_at)
            with suppress(StoreError):  # whoever closes the store says so
                flush()
                threading.Thread(target=artist.draw, args=(lambda: time.time() > until,), name=LAST).start()


class _Artist:
    """Draws in a thread, which waits for a process."""

    def __init__(self, folder: RunFolder, every_s: float, logger: logging.Logger) -> None:
        self._command = [sys.executable, "-P", "-m", "flows.pictures.redraw", str(folder.path)]
        self._every_s = every_s
        self._logger = logger
        self._is_due = False
        self._has_failed = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="shoal picture", daemon=True)
        self._thread.start()

    def put_down(self) -> bool:
        """Draw no more; whether a first picture was due."""
        self._over.set()
        self._thread.join()
        return self._is_due

    def draw(self, is_enough: Callable[[], bool]) -> None:
        """Draw once, or give up when it is enough; what goes wrong is logged the first time."""
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the run
            )
        except OSError as error:
            self._note_failure(str(error))
            return
        with process:
            try:
                while (said := _said(process)) is None:
                    if is_enough():
                        return
            finally:
                process.kill()
        if process.returncode:
            self._note_failure(said or f"its process ended with {process.returncode}")

    def _follow(self) -> None:
        rest_s = self._every_s
        while not self._over.wait(rest_s):
            self._is_due = True
            began_s = time.monotonic()
            self.draw(self._over.is_set)
            rest_s = max(self._every_s, REST * (time.monotonic() - began_s))

    def _note_failure(self, why: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._logger.warning("The picture of the run cannot be drawn: %s", why)


def _said(process: subprocess.Popen[bytes]) -> str | None:
    """The last line of its complaints, once it is over; None: it goes on."""
    try:
        _, complaints = process.communicate(timeout=LOOK_S)
    except subprocess.TimeoutExpired:
        return None
    return printable(complaints.decode(errors="replace").strip().rpartition("\n")[2])
