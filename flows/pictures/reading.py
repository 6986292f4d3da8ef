"""A run as plain numbers that are few enough to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.pictures.loss_scale import LossScale
from flows.pictures.thinning import thinned
from flows.reports.statistics import MinimumSummary, find_minima
from flows.reports.summary import optimizer_rows
from optim.journal import EventKind
from optim.outcome import Outcome
from optim.printable import printable
from optim.space import Parameter, Space
from optim.store import EVALUATIONS, EVENTS, VALIDATIONS, RunReader

MOST_LOSSES = 120_000
"""About so many points the curves of losses have together."""
MOST_VALUES = 400_000
"""About so many values of parameters are drawn, of all optimizers and parameters together ..."""
MOST_POINTS = 50_000
"""... and of so many points."""

Columns = Mapping[str, NDArray[Any]]


class DrawnOptimizer(NamedTuple):
    """One optimizer; text as a terminal may show it.

    Attributes:
        number: From 1.
        label: What its settings are called.
        start: How many evaluations the run had when it was started.
        end: How it ended, as in the store; empty: it is alive.
        end_evaluation: How many evaluations the run had when it ended; None: it is alive.
        reason: Why it ended.
        evaluations: How many it made.
        best_loss: nan: none is finite.
        minimum: The place of the minimum that it is in, from 0; -1: it has no finite loss.
    """

    number: int
    label: str
    start: int
    end: str
    end_evaluation: int | None
    reason: str
    evaluations: int
    best_loss: float
    minimum: int


class Mark(NamedTuple):
    """Something that happened to the run.

    Attributes:
        kind: A session ended, another one began, or a person interfered.
        evaluation: How many evaluations there were.
        text: What a person reads.
    """

    kind: Literal["checkpoint", "resume", "intervention"]
    evaluation: int
    text: str


class Curve(NamedTuple):
    """Losses against evaluations.

    Attributes:
        evaluations: Their numbers, ascending.
        losses: Shape as `evaluations`.
    """

    evaluations: NDArray[np.int64]
    losses: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """Evaluations of many optimizers: those of one after those of the other, each closed by a row of gaps.

    Attributes:
        optimizers: Whose they are, shape (n,).
        evaluations: Their numbers, shape (n,).
        losses: Shape (n,); nan: a gap.
        scaled: Free parameters in the unit cube, shape (n, free parameters) or (n, 0); nan: a gap.
    """

    optimizers: NDArray[np.int32]
    evaluations: NDArray[np.int32]
    losses: NDArray[np.float64]
    scaled: NDArray[np.float32]

    def at(self, places: NDArray[Any]) -> Points:
        """Only those at some places."""
        return Points(
            self.optimizers[places], self.evaluations[places], self.losses[places], self.scaled[places]
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """What pictures of a run show.

    Attributes:
        name: Of the run.
        problem: What it is about.
        status: As in the store.
        reason: Why it has that status; may be empty.
        evaluations: How many there are.
        failures: How many of them have no usable loss.
        optimizers: Number 1 first.
        scale: Of all losses.
        curves: The losses of the optimizers, the baseline as optimizer 0.
        paths: Fewer points, with parameters.
        parameters: The free ones.
        validations: Validation losses, by optimizer as in `curves`.
        best: Each new best, and the last evaluation.
        best_validation: Each new lowest validation loss, and the last evaluation.
        alive: Evaluations and, from there on, the number of optimizers that are alive.
        marks: In order.
        minima: The lowest first.
    """

    name: str
    problem: str
    status: str
    reason: str
    evaluations: int
    failures: int
    optimizers: tuple[DrawnOptimizer, ...]
    scale: LossScale
    curves: Points
    paths: Points
    parameters: tuple[Parameter, ...]
    validations: Points
    best: Curve
    best_validation: Curve
    alive: tuple[NDArray[np.int64], NDArray[np.int64]]
    marks: tuple[Mark, ...]
    minima: tuple[MinimumSummary, ...]

    @property
    def icon_places(self) -> dict[int, tuple[int, float]]:
        """Where the end of each optimizer is marked: at the last point of its curve.

        An optimizer of whose losses none can be drawn has its icon at the top; one without evaluations has none.
        """
        y = self.scale.place(self.curves.losses)
        drawn = np.flatnonzero(~np.isnan(y))
        top = float(y[drawn].max()) if drawn.size else 1.0
        ends = drawn[np.flatnonzero(np.diff(self.curves.optimizers[drawn], append=-1))]
        last = {
            int(self.curves.optimizers[end]): (int(self.curves.evaluations[end]), float(y[end]))
            for end in ends
        }
        return {
            one.number: last.get(one.number, (one.end_evaluation or self.evaluations, top))
            for one in self.optimizers
            if one.evaluations
        }


def read_picture(name: str, reader: RunReader) -> Picture:
    """Read what pictures of a run show; works while it is being written.

    Args:
        name: Of the run.
        reader: Of the run.

    Raises:
        DamagedStoreError: A chunk is missing or damaged.
        SpaceError: A best point is outside the bounds.
    """
    attributes, space = reader.attributes, reader.space()
    evaluations, validations = reader.columns(EVALUATIONS), reader.columns(VALIDATIONS)
    losses, validation_losses = _usable(evaluations), _usable(validations)
    numbers = np.arange(1, len(losses) + 1)
    rows = optimizer_rows(reader)
    minima = find_minima(rows, evaluations["x"], space)
    places = thinned(evaluations["optimizer"], losses, MOST_LOSSES)
    most_points = min(MOST_POINTS, MOST_VALUES // len(space.free))
    path_places = thinned(evaluations["optimizer"], losses, most_points)
    path_places = path_places[evaluations["optimizer"][path_places] > 0]
    validated = np.argsort(validations["evaluation"], kind="stable")
    validations = {name: values[validated] for name, values in validations.items()}
    validation_losses = validation_losses[validated]
    validation_places = thinned(validations["optimizer"], validation_losses, MOST_LOSSES)
    status = printable(str(attributes["status"]))
    return Picture(
        name=printable(name),
        problem=printable(str(attributes["problem"])),
        status=status,
        reason=printable(str(attributes.get("reason", ""))),
        evaluations=len(losses),
        failures=int((evaluations["outcome"] != Outcome.OK).sum()),
        optimizers=_optimizers(rows, minima),
        scale=LossScale.of(np.append(losses, validation_losses)),
        curves=_points(evaluations["optimizer"], numbers, losses, places),
        paths=_points(evaluations["optimizer"], numbers, losses, path_places, evaluations["x"], space),
        parameters=tuple(space.free),
        validations=_points(
            validations["optimizer"], validations["evaluation"], validation_losses, validation_places
        ),
        best=_running_best(numbers, losses, len(losses)),
        best_validation=_running_best(validations["evaluation"], validation_losses, len(losses)),
        alive=_alive(rows, len(losses)),
        marks=_marks(reader, status, len(losses)),
        minima=tuple(minima),
    )


def _usable(columns: Columns) -> NDArray[np.float64]:
    """The losses that count, else nan."""
    is_usable = (columns["outcome"] == Outcome.OK) & np.isfinite(columns["loss"])
    return np.where(is_usable, columns["loss"], np.nan)


def _optimizers(
    rows: Sequence[Mapping[str, Any]], minima: Sequence[MinimumSummary]
) -> tuple[DrawnOptimizer, ...]:
    minimum_of = {number: place for place, minimum in enumerate(minima) for number in minimum.optimizers}
    return tuple(
        DrawnOptimizer(
            row["number"],
            row["label"],
            row["start_evaluation"],
            row["end"],
            row["end_evaluation"] if row["end"] else None,
            row["reason"],
            row["evaluations"],
            row["best_loss"],
            minimum_of.get(row["number"], -1),
        )
        for row in rows
    )


def _points(
    optimizers: NDArray[np.integer],
    evaluations: NDArray[np.integer],
    losses: NDArray[np.float64],
    places: NDArray[np.intp],
    x: NDArray[np.float64] | None = None,
    space: Space | None = None,
) -> Points:
    """The points at some places, with a row of gaps where the next optimizer begins."""
    owners = optimizers[places]
    ends = np.flatnonzero(np.diff(owners, append=-2)) + 1
    scaled = np.empty((len(places), 0))
    if x is not None and space is not None:
        scaled = _scaled(x[places][:, [space.names.index(one.name) for one in space.free]], space.free)
        scaled[np.isnan(losses[places])] = np.nan
    return Points(
        np.insert(owners, ends, owners[ends - 1]).astype(np.int32),
        np.insert(evaluations[places], ends, evaluations[places][ends - 1]).astype(np.int32),
        np.insert(losses[places], ends, np.nan),
        np.insert(scaled, ends, np.nan, axis=0).astype(np.float32),
    )


def _scaled(x: NDArray[np.float64], parameters: Sequence[Parameter]) -> NDArray[np.float64]:
    """Many points in the unit cube.

    Args:
        x: Physical values, shape (n, len(parameters)).
        parameters: With their bounds.
    """
    scaled = np.empty(x.shape)
    for at, parameter in enumerate(parameters):
        values = np.array([parameter.lower, parameter.upper, *x[:, at]], dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            low, high, *_ = values = np.log(values) if parameter.scale == "log" else values
            scaled[:, at] = (values[2:] - low) / (high - low)
    return scaled


def _running_best(evaluations: NDArray[np.integer], losses: NDArray[np.float64], last: int) -> Curve:
    usable = np.where(np.isnan(losses), np.inf, losses)
    best = np.minimum.accumulate(usable) if usable.size else usable
    is_new = best < np.append(np.inf, best)[:-1]
    found = Curve(evaluations[is_new].astype(np.int64), best[is_new])
    if not found.losses.size or found.evaluations[-1] == last:
        return found
    return Curve(np.append(found.evaluations, last), np.append(found.losses, found.losses[-1]))


def _alive(rows: Sequence[Mapping[str, Any]], last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = [row["start_evaluation"] for row in rows]
    ends = [row["end_evaluation"] for row in rows if row["end"]]
    changes = np.array([1] * len(starts) + [-1] * len(ends), dtype=np.int64)
    at, where = np.unique(np.array([*starts, *ends, last], dtype=np.int64), return_inverse=True)
    counts = np.cumsum(np.bincount(where[:-1], changes, minlength=len(at)).astype(np.int64))
    return at, counts


_MARKS: dict[str, Literal["checkpoint", "resume", "intervention"]] = {
    EventKind.SESSION_START: "resume",
    EventKind.TIME_UP: "checkpoint",
    EventKind.INTERVENTION: "intervention",
    EventKind.SETTINGS_CHANGED: "intervention",
}


def _marks(reader: RunReader, status: str, last: int) -> tuple[Mark, ...]:
    events = reader.columns(EVENTS)
    found = []
    is_first = True
    for place in np.flatnonzero(np.isin(events["kind"].astype(str), list(map(str, _MARKS)))).tolist():
        kind = events["kind"][place]
        if kind == EventKind.SESSION_START and is_first:
            is_first = False
            continue
        text = printable(events["text"][place]) or str(kind)
        found.append(Mark(_MARKS[kind], int(events["evaluation"][place]), text))
    if status == "paused":
        found.append(Mark("checkpoint", last, printable(str(reader.attributes.get("reason", "")))))
    return tuple(found)
