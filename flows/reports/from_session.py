"""Snapshots of a run that this process works on.

The view's thread takes them, and only reads: the session's own thread does nothing for it but count.
"""

from __future__ import annotations

from collections import deque

from flows.reports.recent import Recent
from flows.reports.report import last_line
from flows.reports.snapshot import (
    MOST_ENDS,
    MOST_LIVING,
    Best,
    EndRow,
    LivingRow,
    Snapshot,
    condition_rows,
    fewer,
    one_line,
    time_left,
)
from optim.journal import END_KINDS, EventKind
from optim.messages import Announce
from optim.session import Session
from optim.views import OptimizerView


class SessionSource:
    """Takes snapshots of a session.

    Args:
        name: Of the run.
        problem: Of the run.
        session: One that has begun.
    """

    def __init__(self, name: str, problem: str, session: Session) -> None:
        self._name = name
        self._problem = problem
        self._session = session
        self._recent = Recent()
        self._note()
        optimizers = session.manager.run.optimizers
        self._alive = {optimizer.number: optimizer for optimizer in optimizers if optimizer.is_alive}
        self._ends: deque[EndRow] = deque(maxlen=MOST_ENDS)

    def listen(self, announce: Announce) -> None:
        """Told of every decision, in the session's thread."""
        number = announce.optimizer
        if number < 1:
            return
        optimizer = self._session.manager.run.optimizers[number - 1]
        if announce.kind not in END_KINDS:
            self._alive[number] = optimizer
        elif announce.kind is not EventKind.EXIT:  # then it is suspended
            self._alive.pop(number, None)
            evaluation = self._session.manager.run.evaluations
            row = EndRow(number, optimizer.title, evaluation, announce.kind, announce.text)
            self._ends.appendleft(row)

    def snapshot(self) -> Snapshot:
        """How it looks now."""
        session = self._session
        run, strategy = session.manager.run, session.manager.strategy
        standing, elapsed_s = session.standing(), session.clock()
        self._note()
        rates = self._recent.rates(elapsed_s, standing.evaluations, session.busy_s)
        conditions = condition_rows(strategy.exit_conditions, standing)
        combination = strategy.exit_condition_boolean_combination
        best = run.best
        alive = tuple(self._alive.values())
        is_ending = bool(session.finish or session.pause or session.halted)
        return Snapshot(
            self._name,
            self._problem,
            "ending" if is_ending else "running",
            standing,
            elapsed_s,
            session.failures,
            rates,
            session.workers,
            session.in_flight,
            Best(best.loss, best.optimizer, best.evaluation) if best else None,
            run.descent.steps,
            conditions,
            combination,
            None if is_ending else time_left(conditions, combination, rates.steady_per_s, elapsed_s),
            len(alive),
            [*map(_living_row, fewer(alive, MOST_LIVING))],
            [
                row._replace(title=one_line(row.title), why=one_line(last_line(row.why)))
                for row in tuple(self._ends)
            ],
        )

    def _note(self) -> None:
        session = self._session
        self._recent.note(session.clock(), session.manager.run.evaluations, session.busy_s)


def _living_row(optimizer: OptimizerView) -> LivingRow:
    return LivingRow(
        optimizer.number,
        one_line(optimizer.title),
        optimizer.started_at,
        optimizer.calls,
        optimizer.latest_loss,
        optimizer.best_loss,
    )
