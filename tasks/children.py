"""Several losses at once, each in a process of its own, and one thread that waits for all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self

from tasks.attempts import Attempts
from tasks.child import Child, Isolation
from tasks.evaluation import Evaluation


class Children:
    """Processes that evaluate losses. Each is started when there is something for it to do.

    Args:
        count: How many.
        isolation: How losses are kept apart.
    """

    def __init__(self, count: int, isolation: Isolation) -> None:
        self._children = tuple(Child(isolation) for _ in range(count))
        self._idle = [*self._children]
        self._busy: list[_Busy] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill them all, whatever they do."""
        for child in self._children:
            child.end()

    @property
    def have_work(self) -> bool:
        """Whether any of them evaluates something."""
        return bool(self._busy)

    @property
    def are_busy(self) -> bool:
        """Whether none of them can begin anything."""
        return not self._idle

    def begin(self, attempts: Attempts, entry_point: str, folder: str | None) -> None:
        """Have a submission evaluated by one that has nothing else to do.

        Args:
            attempts: The submission, and what it has been through.
            entry_point: Of the loss.
            folder: Where user code is looked for besides installed packages.
        """
        self._busy.append(_Busy(self._idle.pop(), attempts, entry_point, folder))

    def ended(self, within_s: float) -> Iterator[tuple[Attempts, Evaluation]]:
        """What has ended, in that order; whoever evaluated it can begin something else at once.

        Args:
            within_s: It waits no longer for something to end; it may come back earlier with nothing.
        """
        now_s = time.monotonic()
        looks_s = min((busy.looks_s for busy in self._busy), default=math.inf)
        running = [busy.child.connection for busy in self._busy if busy.evaluation is None]
        ready = set(wait(running, max(0.0, min(now_s + within_s, looks_s) - now_s)))
        now_s = time.monotonic()
        for busy in self._busy:
            if busy.evaluation is None and (
                (is_ready := busy.child.connection in ready) or busy.looks_s <= now_s
            ):
                busy.step(is_ready)
        ended = [(busy, busy.evaluation) for busy in self._busy if busy.evaluation is not None]
        for busy, evaluation in sorted(ended, key=lambda one: one[1].finished_s):
            self._busy.remove(busy)
            self._idle.append(busy.child)
            yield busy.attempts, evaluation


class _Busy:
    """One of them, and what it evaluates.

    Attributes:
        looks_s: When to take the next step, by the monotonic clock, if it says nothing before.
        evaluation: What has come of it; None: it goes on.
    """

    def __init__(self, child: Child, attempts: Attempts, entry_point: str, folder: str | None) -> None:
        self.child = child
        self.attempts = attempts
        self.looks_s = -math.inf
        self.evaluation: Evaluation | None = None
        self._steps = child.steps(entry_point, folder, attempts.submit.x.tolist())
        self.step(None)

    def step(self, is_ready: bool | None) -> None:
        """Take the next step; None: the first one."""
        try:
            self.looks_s = time.monotonic() + self._steps.send(is_ready)
        except StopIteration as ended:
            self.looks_s = -math.inf
            self.evaluation, _ = ended.value
