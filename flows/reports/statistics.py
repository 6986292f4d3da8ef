"""What the optimizers of a run found together: minima, what stoppers saved, validations, values on a bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from optim.minima import group_minima
from optim.outcome import Outcome
from optim.savings import Lengths, lengths_by_label
from optim.space import Space


class MinimumSummary(BaseModel):
    """One minimum, and the optimizers whose best points lie in it.

    Those are at most 0.01 of the unit cube's diagonal from the best of them, and their losses at most 1% (or 1e-6)
    above it. `alive` is how many of the `hits` go on.
    """

    loss: float
    optimizer: int
    evaluation: int
    parameters: dict[str, float]
    hits: int
    alive: int
    hits_by_label: dict[str, int]
    optimizers: list[int]


class LengthSummary(BaseModel):
    """How long optimizers of one label ran; null: there are none, or nothing to compare."""

    stopped: int
    mean_calls_of_stopped: float | None
    ended_by_themselves: int
    mean_calls_of_ended: float | None
    evaluations_saved: float | None


class StopperSummary(BaseModel):
    """What stoppers saved, each optimizer against the average of its own label.

    `evaluations_saved` is never below zero, and null where there is nothing to compare; `not_compared` is how many
    stopped optimizers have a label of which none ended by itself.
    """

    evaluations_saved: float | None
    not_compared: int
    by_label: dict[str, LengthSummary]


class ValidationSummary(BaseModel):
    """Validations; null: none is finite, or the best evaluation was not validated."""

    validations: int
    best_loss: float | None
    best_evaluation: int | None
    loss_at_best_evaluation: float | None


def find_minima(
    rows: Sequence[Mapping[str, Any]], points: NDArray[np.float64], space: Space
) -> list[MinimumSummary]:
    """The minima that optimizers are in with their best points, the lowest first.

    Args:
        rows: Of the table of optimizers.
        points: Of the evaluations, shape (evaluations, space.size), physical units.
        space: That of the run.
    """
    found = [row for row in rows if np.isfinite(row["best_loss"])]
    if not found:
        return []
    best_points = points[[row["best_evaluation"] - 1 for row in found]]
    groups = group_minima(
        np.array([space.to_unit(x) for x in best_points]), np.array([row["best_loss"] for row in found])
    )
    return [_minimum([found[place] for place in group], best_points[group[0]], space) for group in groups]


def _minimum(members: Sequence[Mapping[str, Any]], x: NDArray[np.float64], space: Space) -> MinimumSummary:
    leader = members[0]
    return MinimumSummary(
        loss=leader["best_loss"],
        optimizer=leader["number"],
        evaluation=leader["best_evaluation"],
        parameters=dict(space.named(x)),
        hits=len(members),
        alive=sum(row["end"] == "" for row in members),
        hits_by_label=dict(Counter(row["label"] for row in members)),
        optimizers=sorted(row["number"] for row in members),
    )


def what_stoppers_saved(rows: Sequence[Mapping[str, Any]]) -> StopperSummary:
    """Compare those that were stopped with those that ended by themselves.

    Args:
        rows: Of the table of optimizers.
    """
    by_label = lengths_by_label((row["label"], row["end"], row["evaluations"]) for row in rows)
    saved = [lengths.saved for lengths in by_label.values() if lengths.saved is not None]
    return StopperSummary(
        evaluations_saved=max(0.0, sum(saved)) if saved else None,
        not_compared=sum(lengths.stopped for lengths in by_label.values() if not lengths.ended),
        by_label={label: _length(lengths) for label, lengths in by_label.items()},
    )


def _length(lengths: Lengths) -> LengthSummary:
    return LengthSummary(
        stopped=lengths.stopped,
        mean_calls_of_stopped=lengths.stopped_calls / lengths.stopped if lengths.stopped else None,
        ended_by_themselves=lengths.ended,
        mean_calls_of_ended=lengths.ended_calls / lengths.ended if lengths.ended else None,
        evaluations_saved=lengths.saved,
    )


def summarize_validations(
    validations: Mapping[str, NDArray[Any]], best_evaluation: int | None
) -> ValidationSummary | None:
    """The best validation, and that of the best evaluation; None: there are no validations."""
    numbers = validations["evaluation"]
    if not numbers.size:
        return None
    losses = np.where(validations["outcome"] == Outcome.OK, validations["loss"], np.nan)
    losses = np.where(np.isfinite(losses), losses, np.inf)
    lowest = int(losses.argmin())
    has_best = bool(np.isfinite(losses[lowest]))
    at_best = losses[(numbers == best_evaluation) & np.isfinite(losses)]
    return ValidationSummary(
        validations=losses.size,
        best_loss=float(losses[lowest]) if has_best else None,
        best_evaluation=int(numbers[lowest]) if has_best else None,
        loss_at_best_evaluation=float(at_best[-1]) if at_best.size else None,
    )
