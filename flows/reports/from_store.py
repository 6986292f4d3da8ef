"""Snapshots of any run, from its store alone: whoever works on it, wherever, and whether or not it goes on.

Everything that is shown is counted from the rows of the journal, each of which is read once. What a store says may be
hostile: nothing that it names is imported but exit conditions, of those that are installed here.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from flows.reports.recent import LEAST_S, Recent
from flows.reports.report import last_line
from flows.reports.snapshot import (
    MOST_ENDS,
    MOST_LIVING,
    Best,
    ConditionRow,
    EndRow,
    LivingRow,
    Snapshot,
    condition_rows,
    fewer,
    one_line,
    time_left,
)
from optim.combination import Combination
from optim.descent import Descent
from optim.errors import ShoalError
from optim.exit_conditions.base import ExitCondition
from optim.journal import END_KINDS, EventKind
from optim.losses import Losses
from optim.outcome import Outcome
from optim.progress import Standing
from optim.registry import find
from optim.store import EVALUATIONS, EVENTS, VALIDATIONS, Holder, RunFolder, Tail

GONE = "its process is gone"
"""In place of the status: it should be running, and nobody works on it."""
_NOT_HERE = (ShoalError, ValidationError, TypeError, KeyError, ImportError, AttributeError)
"""What it may raise to make an exit condition that is of a package which is not here, or none at all."""
_EVALUATION = ("optimizer", "loss", "outcome", "late", "probe", "started_s", "finished_s", "worker")
_EVENT = ("evaluation", "kind", "optimizer", "text", "data")
_MOST_RECENT = 4096
"""Who worked lately is counted from so many evaluations at most."""
_LOOKS = 64
"""So many looks at the counters are made up from each chunk of evaluations."""


@dataclass(slots=True)
class _Optimizer:
    number: int
    title: str
    started_at: int
    calls: int = 0
    latest_loss: float = math.nan
    best_loss: float = math.inf


class StoreSource:
    """Takes snapshots of a run that somebody else works on.

    Args:
        name: Of the run.
        url: Of its store.
        folder: Of the run, where it is on this file system; None: nobody can tell whether anybody works on it.
        clock: Seconds since the epoch.

    Raises:
        StoreError: There is no run, or what is there is damaged.

    Attributes:
        state: Its status, or `GONE`.
    """

    def __init__(
        self, name: str, url: str, folder: RunFolder | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._name = name
        self._folder = folder
        self._clock = clock
        self._tail = Tail(url)
        self._settings: Any = self._tail.attributes["settings"]
        self._evaluations = self._failures = self._started = self._stopped = 0
        self._stopped_before: list[int] = []
        self._validations = Losses()
        self._best: Best | None = None
        self._descent = Descent()
        self._alive: dict[int, _Optimizer] = {}
        self._suspended: dict[int, _Optimizer] = {}
        self._ends: deque[EndRow] = deque(maxlen=MOST_ENDS)
        self._busy_s = 0.0
        self._latest_s = 0.0
        self._recent = Recent()
        self._recent.note(0.0, 0, 0.0)
        self._lately = np.empty((2, 0))
        self.state = "running"
        self._is_ticking = False
        self._absorb()
        self.look()

    @property
    def reason(self) -> str:
        """Why it ended, or rests."""
        return one_line(self._tail.attributes.get("reason", ""))

    @property
    def is_over(self) -> bool:
        """Nobody works on it any more."""
        return self.state != "running"

    def look(self) -> None:
        """See what has happened since the last look.

        Raises:
            StoreError: The run is gone, or what is there is damaged.
        """
        # the lock first: who ends a run writes how it ended, and then lets go
        holder = self._folder.holder() if self._folder else None
        if self._tail.look():
            self._absorb()
        self.state = one_line(self._tail.attributes["status"])
        self._is_ticking = self.state == "running"
        if holder is not None:
            self._is_ticking &= not self._is_new(holder)
            self.state = "running"  # if its status is another, it is about to end, or to go on
        elif self._folder is not None and self.state == "running":
            self.state, self._is_ticking = GONE, False

    def snapshot(self) -> Snapshot:
        """How it looked at the last look."""
        elapsed_s = self._elapsed_s()
        began_s = min(elapsed_s, self._attribute_s("session_began_s", 0.0))
        standing = Standing(
            self._evaluations,
            self._started,
            len(self._stopped_before),
            self._stopped,
            self._stopped_before,
            self._best.loss if self._best else math.inf,
            self._validations,
            began_s,
            elapsed_s - began_s,
        )
        # what came back since the last commit is not there yet, and no sign that it goes slower
        at_s = elapsed_s if elapsed_s - self._latest_s > LEAST_S else self._latest_s
        rates = self._recent.rates(at_s, self._evaluations, self._busy_s)
        conditions, combination = self._conditions(standing)
        finished_s, workers = self._lately
        return Snapshot(
            self._name,
            one_line(self._tail.attributes["problem"]),
            self.state,
            standing,
            elapsed_s,
            self._failures,
            rates,
            len(np.unique(workers[finished_s >= rates.since_s])),
            None,
            self._best,
            self._descent.steps,
            conditions,
            combination,
            None if self.is_over else time_left(conditions, combination, rates.steady_per_s, elapsed_s),
            len(self._alive),
            [_living_row(optimizer) for optimizer in fewer(self._alive.values(), MOST_LIVING)],
            tuple(self._ends),
        )

    def _elapsed_s(self) -> float:
        """The run's clock: it goes on while somebody works on it."""
        began_at, began_s = self._attribute_s("session_began_at"), self._attribute_s("session_began_s")
        now_s = began_s + self._clock() - began_at
        return max(now_s, self._latest_s) if self._is_ticking and math.isfinite(now_s) else self._latest_s

    def _is_new(self, holder: Holder) -> bool:
        """Whether who holds the run has not begun to work on it: what the store says is of an earlier session."""
        try:
            return datetime.fromisoformat(holder.since).timestamp() > self._attribute_s("session_began_at")
        except ValueError:  # it has not written yet who it is
            return False

    def _attribute_s(self, name: str, otherwise: float = math.nan) -> float:
        value = self._tail.attributes.get(name, otherwise)
        return value if math.isfinite(value) else otherwise

    def _conditions(self, standing: Standing) -> tuple[tuple[ConditionRow, ...], str | None]:
        """The exit conditions, and how they are combined."""
        settings = self._settings if isinstance(self._settings, dict) else {}
        given = settings.get("exit_conditions")
        combination = settings.get("exit_condition_boolean_combination")
        rows: list[ConditionRow] = []
        for block in given if isinstance(given, list) else []:
            try:
                kind = find(ExitCondition, str(block["type"]))  # type: ignore[type-abstract]
                condition = kind.model_validate(block)
            except _NOT_HERE:
                rows.append(ConditionRow(one_line(block), None))
            else:
                rows += condition_rows([condition], standing)
        try:
            combination = combination if isinstance(combination, str) else None
            Combination(combination, len(rows))
        except ShoalError:
            combination = None
        return tuple(row._replace(name=one_line(row.name)) for row in rows), combination

    def _absorb(self) -> None:
        for rows in self._tail.rows(EVENTS, _EVENT):
            for values in zip(*(rows[name].tolist() for name in _EVENT), strict=True):
                self._take_event(*values)
        for rows in self._tail.rows(VALIDATIONS, ("loss", "outcome", "started_s", "finished_s")):
            for loss in _good_losses(rows).tolist():
                self._validations.add(loss)
            self._busy_s += float(_took_s(rows).sum())
        for rows in self._tail.rows(EVALUATIONS, _EVALUATION):
            self._take_evaluations(rows)

    def _take_event(self, evaluation: int, kind: str, number: int, text: str, data: str) -> None:
        if kind == EventKind.SETTINGS_CHANGED:
            self._settings = _object(data).get("settings")
        elif number < 1:
            return
        elif kind == EventKind.SPAWN:
            spawn = _object(data)
            title = one_line(spawn.get("label") or spawn.get("type"))
            self._alive[number] = _Optimizer(number, title, evaluation)
            self._started += 1
        elif kind == EventKind.GOES_ON and number in self._suspended:
            self._alive[number] = self._suspended.pop(number)
        elif kind in END_KINDS and number in self._alive:
            self._end(self._alive.pop(number), evaluation, EventKind(kind), text)

    def _end(self, optimizer: _Optimizer, evaluation: int, kind: EventKind, text: str) -> None:
        if kind is EventKind.EXIT:
            self._suspended[optimizer.number] = optimizer
            return
        if kind is EventKind.CONVERGED:
            self._stopped_before.append(self._stopped)
        elif kind is EventKind.STOPPED:
            self._stopped += 1
        row = EndRow(optimizer.number, optimizer.title, evaluation, kind, one_line(last_line(text)))
        self._ends.appendleft(row)

    def _take_evaluations(self, rows: Mapping[str, NDArray[Any]]) -> None:
        losses = _good_losses(rows)
        self._find_bests(losses, rows["optimizer"])
        self._look_back(rows)
        self._evaluations += len(losses)
        self._failures += int((rows["outcome"] != Outcome.OK).sum())
        is_step = ~rows["late"] & ~rows["probe"]
        by_optimizer = np.argsort(rows["optimizer"], kind="stable")
        numbers, firsts = np.unique(rows["optimizer"][by_optimizer], return_index=True)
        for number, places in zip(numbers.tolist(), np.split(by_optimizer, firsts[1:]), strict=True):
            if optimizer := self._alive.get(number) or self._suspended.get(number):
                steps = places[is_step[places]]
                optimizer.calls += len(steps)
                optimizer.best_loss = min(optimizer.best_loss, float(losses[places].min()))
                if len(steps):
                    optimizer.latest_loss = float(losses[steps[-1]])

    def _find_bests(self, losses: NDArray[np.float64], optimizers: NDArray[Any]) -> None:
        before = self._best.loss if self._best else math.inf
        lowest = np.minimum.accumulate(np.concatenate([[before], losses]))
        for place in np.flatnonzero(lowest[1:] < lowest[:-1]).tolist():
            self._best = Best(float(losses[place]), int(optimizers[place]), self._evaluations + place + 1)
            self._descent.add(self._best.evaluation, self._best.loss)

    def _look_back(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Times: how late it is, how fast it went, and who worked."""
        finished_s = np.where(np.isfinite(rows["finished_s"]), rows["finished_s"], self._latest_s)
        busy_s = self._busy_s + np.cumsum(_took_s(rows))
        at_s = np.maximum.accumulate(finished_s)
        for place in np.unique(np.linspace(0, len(at_s) - 1, _LOOKS, dtype=int)).tolist():
            self._recent.note(float(at_s[place]), self._evaluations + place + 1, float(busy_s[place]))
        self._busy_s, self._latest_s = float(busy_s[-1]), float(at_s[-1])
        lately = np.array([finished_s, rows["worker"]])[:, rows["worker"] >= 0]
        self._lately = np.concatenate([self._lately, lately], axis=1)[:, -_MOST_RECENT:]


def _living_row(optimizer: _Optimizer) -> LivingRow:
    return LivingRow(
        optimizer.number,
        optimizer.title,
        optimizer.started_at,
        optimizer.calls,
        optimizer.latest_loss,
        optimizer.best_loss,
    )


def _good_losses(rows: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """The losses; inf where there is no finite one."""
    is_good = (rows["outcome"] == Outcome.OK) & np.isfinite(rows["loss"])
    return np.where(is_good, rows["loss"], np.inf)


def _took_s(rows: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """How long each took; 0 where nothing ran."""
    took_s = rows["finished_s"] - rows["started_s"]
    return np.where(np.isfinite(took_s) & (took_s > 0), took_s, 0.0)


def _object(text: str) -> dict[str, Any]:
    """A JSON object; empty: it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
