"""What goes into the manager (events) and what comes out of it (commands)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.evaluation import LossResult
from optim.journal import EventKind
from optim.outcome import Outcome
from optim.steering import Intervention

if TYPE_CHECKING:  # it loads every policy, and whoever evaluates needs none
    from optim.strategy import Strategy

BASELINE = 0
"""The number under which the loss at the initial values is evaluated; it is nobody's."""


class SessionStart(NamedTuple):
    """A process begins, or goes on, to work on the run."""


class Evaluated(NamedTuple):
    """The result of one evaluation.

    Attributes:
        optimizer: Whose point it was; 0: the baseline.
        call: The optimizer's own number of it.
        outcome: How it ended.
        loss: What the loss function returned; nan where it returned no number.
        started_s: When the loss began, in seconds since the run began.
        finished_s: When it ended.
        worker: The process that ran it.
        attempts: How often it was tried.
        text: What a person should know of a failure.
        x: Where it was evaluated, physical units, shape (size,); None: exactly where the optimizer asks.
    """

    optimizer: int
    call: int
    outcome: Outcome
    loss: float
    started_s: float = float("nan")
    finished_s: float = float("nan")
    worker: str = ""
    attempts: int = 1
    text: str = ""
    x: NDArray[np.float64] | None = None


class Validated(NamedTuple):
    """The validation loss at a point that was evaluated before; attributes as in `Evaluated`."""

    optimizer: int
    call: int
    outcome: Outcome
    loss: float
    started_s: float = float("nan")
    finished_s: float = float("nan")
    worker: str = ""
    attempts: int = 1
    text: str = ""


class TimeUp(NamedTuple):
    """The time of an exit condition (its place, from 0) has passed."""

    condition: int


class Dropped(NamedTuple):
    """A submission was cancelled before it ran."""

    optimizer: int
    call: int


class SettingsChanged(NamedTuple):
    """Somebody changed the rules; a run that had ended may go on by the new ones."""

    strategy: Strategy


class PastAccepted(NamedTuple):
    """Somebody accepts that an optimizer does not repeat itself: its past is what the journal says (`optim.past`)."""

    optimizer: int


Event = (
    SessionStart | Evaluated | Validated | TimeUp | Dropped | SettingsChanged | PastAccepted | Intervention
)


class Submit(NamedTuple):
    """Evaluate a loss for that call of that optimizer.

    Attributes:
        optimizer: Whose point it is; 0: the baseline.
        call: The optimizer's own number of it.
        x: Physical units of all parameters, shape (size,).
        point: The same in the unit cube, shape (dimension,).
        is_probe: A finite-difference point.
        validates: Number of the evaluation at whose point the validation loss is wanted; 0: it is the loss itself.
    """

    optimizer: int
    call: int
    x: NDArray[np.float64]
    point: NDArray[np.float64]
    is_probe: bool = False
    validates: int = 0

    def answered(
        self,
        outcome: Outcome,
        loss: float,
        started_s: float,
        finished_s: float,
        worker: str,
        attempts: int = 1,
        text: str = "",
    ) -> Evaluated | Validated:
        """What came of it; arguments as in `Evaluated`."""
        kind = Validated if self.validates else Evaluated
        return kind(self.optimizer, self.call, outcome, loss, started_s, finished_s, worker, attempts, text)

    def came_to(
        self, result: LossResult, started_s: float, finished_s: float, worker: str
    ) -> Evaluated | Validated:
        """What came of one call of the loss; arguments as in `Evaluated`."""
        outcome, loss, text, *_ = result
        kind = Validated if self.validates else Evaluated
        return kind(self.optimizer, self.call, outcome, loss, started_s, finished_s, worker, 1, text)


class Cancel(NamedTuple):
    """Do not begin this evaluation, if it has not begun; answered by `Dropped` or, too late, `Evaluated`."""

    optimizer: int
    call: int


class Announce(NamedTuple):
    """A decision: an optimizer was started or has ended (`optimizer` > 0), or the run ends.

    Attributes:
        kind: What was decided.
        optimizer: Whom it concerns; -1: the run.
        text: What a person reads.
        data: Details, in JSON types.
    """

    kind: EventKind
    optimizer: int
    text: str
    data: Mapping[str, Any] = MappingProxyType({})


class Pause(NamedTuple):
    """A time limit or a person ends the session, not the run: submit nothing more until the next session starts.

    Attributes:
        reason: Why, on one line.
        conditions: The exit conditions as they stood, one to a line; empty: another reason.
    """

    reason: str
    conditions: tuple[str, ...] = ()


class Finish(NamedTuple):
    """The run has ended: hand in what still runs, submit nothing more.

    Attributes:
        reason: Why, on one line.
        failed: True when it ended because nothing works.
        conditions: The exit conditions as they stood, one to a line; empty: another reason.
    """

    reason: str
    failed: bool = False
    conditions: tuple[str, ...] = ()


Command = Submit | Cancel | Announce | Pause | Finish
