"""Resume is replay: the journal of a run, fed to a fresh manager, brings it to where the run stood.

Every point that the optimizers ask for is compared with the recorded one, and every decision with what was announced;
so what goes on is the run that was interrupted, and no other. Where a point differs by a rounding, the recorded one is
what counts.
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
    PastAccepted,
    SessionStart,
    SettingsChanged,
    Submit,
    TimeUp,
    Validated,
)
from optim.outcome import Outcome
from optim.past import ACCEPTED
from optim.recorder import decision_row
from optim.steering import read_intervention
from optim.strategy import Strategy

CARRIED_ON = 1e-9
"""How far, in the unit cube, an asked point may be from the recorded one: another processor rounds differently."""

OWN_ENDS = frozenset({EventKind.CONVERGED, EventKind.GAVE_UP, EventKind.CRASHED})
"""Decisions that are an optimizer's own."""

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
        interventions: The ids of what people have asked for.
        accepted: The optimizers that do something else than before, which somebody has accepted now.
    """

    outstanding: tuple[Submit, ...]
    cancelled: frozenset[Key]
    inputs: int
    unwritten: tuple[EventRow, ...]
    failures: int
    difference: float
    spent_s: float
    interventions: frozenset[str] = frozenset()
    accepted: tuple[int, ...] = ()


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
        self._interventions: set[str] = set()
        self._inputs = 0
        self._failures = 0
        self._difference = 0.0
        self._spent_s = 0.0

    def feed(self, inputs: Iterable[InputRow]) -> Replayed:
        for row in inputs:
            if row.sequence != self._inputs:
                raise DivergenceError(f"the journal has input {row.sequence} where {self._inputs} should be")
            self._inputs += 1
            self._check_is_complete(row)
            for command in self._manager.handle(self._event(row)):
                if isinstance(command, Submit):
                    key = (command.optimizer, command.call, command.validates > 0)
                    self._outstanding[key] = command
                    self._cancelled.discard(key)
                elif isinstance(command, Cancel):
                    self._cancelled.add((command.optimizer, command.call, False))
                elif isinstance(command, Announce):
                    self._compare_note(row.sequence, command)
            if self._next_note is not None and self._next_note.sequence <= row.sequence:
                raise self._other_decision(self._next_note, None)
            if isinstance(row, EvaluationRow):
                self._compare_asked(row.optimizer, row.asked)
        if self._next_note is not None:
            raise DivergenceError(
                f"the journal has {_in_words(self._next_note)}, which follows from nothing that is in it"
            )
        return Replayed(
            tuple(self._outstanding.values()),
            frozenset(self._cancelled & self._outstanding.keys()),
            self._inputs,
            tuple(self._unwritten),
            self._failures,
            self._difference,
            self._spent_s,
            frozenset(self._interventions),
        )

    def _check_is_complete(self, row: InputRow) -> None:
        """Decisions may be lost with the process, so only at the end; and then rules may be changed."""
        is_change = isinstance(row, EventRow) and row.kind is EventKind.SETTINGS_CHANGED
        if self._unwritten and not is_change:
            lost = self._unwritten[0]
            raise DivergenceError(
                f"after evaluation {lost.evaluation} the journal has no decision, and the replay {_in_words(lost)}",
                lost.optimizer if lost.kind in OWN_ENDS else 0,
            )

    def _event(self, row: InputRow) -> Event:
        match row:
            case EvaluationRow():
                number = self._manager.run.evaluations + 1
                asked = self._take(row, (row.optimizer, row.call, False), f"evaluation {number} was")
                is_as_asked = asked.x.tobytes() == row.x.tobytes()
                if not is_as_asked:
                    self._compare_points(row, asked, number)
                self._note_time(row)
                text = self._failure_text(row, number)
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
                    None if is_as_asked else row.x,
                )
            case ValidationRow():
                self._take(row, (row.optimizer, row.call, True), f"evaluation {row.evaluation} validated")
                self._note_time(row)
                self._failure_text(row, row.evaluation)
                return Validated(row.optimizer, row.call, row.outcome, row.loss)
            case EventRow(kind=EventKind.SESSION_START):
                return SessionStart()
            case EventRow(kind=EventKind.DROPPED):
                key = (row.optimizer, row.call, False)
                self._take(row, key, f"after evaluation {row.evaluation} was cancelled")
                return Dropped(row.optimizer, row.call)
            case EventRow(kind=EventKind.TIME_UP):
                return TimeUp(json.loads(row.data)["condition"])
            case EventRow(kind=EventKind.SETTINGS_CHANGED):
                return SettingsChanged(self._read_strategy(json.loads(row.data)["settings"]))
            case EventRow(kind=EventKind.INTERVENTION):
                if ACCEPTED in json.loads(row.data):
                    return PastAccepted(row.optimizer)
                intervention = read_intervention(row.data)
                self._interventions.add(intervention.id)
                return intervention
        raise DivergenceError(f"this shoal knows no input of the kind {row.kind!r}")

    def _take(self, row: InputRow, key: Key, what: str) -> Submit:
        asked = self._outstanding.pop(key, None)
        if asked is None:
            at = f" at {dict(self._manager.space.named(row.x))}" if isinstance(row, EvaluationRow) else ""
            raise DivergenceError(
                f"{what} call {row.call} of optimizer {row.optimizer}{at}, which it has not asked for in this"
                " replay",
                row.optimizer,
            )
        return asked

    def _note_time(self, row: EvaluationRow | ValidationRow) -> None:
        for time_s in (row.submitted_s, row.finished_s):
            if time_s > self._spent_s:  # a constraint's result has no time: nan
                self._spent_s = time_s

    def _compare_points(self, row: EvaluationRow, asked: Submit, evaluation: int) -> None:
        space = self._manager.space
        difference = float(np.max(np.abs(space.to_unit(asked.x) - space.to_unit(row.x))))
        if not difference <= CARRIED_ON:
            raise DivergenceError(
                f"evaluation {evaluation} (call {row.call} of optimizer {row.optimizer}) was at"
                f" {dict(space.named(row.x))}, and now the optimizer asks for {dict(space.named(asked.x))}:"
                f" {difference:.3g} apart in the unit cube, where {CARRIED_ON:g} are carried on",
                row.optimizer,
            )
        self._difference = max(self._difference, difference)

    def _compare_asked(self, optimizer: int, recorded: int) -> None:
        """Also of what never came back the number must be right: it decides who finds a place in the budget."""
        past = self._manager.pasts.get(optimizer)
        is_from_past = past is not None and recorded <= past.calls
        if recorded < 0 or is_from_past:  # an earlier shoal did not say; a past cannot be held against itself
            return
        asked = self._manager.asked(optimizer)
        if asked != recorded:
            raise DivergenceError(
                f"after evaluation {self._manager.run.evaluations} optimizer {optimizer} had asked for {recorded}"
                f" evaluations, and in this replay for {asked}",
                optimizer,
            )

    def _failure_text(self, row: EvaluationRow | ValidationRow, evaluation: int) -> str:
        """What the journal says of a failed evaluation."""
        if row.outcome is Outcome.OK:
            return ""
        self._failures += isinstance(row, EvaluationRow)
        if self._next_note is None:  # the journal ends before it
            text = row.outcome.label
            note = EventRow(row.sequence, evaluation, EventKind.FAILURE, row.optimizer, row.call, text)
            self._unwritten.append(note)
            return text
        note = self._next_note
        if (note.sequence, note.kind) != (row.sequence, EventKind.FAILURE):
            raise DivergenceError(f"the journal misses why evaluation {evaluation} failed")
        self._next_note = next(self._notes, None)
        return note.text

    def _compare_note(self, sequence: int, announce: Announce) -> None:
        note = self._next_note
        if note is None:  # the journal ends before it
            self._unwritten.append(decision_row(sequence, announce, self._manager))
        elif (note.sequence, note.kind, note.optimizer) == (sequence, announce.kind, announce.optimizer):
            self._next_note = next(self._notes, None)
            self._compare_asked(note.optimizer, note.call)
        else:
            raise self._other_decision(note if note.sequence == sequence else None, announce)

    def _other_decision(self, note: EventRow | None, announce: Announce | None) -> DivergenceError:
        ends = [it for it in (announce, note) if it is not None and it.kind in OWN_ENDS]
        return DivergenceError(
            f"after evaluation {self._manager.run.evaluations} the journal has {_in_words(note)}, and the replay"
            f" {_in_words(announce)}",
            ends[0].optimizer if ends else 0,
        )


def _in_words(decision: EventRow | Announce | None) -> str:
    if decision is None:
        return "no decision"
    whose = f"of optimizer {decision.optimizer}" if decision.optimizer > 0 else "of the run"
    return f"'{decision.kind}' {whose}"
