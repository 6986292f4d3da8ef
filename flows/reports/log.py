"""A run's log: lines for people, in its folder's `log`, on the console and wherever else asked."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.reports.report import last_line
from optim.journal import EventKind
from optim.manager import NOBODY_LEFT
from optim.messages import Announce, Finish, Pause
from optim.printable import printable

INDENT = " " * 21
"""What lines after the first of a message begin with, to stand below its text."""


class LineFormatter(logging.Formatter):
    """`[15.07|09:40:49] text`, as users of ParAMS know it."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] %(message)s", datefmt="%d.%m|%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The line; what a loss raised may have control characters in it."""
        return printable(super().format(record))


@contextmanager
def run_log(path: Path, handlers: Sequence[logging.Handler] = ()) -> Iterator[logging.Logger]:
    """A logger that writes to `path`, with everything, and to `handlers`, each at its own level."""
    logger = logging.Logger("shoal.run")
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(LineFormatter())
    for handler in (file, *handlers):
        logger.addHandler(handler)
    try:
        yield logger
    finally:
        file.close()


def log_decision(logger: logging.Logger, announce: Announce) -> None:
    """One line for a start or an end of an optimizer."""
    if announce.optimizer < 0:
        return
    level = logging.DEBUG if announce.kind in (EventKind.SPAWN, EventKind.EXIT) else logging.INFO
    if announce.kind is EventKind.SPAWN:
        logger.log(level, "optimizer %d: %s", announce.optimizer, announce.text)
    else:
        logger.log(level, "optimizer %d %s: %s", announce.optimizer, announce.kind, last_line(announce.text))


def log_end(logger: logging.Logger, end: Finish | Pause) -> None:
    """Why the run or its session ended, in the tutorial's layout."""
    if isinstance(end, Finish) and end.failed:
        logger.error("The run failed: %s", end.reason)
    else:
        heading = "Exit conditions met:" if end.conditions and end.reason != NOBODY_LEFT else end.reason
        logger.info("%s", "\n".join([heading, *(INDENT + line for line in end.conditions)]))
