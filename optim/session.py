"""One process's work on a run: feeds the manager, keeps the queue of submissions, writes the journal.

Every driver goes through a session: it takes the next submission, has it evaluated wherever it likes, and hands
the result back. The session makes the rest follow, in one order for all drivers.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from optim.errors import UnknownCallError
from optim.journal import EvaluationRow, EventKind, EventRow, Journal, ValidationRow
from optim.manager import Manager
from optim.messages import (
    BASELINE,
    Announce,
    Cancel,
    Dropped,
    Evaluated,
    Event,
    Finish,
    PastAccepted,
    Pause,
    SessionStart,
    Submit,
    TimeUp,
    Validated,
)
from optim.outcome import Outcome
from optim.past import ACCEPTED
from optim.replay import Replayed, announced

Listener = Callable[[Announce], None]
"""Told of every decision of the manager, as it happens."""


_Key = tuple[int, int, bool]
"""Optimizer, call, and whether it is a validation."""


class _Sent(NamedTuple):
    submit: Submit
    submitted_s: float


class _Deadline(NamedTuple):
    at_s: float
    condition: int


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
        self._queue: OrderedDict[_Key, Submit] = OrderedDict()
        self._sent: dict[_Key, _Sent] = {}
        self._sequence = 0
        self._spent_s = 0.0
        self._deadlines: list[_Deadline] = []
        self._is_halted = False
        self._to_drop: list[Dropped] = []
        self._to_accept: list[PastAccepted] = []

    @property
    def finish(self) -> Finish | None:
        """Why and how the run ended; None while it goes on."""
        return self.manager.finish

    @property
    def pause(self) -> Pause | None:
        """Which time limit ended the session, and how; None: none did."""
        return self.manager.pause

    @property
    def in_flight(self) -> int:
        """How many submissions were taken and not handed back."""
        return len(self._sent)

    @property
    def next_deadline_s(self) -> float:
        """When `tick` should be called at the latest, by the session's clock; inf: never."""
        return self._deadlines[0].at_s if self._deadlines else math.inf

    def take_over(self, replayed: Replayed) -> None:
        """Go on where a replay of the journal has brought the manager; before `begin`."""
        self._to_accept = [PastAccepted(optimizer) for optimizer in replayed.accepted]
        self._sequence = replayed.inputs
        self._spent_s = replayed.spent_s
        self.failures = replayed.failures
        for row in replayed.unwritten:
            self._journal.add_event(row)
        for submit in replayed.outstanding:
            key = (submit.optimizer, submit.call, submit.validates > 0)
            if key in replayed.cancelled:
                self._to_drop.append(Dropped(submit.optimizer, submit.call))
            else:
                self._queue[key] = submit

    def begin(self, text: str) -> None:
        """Start working; `text` says who does."""
        began_s = self.clock()
        allowances = (
            (condition.allowance_s(self._spent_s), place)
            for place, condition in enumerate(self.manager.strategy.exit_conditions)
        )
        self._deadlines = sorted(
            _Deadline(began_s + seconds, place) for seconds, place in allowances if seconds is not None
        )
        self._feed(SessionStart(), text)
        for past in self._to_accept:
            self._feed(past, text)
        while self._to_drop:
            self._feed(self._to_drop.pop(0))
        self.tick()

    def tick(self) -> None:
        """Look at the clock: tell the manager which time limits have been reached."""
        while self._deadlines and self._deadlines[0].at_s <= self.clock():
            self._feed(TimeUp(self._deadlines.pop(0).condition))

    def halt(self) -> None:
        """Give out nothing more. It only sets a mark, so a signal handler may call it."""
        self._is_halted = True

    def next(self) -> Submit | None:
        """Take the next submission, in the order asked; None: there is none now, or a time limit was reached.

        Points that violate a constraint are not given out: their result is known, and recorded at once.
        """
        while self._queue and not (self._is_halted or self.manager.pause):
            key, submit = self._queue.popitem(last=False)
            self._sent[key] = _Sent(submit, self.clock())
            violation = self.manager.space.violation(submit.x)
            if not violation:
                return submit
            self.hand_back(
                Evaluated(
                    submit.optimizer,
                    submit.call,
                    Outcome.CONSTRAINT,
                    math.nan,
                    attempts=0,
                    text=violation,
                )
            )
            self.tick()
        return None

    def hand_back(self, result: Evaluated | Validated) -> None:
        """A submission that was taken is done.

        Raises:
            UnknownCallError: It was never taken, or was handed back before.
        """
        if (result.optimizer, result.call, isinstance(result, Validated)) not in self._sent:
            raise UnknownCallError(
                f"call {result.call} of optimizer {result.optimizer} was not given out, or was handed back before"
            )
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
                    self._queue[command.optimizer, command.call, command.validates > 0] = command
                elif isinstance(command, Announce):
                    self._announce(command)
                elif isinstance(command, Cancel) and self._unqueue(command):
                    events.append(Dropped(command.optimizer, command.call))
            self._sequence += 1

    def _unqueue(self, cancel: Cancel) -> bool:
        """Whether it was still in the queue."""
        try:
            del self._queue[cancel.optimizer, cancel.call, False]
        except KeyError:
            return False
        return True

    def _is_late(self, event: Event) -> bool:
        if not isinstance(event, Evaluated) or event.optimizer == BASELINE:
            return False
        return not self.manager.run.optimizers[event.optimizer - 1].is_alive

    def _record(self, event: Event, before: int, is_late: bool, text: str) -> None:
        match event:
            case Evaluated():
                self._record_evaluation(event, before + 1, is_late)
            case Validated():
                self._record_validation(event)
            case SessionStart():
                self._journal.add_event(EventRow(self._sequence, before, EventKind.SESSION_START, text=text))
            case TimeUp(condition):
                text = self.manager.strategy.exit_conditions[condition].printed
                data = json.dumps({"condition": condition})
                row = EventRow(self._sequence, before, EventKind.TIME_UP, text=text, data=data)
                self._journal.add_event(row)
            case PastAccepted(optimizer):
                text = f"its past is taken as recorded, and it goes on from its best; accepted by {text}"
                data = json.dumps({ACCEPTED: {"at_s": self.clock()}})
                self._journal.add_event(
                    EventRow(self._sequence, before, EventKind.INTERVENTION, optimizer, text=text, data=data)
                )
            case Dropped(optimizer, call):
                text = "cancelled before it ran"
                self._journal.add_event(
                    EventRow(self._sequence, before, EventKind.DROPPED, optimizer, call, text)
                )

    def _record_evaluation(self, event: Evaluated, number: int, is_late: bool) -> None:
        submit, submitted_s = self._sent.pop((event.optimizer, event.call, False))
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
            self._note_failure(event, number)

    def _record_validation(self, event: Validated) -> None:
        submit, submitted_s = self._sent.pop((event.optimizer, event.call, True))
        self._journal.add_validation(
            ValidationRow(
                self._sequence,
                event.optimizer,
                event.call,
                submit.validates,
                event.loss,
                event.outcome,
                event.attempts,
                submitted_s,
                event.started_s,
                event.finished_s,
                event.worker,
            )
        )
        if event.outcome is not Outcome.OK:
            self._note_failure(event, submit.validates)

    def _note_failure(self, event: Evaluated | Validated, number: int) -> None:
        text = event.text or event.outcome.label
        self._journal.add_event(
            EventRow(self._sequence, number, EventKind.FAILURE, event.optimizer, event.call, text)
        )

    def _announce(self, announce: Announce) -> None:
        self._journal.add_event(announced(self._sequence, self.manager.run.evaluations, announce))
        self._listener(announce)
