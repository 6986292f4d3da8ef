"""Resume is replay: the journal of a run, fed to a fresh manager, brings it to where the run stood.

Every point that the optimizers ask for is compared with the recorded one, and every decision with what was announced;
so what goes on is the run that was interrupted, and no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from optim.errors import DivergenceError
from optim.journal import EvaluationRow, EventKind, EventRow, ValidationRow
from optim.manager import Manager
from optim.messages import (
    Announce,
    Cancel,
    Dropped,
    Evaluated,
    Event,
    SessionStart,
    SettingsChanged,
    Submit,
    TimeUp,
    Validated,
)
from optim.outcome import Outcome
from optim.strategy import Strategy

CARRIED_ON = 1e-9
"""How far, in the unit cube, an asked point may be from the recorded one: another processor rounds differently."""

Key = tuple[int, int, bool]
"""Optimizer, call, and whether it is a validation."""

InputRow = EvaluationRow | ValidationRow | EventRow


class Replayed(NamedTuple):
    """Where a run stands after its journal.

    Attributes:
        outstanding: What was asked for and never came back, in the order asked.
        cancelled: Those of them that nobody waits for any more.
        inputs: How many inputs the manager had: the next sequence number.
        unwritten: Decisions that followed from the last input, and were lost when the process died.
        failures: How many evaluations failed.
        difference: The largest distance of an asked point from the recorded one, in the unit cube.
        spent_s: How long the run was worked on, by its own clock.
    """

    outstanding: tuple[Submit, ...]
    cancelled: frozenset[Key]
    inputs: int
    unwritten: tuple[EventRow, ...]
    failures: int
    difference: float
    spent_s: float


def replay(
    manager: Manager,
    inputs: Iterable[InputRow],
    notes: Iterable[EventRow],
    read_strategy: Callable[[Mapping[str, Any]], Strategy],
) -> Replayed:
    """Feed a journal to a manager.

    Args:
        manager: A fresh one, with the settings that the run began with.
        inputs: Every input of the journal, in order.
        notes: Every event of the journal that is no input, in order.
        read_strategy: Makes settings of what a `settings changed` event holds.

    Raises:
        DivergenceError: The manager asks for or decides something else than what was recorded.
    """
    return _Replay(manager, notes, read_strategy).feed(inputs)


class _Replay:
    def __init__(
        self,
        manager: Manager,
        notes: Iterable[EventRow],
        read_strategy: Callable[[Mapping[str, Any]], Strategy],
    ) -> None:
        self._manager = manager
        self._notes = iter(notes)
        self._next_note = next(self._notes, None)
        self._read_strategy = read_strategy
        self._outstanding: dict[Key, Submit] = {}
        self._cancelled: set[Key] = set()
        self._unwritten: list[EventRow] = []
        self._inputs = 0
        self._failures = 0
        self._difference = 0.0
        self._spent_s = 0.0

    def feed(self, inputs: Iterable[InputRow]) -> Replayed:
        for row in inputs:
            if row.sequence != self._inputs:
                raise DivergenceError(f"the journal has input {row.sequence} where {self._inputs} should be")
            self._inputs += 1
            for command in self._manager.handle(self._event(row)):
                if isinstance(command, Submit):
                    self._outstanding[command.optimizer, command.call, command.validates > 0] = command
                elif isinstance(command, Cancel):
                    self._cancelled.add((command.optimizer, command.call, False))
                elif isinstance(command, Announce):
                    self._compare_note(row.sequence, command)
        if self._next_note is not None:
            raise DivergenceError(
                f"the journal has a decision that was not taken again: {self._next_note.kind} of optimizer"
                f" {self._next_note.optimizer}, at evaluation {self._next_note.evaluation}"
            )
        return Replayed(
            tuple(self._outstanding.values()),
            frozenset(self._cancelled & self._outstanding.keys()),
            self._inputs,
            tuple(self._unwritten),
            self._failures,
            self._difference,
            self._spent_s,
        )

    def _event(self, row: InputRow) -> Event:
        match row:
            case EvaluationRow():
                self._take(row, (row.optimizer, row.call, False), self._manager.run.evaluations + 1)
                text = self._failure_text(row, self._manager.run.evaluations + 1)
                return Evaluated(
                    row.optimizer,
                    row.call,
                    row.outcome,
                    row.loss,
                    row.started_s,
                    row.finished_s,
                    row.worker,
                    row.attempts,
                    text,
                )
            case ValidationRow():
                self._take(row, (row.optimizer, row.call, True), row.evaluation)
                self._failure_text(row, row.evaluation)
                return Validated(row.optimizer, row.call, row.outcome, row.loss)
            case EventRow(kind=EventKind.SESSION_START):
                return SessionStart()
            case EventRow(kind=EventKind.DROPPED):
                self._outstanding.pop((row.optimizer, row.call, False), None)
                return Dropped(row.optimizer, row.call)
            case EventRow(kind=EventKind.TIME_UP):
                return TimeUp(json.loads(row.data)["condition"])
            case EventRow(kind=EventKind.SETTINGS_CHANGED):
                return SettingsChanged(self._read_strategy(json.loads(row.data)["settings"]))
        raise DivergenceError(f"this shoal knows no input of the kind {row.kind!r}")

    def _take(self, row: EvaluationRow | ValidationRow, key: Key, evaluation: int) -> None:
        asked = self._outstanding.pop(key, None)
        if asked is None:
            raise DivergenceError(
                f"evaluation {evaluation} was call {row.call} of optimizer {row.optimizer}, which it has not"
                " asked for in this replay"
            )
        if isinstance(row, EvaluationRow):
            self._compare_points(row, asked, evaluation)
        for time_s in (row.submitted_s, row.finished_s):
            if time_s > self._spent_s:  # a constraint's result has no time: nan
                self._spent_s = time_s

    def _compare_points(self, row: EvaluationRow, asked: Submit, evaluation: int) -> None:
        if asked.x.tobytes() == row.x.tobytes():
            return
        space = self._manager.space
        difference = float(np.max(np.abs(space.to_unit(asked.x) - space.to_unit(row.x))))
        self._difference = max(self._difference, difference)
        if not difference <= CARRIED_ON:
            raise DivergenceError(
                f"evaluation {evaluation} (call {row.call} of optimizer {row.optimizer}) was at"
                f" {dict(space.named(row.x))}, and now the optimizer asks for {dict(space.named(asked.x))}:"
                f" {difference:.3g} apart in the unit cube"
            )

    def _failure_text(self, row: EvaluationRow | ValidationRow, evaluation: int) -> str:
        """What the journal says of a failed evaluation."""
        if row.outcome is Outcome.OK:
            return ""
        self._failures += isinstance(row, EvaluationRow)
        note = self._note(row.sequence)
        if note is not None and note.kind is EventKind.FAILURE:
            return note.text
        text = row.outcome.label
        self._unwritten.append(
            EventRow(row.sequence, evaluation, EventKind.FAILURE, row.optimizer, row.call, text)
        )
        return text

    def _compare_note(self, sequence: int, announce: Announce) -> None:
        note = self._note(sequence)
        if note is None:
            self._unwritten.append(announced(sequence, self._manager.run.evaluations, announce))
        elif (note.kind, note.optimizer) != (announce.kind, announce.optimizer):
            raise DivergenceError(
                f"at evaluation {note.evaluation} the journal has {note.kind} of optimizer {note.optimizer}, and"
                f" the replay {announce.kind} of optimizer {announce.optimizer}"
            )

    def _note(self, sequence: int) -> EventRow | None:
        """The next recorded consequence of an input; None: the journal ends before it."""
        note = self._next_note
        if note is None:
            return None
        if note.sequence != sequence:
            raise DivergenceError(f"the journal misses a decision that followed from its input {sequence}")
        self._next_note = next(self._notes, None)
        return note


def announced(sequence: int, evaluations: int, announce: Announce) -> EventRow:
    """A decision as the journal has it."""
    data = json.dumps(dict(announce.data)) if announce.data else ""
    return EventRow(sequence, evaluations, announce.kind, announce.optimizer, -1, announce.text, data)
