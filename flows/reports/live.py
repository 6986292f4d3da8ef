"""What people see while a run goes on: a live view on a terminal, or else a line now and then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context

from rich.console import Console
from rich.live import Live

from flows.reports.drawing import Drawing
from flows.reports.from_session import SessionSource
from flows.reports.snapshot import LINE_EVERY_S, progress_line

REFRESHES_PER_S = 2
"""A drawing takes 2 to 4 ms, which a loss in this process waits for; and who could read faster?"""


@contextmanager
def live_view(source: SessionSource, console: Console) -> Iterator[None]:
    """Show the session's progress until the context ends."""
    drawing = Drawing(source.snapshot)
    with Live(drawing, console=console, refresh_per_second=REFRESHES_PER_S, transient=True):
        yield


@contextmanager
def progress_lines(
    source: SessionSource, logger: logging.Logger, every_s: float = LINE_EVERY_S
) -> Iterator[None]:
    """Log the session's progress every so many seconds until the context ends, and what has come since, then."""
    over = threading.Event()
    told = -1  # evaluations

    def tell() -> None:
        nonlocal told
        snapshot = source.snapshot()
        if not over.is_set() or snapshot.standing.evaluations != told:
            logger.info("%s", progress_line(snapshot))
        told = snapshot.standing.evaluations

    def follow() -> None:
        while not over.wait(every_s):
            tell()

    # In a copy of this context: Prefect finds there which flow run, and which server, a line belongs to.
    context = copy_context()
    thread = threading.Thread(target=context.run, args=(follow,), name="shoal-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        tell()
