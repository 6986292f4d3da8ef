"""What the journal is told of a run: each input of the manager, and what followed from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from optim.journal import EvaluationRow, EventKind, EventRow, Journal, ValidationRow
from optim.manager import Manager
from optim.messages import (
    Announce,
    Dropped,
    Evaluated,
    Event,
    PastAccepted,
    SessionStart,
    Submit,
    TimeUp,
    Validated,
)
from optim.outcome import Outcome
from optim.past import ACCEPTED
from optim.steering import Intervention, StopOptimizer


class Recorder:
    """Makes rows of what the manager was told, and of what it decided.

    Args:
        manager: Whose inputs they are; it has handled them by then.
        journal: Where rows go, in order.
        clock: Seconds since the run began.

    Attributes:
        sequence: Place of the present input among all, from 0.
        failures: How many evaluations failed, over all sessions.
    """

    def __init__(self, manager: Manager, journal: Journal, clock: Callable[[], float]) -> None:
        self._manager = manager
        self._journal = journal
        self._clock = clock
        self.sequence = 0
        self.failures = 0

    def go_on(self, sequence: int, failures: int, unwritten: Iterable[EventRow]) -> None:
        """A replay has brought the manager to where it was.

        Args:
            sequence: How many inputs there were.
            failures: How many evaluations had failed.
            unwritten: Rows that were lost with the process before.
        """
        self.sequence = sequence
        self.failures = failures
        for row in unwritten:
            self._journal.add_event(row)

    def evaluation(self, result: Evaluated, submit: Submit, submitted_s: float, is_late: bool) -> None:
        """An evaluation came back.

        Args:
            result: What came of it.
            submit: What was asked.
            submitted_s: When that was taken, by the clock.
            is_late: Its optimizer had ended before.
        """
        optimizer, call, outcome, loss, started_s, finished_s, worker, attempts, *_ = result
        asked = self._manager.asked(optimizer)
        self._journal.add_evaluation(
            EvaluationRow(
                self.sequence,
                optimizer,
                call,
                asked,
                submit.x,
                loss,
                outcome,
                is_late,
                submit.is_probe,
                attempts,
                submitted_s,
                started_s,
                finished_s,
                worker,
            )
        )
        if outcome is not Outcome.OK:
            self.failures += 1
            self._failure(result, self._manager.run.evaluations)

    def validation(self, result: Validated, submit: Submit, submitted_s: float) -> None:
        """A validation came back; arguments as of `evaluation`."""
        optimizer, call, outcome, loss, started_s, finished_s, worker, attempts, _ = result
        self._journal.add_validation(
            ValidationRow(
                self.sequence,
                optimizer,
                call,
                submit.validates,
                loss,
                outcome,
                attempts,
                submitted_s,
                started_s,
                finished_s,
                worker,
            )
        )
        if outcome is not Outcome.OK:
            self._failure(result, submit.validates)

    def event(self, event: Event, by: str = "") -> None:
        """Anything else has happened.

        Args:
            event: What.
            by: Who works on the run, or accepts something.
        """
        match event:
            case SessionStart():
                self._add(EventKind.SESSION_START, text=by)
            case TimeUp(condition):
                text = self._manager.strategy.exit_conditions[condition].printed
                self._add(EventKind.TIME_UP, text=text, data=json.dumps({"condition": condition}))
            case PastAccepted(optimizer):
                text = f"its past is taken as recorded, and it goes on from its best; accepted by {by}"
                data = json.dumps({ACCEPTED: {"at_s": self._clock()}})
                self._add(EventKind.INTERVENTION, optimizer, self._manager.pasts[optimizer].calls, text, data)
            case Intervention():
                optimizer = event.optimizer if isinstance(event, StopOptimizer) else -1
                text, data = f"{event}; asked for by {event.by}", event.model_dump_json()
                self._add(EventKind.INTERVENTION, optimizer, text=text, data=data)
            case Dropped(optimizer, call):
                self._add(EventKind.DROPPED, optimizer, call, "cancelled before it ran")

    def decision(self, announce: Announce) -> None:
        """The manager has decided something."""
        self._journal.add_event(decision_row(self.sequence, announce, self._manager))

    def _failure(self, result: Evaluated | Validated, evaluation: int) -> None:
        text = result.text or result.outcome.label
        self._journal.add_event(
            EventRow(self.sequence, evaluation, EventKind.FAILURE, result.optimizer, result.call, text)
        )

    def _add(
        self, kind: EventKind, optimizer: int = -1, call: int = -1, text: str = "", data: str = ""
    ) -> None:
        evaluations = self._manager.run.evaluations
        self._journal.add_event(EventRow(self.sequence, evaluations, kind, optimizer, call, text, data))


def decision_row(sequence: int, announce: Announce, manager: Manager) -> EventRow:
    """A decision as the journal has it; the manager has just made it."""
    asked = manager.asked(announce.optimizer) if announce.optimizer > 0 else -1
    data = json.dumps(dict(announce.data)) if announce.data else ""
    return EventRow(
        sequence, manager.run.evaluations, announce.kind, announce.optimizer, asked, announce.text, data
    )
