"""How busy workers can be, on paper: the bounds of a closed network with one manager and many workers."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from optim.testing.simulation import FREE, Costs

TRACKED = Costs(task_s=0.009, worker_s=0.005)
"""CPU that Prefect and Dask take of the manager and of a worker for each task run: `make bench` prints their sum."""
SERVER_S = 0.008
"""CPU that Prefect's server takes for each task run, as `make bench` prints it."""
AFFORDABLE = 0.05
"""The part of the workers' time that tracking may cost."""

POPSIZE = 20
SPREAD = 0.5
"""Of the logarithm of durations: one loss in forty takes more than 2.6 times as long as the median."""


class Lane(NamedTuple):
    """A way to the workers."""

    name: str
    costs: Costs = FREE
    per_task: int = 1


UNTRACKED = Lane("untracked")
TRACKED_EACH = Lane("a task run each", TRACKED)
CHUNKED = Lane("a task run for 10", TRACKED, 10)
LANES = (UNTRACKED, TRACKED_EACH, CHUNKED)


class Crew(NamedTuple):
    """Who asks, and who evaluates; one optimizer with a `popsize` of 1 is Nelder-Mead, others are CMA-ES."""

    workers: int
    optimizers: int
    popsize: int = POPSIZE
    has_store: bool = False

    @property
    def points(self) -> int:
        """How many may be evaluated at once."""
        return self.optimizers * self.popsize


class Phase(NamedTuple):
    """How evaluations travel for a while, and how long a loss takes on average, in seconds."""

    lane: Lane
    loss_s: float


class Bounds(NamedTuple):
    """What limits the utilisation of workers; the least of them is what the formula expects."""

    workers: float
    points: float
    manager: float

    @property
    def limit(self) -> str:
        """Which is the least."""
        return min(self._fields, key=partial(getattr, self))


def bounds(crew: Crew, phase: Phase, own_s: float) -> Bounds:
    """The bounds of a closed queueing network with one manager and many workers.

    Source: Denning & Buzen, "The operational analysis of queueing network models", Comput. Surv. 10 (1978).
    """
    costs, t = phase.lane.costs, phase.loss_s
    n = per_task(crew, phase.lane)
    straggling = stragglers(crew.popsize, n)
    round_s = straggling * n * t + costs.worker_s + costs.task_s + n * own_s
    return Bounds(
        workers=n * t / (n * t + costs.worker_s),
        points=crew.points / crew.workers * t / round_s,
        manager=t / (crew.workers * (costs.task_s / n + own_s)),
    )


def per_task(crew: Crew, lane: Lane) -> int:
    """Evaluations that a task run carries: no more than an even share of the points for each worker."""
    return min(lane.per_task, math.ceil(crew.points / crew.workers))


@cache
def stragglers(popsize: int, per_task: int) -> float:
    """How much longer the last task of a generation takes than the mean one."""
    tasks = math.ceil(popsize / per_task)
    losses = np.random.default_rng(0).lognormal(-(SPREAD**2) / 2, SPREAD, (20_000, tasks, per_task))
    return float(losses.sum(axis=2).max(axis=1).mean()) / per_task


def affordable_s(workers: int, lane: Lane, own_s: float) -> float:
    """The duration of losses from which on tracking costs little, if there are points enough.

    Workers then lose no more than `AFFORDABLE` of their time to it, neither by their own part nor by waiting for the
    manager, and the server, for which nobody waits, keeps up.
    """
    n, costs = lane.per_task, lane.costs
    return max(
        (1 / AFFORDABLE - 1) * costs.worker_s / n,
        (1 - AFFORDABLE) * workers * (costs.task_s / n + own_s),
        workers * SERVER_S / n,
    )
