"""The rows of a run's journal: every evaluation, validation and event, in the order in which they happened.

Evaluations, validations and input events together are all that a replay needs; the other events are for people.
"""

from __future__ import annotations

import enum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from optim.outcome import Outcome


class EventKind(enum.StrEnum):
    """What happened. The first group are inputs of the manager, the second its decisions, the third notes."""

    SESSION_START = "session start"
    DROPPED = "dropped"
    TIME_UP = "time up"
    INTERVENTION = "intervention"
    SETTINGS_CHANGED = "settings changed"

    SPAWN = "spawn"
    CONVERGED = "converged"
    GAVE_UP = "gave up"
    CRASHED = "crashed"
    STOPPED = "stopped"
    BY_HAND = "by hand"
    EXIT = "exit"
    GOES_ON = "goes on"

    FAILURE = "failure"


INPUT_KINDS = frozenset(
    {
        EventKind.SESSION_START,
        EventKind.DROPPED,
        EventKind.TIME_UP,
        EventKind.INTERVENTION,
        EventKind.SETTINGS_CHANGED,
    }
)
"""The kinds that a replay feeds to the manager; each has a sequence number of its own."""

END_KINDS = frozenset(
    {
        EventKind.CONVERGED,
        EventKind.GAVE_UP,
        EventKind.CRASHED,
        EventKind.STOPPED,
        EventKind.BY_HAND,
        EventKind.EXIT,
    }
)
"""The kinds that end an optimizer, when `EventRow.optimizer` names one (`EXIT` without one ends the run)."""


class EvaluationRow(NamedTuple):
    """One evaluation whose result reached the manager; its number is its place in the journal, from 1.

    Attributes:
        sequence: Place among all inputs of the manager, from 0.
        optimizer: Number of the optimizer; 0 for the baseline.
        call: The optimizer's own number of the evaluation, from 1.
        asked: How many evaluations the optimizer had asked for once this one was told, those that still waited
            included: the last call of a batch; -1: an earlier shoal wrote the row, and did not say.
        x: The point, physical units, shape (size,): every parameter, also those that are not free.
        loss: As the loss function returned it; nan where it returned none.
        outcome: How it ended.
        late: It came back after its optimizer had been stopped, and was not told to it.
        probe: A finite-difference point: no step of the optimizer.
        attempts: How often it was tried.
        submitted_s: When it was handed to a worker; seconds since the run began, as the next two.
        started_s: When the loss began to run.
        finished_s: When the loss returned.
        worker: Name of the process that ran it; empty where nothing ran.
    """

    sequence: int
    optimizer: int
    call: int
    asked: int
    x: NDArray[np.float64]
    loss: float
    outcome: Outcome
    late: bool
    probe: bool
    attempts: int
    submitted_s: float
    started_s: float
    finished_s: float
    worker: str


class ValidationRow(NamedTuple):
    """The validation loss of one evaluated point; outside the numbering of evaluations and every budget.

    Attributes:
        sequence: Place among all inputs of the manager, from 0.
        optimizer: Number of the optimizer whose point it is; 0 for the baseline.
        call: That optimizer's number of the evaluation whose point was validated.
        evaluation: The run's number of that evaluation, from 1.
        loss: As the validation function returned it; nan where it returned none.
        outcome: How it ended.
        attempts: How often it was tried.
        submitted_s: When it was handed to a worker; seconds since the run began, as the next two.
        started_s: When the validation function began to run.
        finished_s: When it returned.
        worker: Name of the process that ran it; empty where nothing ran.
    """

    sequence: int
    optimizer: int
    call: int
    evaluation: int
    loss: float
    outcome: Outcome
    attempts: int
    submitted_s: float
    started_s: float
    finished_s: float
    worker: str


class EventRow(NamedTuple):
    """One event.

    Attributes:
        sequence: Of an input: its place among all inputs. Of a decision or a note: that of its cause.
        evaluation: How many evaluations the run had.
        kind: What happened.
        optimizer: Whom it concerns; -1: nobody in particular.
        call: Which call of it; where it was started, has ended or goes on, and where its past was accepted: the last
            that it had asked for; -1: none in particular.
        text: What a person reads.
        data: Machine-readable detail, as a JSON object; empty: none. A spawn holds `type`, `label`, `settings`
            (an object), `generator` and `x0` (physical units); a stopped optimizer may hold `verdicts`: the
            stoppers as they stood, text of several lines; a time that is up `condition`: which exit condition,
            from 0; an intervention what was done.
    """

    sequence: int
    evaluation: int
    kind: EventKind
    optimizer: int = -1
    call: int = -1
    text: str = ""
    data: str = ""


class Journal(Protocol):
    """Where rows go, in order. Calls return at once; writing may happen later."""

    def add_evaluation(self, row: EvaluationRow) -> None:
        """Take the next evaluation."""

    def add_validation(self, row: ValidationRow) -> None:
        """Take the next validation; the evaluation that it names was taken before."""

    def add_event(self, row: EventRow) -> None:
        """Take the next event."""
