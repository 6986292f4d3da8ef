"""What the values of a store must be so that others can count on them: numbers of rows, codes, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.errors import DamagedStoreError
from optim.journal import EventKind
from optim.outcome import Outcome
from optim.store.layout import EVALUATIONS, EVENTS, OPTIMIZERS, VALIDATIONS, Group

Columns = Mapping[str, NDArray[Any]]
_OUTCOMES = [*Outcome]
_KINDS = {str(kind) for kind in EventKind}


class Sizes(NamedTuple):
    """What values count.

    Attributes:
        start: The first row of those that are looked at.
        evaluations: How many evaluations the run has.
        optimizers: How many optimizers were started.
        workers: How many workers have a name.
    """

    start: int
    evaluations: int
    optimizers: int
    workers: int


def check_values(group: Group, columns: Columns, sizes: Sizes) -> None:
    """See that values which lead elsewhere lead to something.

    Args:
        group: Whose values they are.
        columns: Of some rows; where `best_evaluation` is among them, `best_loss` is, too.
        sizes: Of what they count.

    Raises:
        DamagedStoreError: One does not; the message names the array.
    """
    for name, is_right in _CHECKS.get(group.name, {}).items():
        if name in columns and not np.all(is_right(columns, sizes)):
            raise DamagedStoreError(f"the array {group.name}/{name} has values that no shoal writes")


def _is_outcome(columns: Columns, sizes: Sizes) -> Any:
    return np.isin(columns["outcome"], _OUTCOMES)


def _is_started(columns: Columns, sizes: Sizes) -> Any:
    return (columns["optimizer"] >= 0) & (columns["optimizer"] <= sizes.optimizers)


def _is_worker(columns: Columns, sizes: Sizes) -> Any:
    return (columns["worker"] >= -1) & (columns["worker"] < sizes.workers)


def _is_validated(columns: Columns, sizes: Sizes) -> Any:
    return (columns["evaluation"] >= 1) & (columns["evaluation"] <= sizes.evaluations)


def _is_best(columns: Columns, sizes: Sizes) -> Any:
    best = columns["best_evaluation"]
    return np.where(np.isfinite(columns["best_loss"]), (best >= 1) & (best <= sizes.evaluations), best == -1)


def _is_numbered(columns: Columns, sizes: Sizes) -> Any:
    numbers = columns["number"]
    return numbers == np.arange(len(numbers)) + sizes.start + 1


def _is_kind(columns: Columns, sizes: Sizes) -> Any:
    return all(kind in _KINDS for kind in columns["kind"].tolist())


def _is_object(columns: Columns, sizes: Sizes) -> Any:
    try:
        return all(isinstance(json.loads(text), dict) for text in columns["settings"].tolist())
    except (ValueError, RecursionError):
        return False


_CHECKS: Mapping[str, Mapping[str, Callable[[Columns, Sizes], Any]]] = {
    EVALUATIONS.name: {"optimizer": _is_started, "outcome": _is_outcome, "worker": _is_worker},
    VALIDATIONS.name: {
        "optimizer": _is_started,
        "outcome": _is_outcome,
        "worker": _is_worker,
        "evaluation": _is_validated,
    },
    EVENTS.name: {"kind": _is_kind},
    OPTIMIZERS.name: {"number": _is_numbered, "best_evaluation": _is_best, "settings": _is_object},
}
