"""What people see while a run goes on: a live view on a terminal, or else a line now and then."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flows.reports.report import END_STYLES, last_line
from optim.journal import EventKind
from optim.messages import Announce
from optim.session import Session

MAX_ROWS = 10
"""So many living optimizers are listed; the rest is counted."""
LAST_ENDS = 5
"""So many of the latest ends are listed."""
LINE_EVERY_S = 5.0
"""Without a terminal, progress is logged this often."""


class LiveView:
    """Follows one session on a terminal."""

    def __init__(self) -> None:
        self._title = ""
        self._session: Session | None = None
        self._ends: deque[Announce] = deque(maxlen=LAST_ENDS)

    def announce(self, announce: Announce) -> None:
        """The manager decided something."""
        if announce.kind not in (EventKind.SPAWN, EventKind.EXIT):
            self._ends.append(announce)

    @contextmanager
    def showing(self, title: str, session: Session, console: Console) -> Iterator[None]:
        """Show the session's progress, below a title, until the context ends."""
        self._title, self._session = title, session
        with Live(
            console=console, get_renderable=self._render, refresh_per_second=4, transient=True, screen=False
        ):
            yield

    def _render(self) -> RenderableType:
        if self._session is None:
            return Text("")
        parts: list[RenderableType] = [Text(self._title, style="bold"), Text(progress_line(self._session))]
        alive = [optimizer for optimizer in self._session.manager.run.optimizers if optimizer.is_alive]
        table = Table(box=None, header_style="dim")
        for heading in ("alive", "type", "calls", "latest loss", "best loss"):
            table.add_column(heading, justify="left" if heading == "type" else "right", no_wrap=True)
        for optimizer in alive[:MAX_ROWS]:
            table.add_row(
                str(optimizer.number),
                Text(optimizer.title),
                str(optimizer.calls),
                _loss(optimizer.latest_loss),
                _loss(optimizer.best_loss),
            )
        parts.append(table)
        if len(alive) > MAX_ROWS:
            parts.append(Text(f"... and {len(alive) - MAX_ROWS} more", style="dim"))
        for end in tuple(self._ends):
            line = Text(f"optimizer {end.optimizer} ")
            line.append(end.kind, style=END_STYLES.get(end.kind, ""))
            line.append(f": {last_line(end.text)}")
            line.truncate(120, overflow="ellipsis")
            parts.append(line)
        return Group(*parts)


@contextmanager
def progress_lines(session: Session, logger: logging.Logger, every_s: float = LINE_EVERY_S) -> Iterator[None]:
    """Log the session's progress every so many seconds until the context ends, and once more then."""
    over = threading.Event()

    def follow() -> None:
        while not over.wait(every_s):
            logger.info("%s", progress_line(session))

    # In a copy of this context: Prefect finds there which flow run, and which server, a line belongs to.
    context = copy_context()
    thread = threading.Thread(target=context.run, args=(follow,), name="shoal-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        logger.info("%s", progress_line(session))


def progress_line(session: Session) -> str:
    """Evaluations, speed, best loss and how many are alive, on one line."""
    run = session.manager.run
    elapsed_s = session.clock()
    speed = run.evaluations / elapsed_s if elapsed_s else 0.0
    best = f"best {run.best.loss:.6g} by {_owner(run.best.optimizer)}" if run.best else "no finite loss yet"
    if len(run.validations):
        best += f", lowest validation loss {_loss(run.validations.lowest_until(len(run.validations)))}"
    failures = f", {session.failures} failed" if session.failures else ""
    return (
        f"{run.evaluations} evaluations ({speed:.0f}/s{failures}), {best}, {session.manager.alive} alive of"
        f" {run.started} started, {run.converged} converged, {run.stopped} stopped"
    )


def _loss(loss: float) -> str:
    return f"{loss:.6g}" if math.isfinite(loss) else "none"


def _owner(optimizer: int) -> str:
    return f"optimizer {optimizer}" if optimizer else "the initial values"
