"""A driver with simulated workers and a simulated clock: hours of ten thousand workers, in seconds.

The session, and the manager in it, are real. Workers take no time but that of a clock that is moved on, so a run is the
same each time, unless the manager's own cost is measured while it goes on.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from optim.chunks import chunk_size, places_for
from optim.evaluation import evaluate_loss
from optim.messages import Evaluated, Submit, Validated
from optim.problem import Loss
from optim.session import Session

PER_WORKER = 2
"""Task runs at once for each worker: one that runs and one that waits, as on Dask."""


class Costs(NamedTuple):
    """What an evaluation costs besides the loss, seconds.

    Attributes:
        task_s: Of the manager's process, for each task run, before it is on its way.
        worker_s: Of the worker, for each task run, before its first loss.
        evaluation_s: Of the manager's process, for each result.
    """

    task_s: float = 0.0
    worker_s: float = 0.0
    evaluation_s: float = 0.0


FREE = Costs()
"""Nothing but the loss takes time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Totals:
    """What has been done until some moment; the difference of two is what was done between them.

    Attributes:
        evaluations: Results that were handed back.
        tasks: Task runs that carried them.
        elapsed_s: By the simulated clock.
        losses_s: How long all workers together were busy with losses, also with those that are not back yet.
        manager_s: How long the manager's process was busy.
        own_s: The part of it that was not for task runs.
    """

    evaluations: int = 0
    tasks: int = 0
    elapsed_s: float = 0.0
    losses_s: float = 0.0
    manager_s: float = 0.0
    own_s: float = 0.0

    def __sub__(self, earlier: Totals) -> Totals:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(earlier), strict=True)
        return Totals(*(mine - its for mine, its in pairs))


class _Task(NamedTuple):
    """A task run that is out; the first to come back sorts first, and of several the one that was sent first."""

    back_s: float
    number: int
    results: list[Evaluated | Validated]


class Simulation:
    """Workers, and the clock that their session is given.

    The manager's process does one thing at a time: it sends what there is, as long as the workers can be given more,
    then takes the first task run that is back. Each goes to the worker that is free first, and carries what
    `optim.chunks` says.

    Args:
        workers: How many.
        duration_s: How long the next loss takes, seconds.
        costs: Besides the losses.
        per_task: Evaluations in one task run, at most.
        cpu_clock: Seconds that this process has worked, as `time.process_time`: what the session costs is measured, and
            the simulated manager is busy for as long. By default it costs what `costs` says.

    Attributes:
        duration_s: As given; what is sent from now on may take longer, cost more or travel in other company.
        costs: As given.
        per_task: As given.
    """

    def __init__(
        self,
        workers: int,
        duration_s: Callable[[], float],
        costs: Costs = FREE,
        per_task: int = 1,
        cpu_clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._now_s = 0.0
        self.duration_s = duration_s
        self.costs = costs
        self.per_task = per_task
        self._cpu_clock = cpu_clock
        self._workers = workers
        self._free = [(0.0, worker) for worker in range(workers)]
        self._out: list[_Task] = []
        self._sent = self._evaluations = self._tasks = 0
        self._losses_s = self._manager_s = self._own_s = 0.0

    def clock(self) -> float:
        """The simulated time, seconds; for the session."""
        return self._now_s

    @property
    def totals(self) -> Totals:
        """What has been done by now."""
        still_s = sum(
            max(0.0, result.finished_s - max(result.started_s, self._now_s))
            for task in self._out
            for result in task.results
        )
        return Totals(
            self._evaluations,
            self._tasks,
            self._now_s,
            self._losses_s - still_s,
            self._manager_s,
            self._own_s,
        )

    def drive(
        self, session: Session, loss: Loss, validation: Loss | None = None, evaluations: float = math.inf
    ) -> None:
        """Evaluate what the session asks for, until nothing is left to do; or until enough is done, to go on later.

        Args:
            session: One that has begun; its clock is ours.
            loss: Called with points in physical units.
            validation: The validation loss; None: it is the loss.
            evaluations: At least so many more results are handed back.
        """
        enough = self._evaluations + evaluations
        while self._evaluations < enough:
            while submits := self._next(session):
                self._send(submits, loss, validation or loss)
            if not self._out:
                return
            self._take(session, heapq.heappop(self._out))

    def _next(self, session: Session) -> list[Submit]:
        began_s = self._cpu_clock()
        submits = list(islice(iter(session.next, None), self._size(session)))
        self._spend(self._cpu_clock() - began_s)
        return submits

    def _size(self, session: Session) -> int:
        waiting, in_flight = session.waiting, session.in_flight
        places = places_for(waiting + in_flight, self.per_task, PER_WORKER * self._workers, self._workers)
        free = places - len(self._out)
        return chunk_size(waiting, in_flight, free, places, self.per_task) if waiting and free > 0 else 0

    def _send(self, submits: list[Submit], loss: Loss, validation: Loss) -> None:
        self._now_s += self.costs.task_s
        self._manager_s += self.costs.task_s
        free_s, worker = self._free[0]
        at_s = began_s = max(self._now_s, free_s) + self.costs.worker_s
        results: list[Evaluated | Validated] = []
        for submit in submits:
            function = validation if submit.validates else loss
            started_s, at_s = at_s, at_s + self.duration_s()
            result = evaluate_loss(function, submit.x)
            results.append(submit.came_to(result, started_s, at_s, f"worker {worker}"))
        heapq.heapreplace(self._free, (at_s, worker))
        heapq.heappush(self._out, _Task(at_s, self._sent, results))
        self._sent += 1
        self._losses_s += at_s - began_s

    def _take(self, session: Session, task: _Task) -> None:
        self._now_s = max(self._now_s, task.back_s)
        for result in task.results:
            began_s = self._cpu_clock()
            session.hand_back(result)
            session.tick()
            self._spend(self._cpu_clock() - began_s + self.costs.evaluation_s)
        self._evaluations += len(task.results)
        self._tasks += 1

    def _spend(self, seconds: float) -> None:
        self._now_s += seconds
        self._manager_s += seconds
        self._own_s += seconds
