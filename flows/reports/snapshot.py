"""What there is to see of a run at one moment: the same, whether it comes from the living session or from the store."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from flows.durations import in_words
from flows.reports.recent import Rates
from optim.combination import Combination
from optim.descent import Step
from optim.exit_conditions.base import ExitCondition
from optim.printable import printable
from optim.progress import EVALUATIONS, SECONDS, Progress, Standing

LINE_EVERY_S = 5.0
"""Without a terminal, there is a line of progress this often."""
MOST_LIVING = 100
"""So many living optimizers are in a snapshot, those with the best losses."""
MOST_ENDS = 50
"""So many of the latest ends."""
LEAST_COUNT = 10
"""From fewer optimizers, or whatever else is counted, nobody can tell how fast they come."""

LONGEST_S = 100 * 365 * 86400.0
"""Of what takes longer nobody wants to know when it ends."""
MOST_TEXT = 1000
"""Of longer text from elsewhere nobody sees the end."""
HUGE = 1e100
"""As good as any larger number, which may be too large to count with."""


class LivingRow(NamedTuple):
    """An optimizer that is alive; losses are inf or nan where there is none."""

    number: int
    title: str
    started_at: int
    calls: int
    latest_loss: float
    best_loss: float


class EndRow(NamedTuple):
    """An optimizer that has ended, when (by the run's evaluations), how and why."""

    number: int
    title: str
    evaluation: int
    how: str
    why: str


class Best(NamedTuple):
    """The lowest finite loss, whose it is (0: that of the initial values) and which evaluation."""

    loss: float
    optimizer: int
    evaluation: int


class ConditionRow(NamedTuple):
    """An exit condition, and how far it is; None: it cannot tell."""

    name: str
    progress: Progress | None


class TimeLeft(NamedTuple):
    """When the run will probably end.

    Attributes:
        seconds: From now on.
        by: The condition that will be met then, and what the estimate is made from.
    """

    seconds: float
    by: str

    def __str__(self) -> str:
        return f"about {in_words(self.seconds)} left, by {self.by}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        name: Of the run.
        problem: Of the run.
        state: In a word or two, as `running`.
        standing: Counts and times.
        elapsed_s: The run's clock.
        failures: How many evaluations failed.
        rates: How fast it goes.
        workers: How many losses can be evaluated at once, or how many workers did lately.
        in_flight: How many evaluations are out; None: nobody can tell.
        best: The lowest finite loss.
        descent: How it came down.
        conditions: The exit conditions, in order.
        combination: How they are combined, as it was set; None: any of them is enough.
        left: When it will probably end; None: nobody can tell.
        alive: How many optimizers are alive.
        living: Those of them with the best losses, by number.
        ends: Of the latest, the last one first.
    """

    name: str
    problem: str
    state: str
    standing: Standing
    elapsed_s: float
    failures: int
    rates: Rates
    workers: int
    in_flight: int | None
    best: Best | None
    descent: Sequence[Step]
    conditions: tuple[ConditionRow, ...]
    combination: str | None
    left: TimeLeft | None
    alive: int
    living: Sequence[LivingRow]
    ends: Sequence[EndRow]


def condition_rows(conditions: Iterable[ExitCondition], standing: Standing) -> tuple[ConditionRow, ...]:
    """How far each exit condition is."""
    return tuple(ConditionRow(one.printed, one.progress(standing)) for one in conditions)


def time_left(
    conditions: Sequence[ConditionRow], combination: str | None, per_s: float | None, elapsed_s: float
) -> TimeLeft | None:
    """When the exit conditions will probably end the run.

    Time passes, evaluations come as fast as lately, and whatever else is counted as fast as over the whole run. What
    nobody can tell, as when the loss is low enough, may end the run before; where it must, this is None.

    Args:
        conditions: How far each is.
        combination: How they are combined.
        per_s: Evaluations each second, lately.
        elapsed_s: How long the run was worked on.
    """
    estimates = [_left(row.progress, per_s, elapsed_s) for row in conditions]
    seconds = Combination(combination, len(estimates)).true_from([left for left, _ in estimates])
    if seconds > LONGEST_S:
        return None
    place = next(place for place, (left, _) in enumerate(estimates) if left == seconds)
    name, how = conditions[place].name.partition("(")[0], estimates[place][1]
    return TimeLeft(seconds, f"{name} {how}".rstrip())


def _left(progress: Progress | None, per_s: float | None, elapsed_s: float) -> tuple[float, str]:
    """In seconds, and from which speed; inf: nobody can tell."""
    if progress is None or progress.of is None:
        return math.inf, ""
    missing = max(0.0, min(progress.of, HUGE) - progress.done)
    if progress.counts == SECONDS:
        return missing, ""
    if progress.counts != EVALUATIONS:
        is_enough = progress.done >= LEAST_COUNT and elapsed_s > 0
        per_s = progress.done / elapsed_s if is_enough else None
    return (missing / per_s, f"at {speed(per_s)}") if per_s else (math.inf, "")


def speed(per_s: float) -> str:
    """A number that is easy to read: 32/s, 4.5/min, 1.2/h."""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if per_s * seconds >= 1 or unit == "h":
            break
    number = per_s * seconds
    return f"{number:,.0f}/{unit}" if number >= 10 else f"{number:.2g}/{unit}"


class _HasLoss(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def best_loss(self) -> float: ...


_Row = TypeVar("_Row", bound=_HasLoss)


def fewer(rows: Iterable[_Row], most: int) -> list[_Row]:
    """At most so many optimizers, those with the best losses, by number."""
    chosen = heapq.nsmallest(most, rows, key=lambda row: (row.best_loss, row.number))
    return sorted(chosen, key=lambda row: row.number)


def one_line(text: object) -> str:
    """Text from elsewhere as a part of a line."""
    return " ".join(printable(str(text)[:MOST_TEXT]).split())


def loss_text(loss: float) -> str:
    """A loss, to six digits."""
    return f"{loss:.6g}" if math.isfinite(loss) else "none"


def owner_text(optimizer: int) -> str:
    """Whose a loss is."""
    return f"optimizer {optimizer}" if optimizer else "the initial values"


def progress_line(snapshot: Snapshot) -> str:
    """Evaluations, speed, best loss, how many are alive and when it will end, on one line."""
    standing, best = snapshot.standing, snapshot.best
    facts = [] if snapshot.rates.per_s is None else [speed(snapshot.rates.per_s)]
    if snapshot.failures:
        facts.append(f"{snapshot.failures} failed")
    how = f" ({', '.join(facts)})" if facts else ""
    found = f"best {best.loss:.6g} by {owner_text(best.optimizer)}" if best else "no finite loss yet"
    if len(standing.validations):
        lowest = standing.validations.lowest_until(len(standing.validations))
        found += f", lowest validation loss {loss_text(lowest)}"
    left = f"; {snapshot.left}" if snapshot.left else ""
    return (
        f"{standing.evaluations} evaluations{how}, {found}, {snapshot.alive} alive of {standing.started} started,"
        f" {standing.converged} converged, {standing.stopped} stopped{left}"
    )
