"""How people follow a run: a live view on a terminal, plain log lines without one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from flows.reports.from_session import SessionSource
from flows.reports.live import live_view, progress_lines
from flows.reports.log import LineFormatter
from optim.messages import Announce
from optim.session import Session


class Outlook:
    """What is shown of a run while it goes on.

    Args:
        console: Where; None: nowhere but in the run's own log.
        verbosity: -1: warnings only; 0: normal; 1: log lines also on a terminal, and with every start.
    """

    def __init__(self, console: Console | None = None, verbosity: int = 0) -> None:
        self._console = console
        self._is_quiet = verbosity < 0
        self._has_view = bool(console and console.is_terminal and verbosity == 0)
        self._source: SessionSource | None = None
        self.handlers: list[logging.Handler] = []
        if console:
            level = logging.WARNING if self._has_view or self._is_quiet else logging.INFO
            is_drawn = console.is_terminal and not self._is_quiet
            handler: logging.Handler
            handler = ConsoleHandler(console) if is_drawn else logging.StreamHandler(console.file)
            handler.setLevel(logging.DEBUG if verbosity > 0 else level)
            handler.setFormatter(LineFormatter())
            self.handlers.append(handler)

    def listen(self, announce: Announce) -> None:
        """Told of every decision of the manager."""
        if self._source:
            self._source.listen(announce)

    @contextmanager
    def following(self, name: str, problem: str, session: Session, logger: logging.Logger) -> Iterator[None]:
        """Show the progress of a run's session, which has begun, until the context ends."""
        source = self._source = SessionSource(name, problem, session)
        try:
            with (
                live_view(source, self._console)
                if self._has_view and self._console
                else progress_lines(source, logger)
            ):
                yield
        finally:
            self._source = None  # the session has us as its listener: a cycle would keep it


class ConsoleHandler(logging.Handler):
    """Prints log lines on a terminal, above its live view."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        self._console.print(Text(self.format(record)), soft_wrap=True)
