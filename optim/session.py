"""One process's work on a run: feeds the manager, keeps the queue of submissions, writes the journal.

Every driver goes through a session: it takes the next submission, has it evaluated wherever it likes, and hands
the result back. The session makes the rest follow, in one order for all drivers.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from optim.journal import EvaluationRow, EventKind, EventRow, Journal
from optim.manager import Manager
from optim.messages import (
    BASELINE,
    Announce,
    Cancel,
    Dropped,
    Evaluated,
    Event,
    Finish,
    SessionStart,
    Submit,
)
from optim.outcome import Outcome

Listener = Callable[[Announce], None]
"""Told of every decision of the manager, as it happens."""


class _Sent(NamedTuple):
    submit: Submit
    submitted_s: float


class Session:
    """A run that is being worked on.

    Args:
        manager: A fresh one.
        journal: Where everything is written, in order.
        clock: Seconds since the run began.
        listener: Told of every decision.
    """

    def __init__(
        self,
        manager: Manager,
        journal: Journal,
        clock: Callable[[], float],
        listener: Listener = lambda announce: None,
    ) -> None:
        self.manager = manager
        self.clock = clock
        self.failures = 0
        self._journal = journal
        self._listener = listener
        self._queue: OrderedDict[tuple[int, int], Submit] = OrderedDict()
        self._sent: dict[tuple[int, int], _Sent] = {}
        self._sequence = 0

    @property
    def finish(self) -> Finish | None:
        """Why and how the run ended; None while it goes on."""
        return self.manager.finish

    @property
    def in_flight(self) -> int:
        """How many submissions were taken and not handed back."""
        return len(self._sent)

    def begin(self, text: str) -> None:
        """Start working; `text` says who does."""
        self._feed(SessionStart(), text)

    def next(self) -> Submit | None:
        """Take the next submission, in the order asked; None: there is none now."""
        if not self._queue:
            return None
        key, submit = self._queue.popitem(last=False)
        self._sent[key] = _Sent(submit, self.clock())
        return submit

    def hand_back(self, result: Evaluated) -> None:
        """A submission that was taken is done.

        Raises:
            UnknownCallError: It was never taken, or was handed back before.
        """
        self._feed(result)

    def _feed(self, event: Event, text: str = "") -> None:
        events: deque[Event] = deque([event])
        while events:
            event = events.popleft()
            run = self.manager.run
            before = run.evaluations
            is_late = self._is_late(event)
            commands = self.manager.handle(event)
            self._record(event, before, is_late, text)
            for command in commands:
                if isinstance(command, Submit):
                    self._queue[command.optimizer, command.call] = command
                elif isinstance(command, Announce):
                    self._announce(command)
                elif isinstance(command, Cancel) and self._unqueue(command):
                    events.append(Dropped(command.optimizer, command.call))
            self._sequence += 1

    def _unqueue(self, cancel: Cancel) -> bool:
        """Whether it was still in the queue."""
        try:
            del self._queue[cancel.optimizer, cancel.call]
        except KeyError:
            return False
        return True

    def _is_late(self, event: Event) -> bool:
        if not isinstance(event, Evaluated) or event.optimizer == BASELINE:
            return False
        return not self.manager.run.optimizers[event.optimizer - 1].is_alive

    def _record(self, event: Event, before: int, is_late: bool, text: str) -> None:
        if isinstance(event, Evaluated):
            self._record_evaluation(event, before + 1, is_late)
            return
        kind, optimizer, call = EventKind.SESSION_START, -1, -1
        if isinstance(event, Dropped):
            kind, optimizer, call = EventKind.DROPPED, event.optimizer, event.call
            text = "cancelled before it ran"
        self._journal.add_event(EventRow(self._sequence, before, kind, optimizer, call, text))

    def _record_evaluation(self, event: Evaluated, number: int, is_late: bool) -> None:
        submit, submitted_s = self._sent.pop((event.optimizer, event.call))
        self._journal.add_evaluation(
            EvaluationRow(
                self._sequence,
                event.optimizer,
                event.call,
                submit.x,
                event.loss,
                event.outcome,
                is_late,
                submit.is_probe,
                event.attempts,
                submitted_s,
                event.started_s,
                event.finished_s,
                event.worker,
            )
        )
        if event.outcome is not Outcome.OK:
            self.failures += 1
            text = event.text or event.outcome.label
            self._journal.add_event(
                EventRow(self._sequence, number, EventKind.FAILURE, event.optimizer, event.call, text)
            )

    def _announce(self, announce: Announce) -> None:
        data = json.dumps(dict(announce.data)) if announce.data else ""
        self._journal.add_event(
            EventRow(
                self._sequence,
                self.manager.run.evaluations,
                announce.kind,
                announce.optimizer,
                -1,
                announce.text,
                data,
            )
        )
        self._listener(announce)
