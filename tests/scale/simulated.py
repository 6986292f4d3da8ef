"""Runs with simulated workers: the manager is real, and what it costs is measured while it runs."""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.manager import Manager
from optim.optimizers.base import Optimizer
from optim.optimizers.cmaes import CMAES
from optim.optimizers.scipy import Scipy
from optim.session import Session
from optim.space import Parameter, Space
from optim.stoppers.current_function_value_unmoving import CurrentFunctionValueUnmoving
from optim.stoppers.max_interoptimizer_distance import MaxInteroptimizerDistance
from optim.store.writer import FLUSH_S, RunWriter
from optim.strategy import Strategy
from optim.testing.simulation import Simulation, Totals
from tests.scale.formula import SPREAD, Bounds, Crew, Phase, bounds

DIMENSION = 10
SEED = 7
MEASURED = (2000, 10_000)
"""Evaluations of the shortest and the longest measurement; between them, four for each worker."""


class Row(NamedTuple):
    """One phase, as simulated and by the formula."""

    crew: Crew
    phase: Phase
    totals: Totals

    @property
    def utilisation(self) -> float:
        """The part of their time that workers spent in losses."""
        return self.totals.losses_s / (self.crew.workers * self.totals.elapsed_s)

    @property
    def own_s(self) -> float:
        """What the manager itself took for an evaluation."""
        return self.totals.own_s / self.totals.evaluations

    @property
    def bounds(self) -> Bounds:
        """By the formula."""
        return bounds(self.crew, self.phase, self.own_s)


class Forgotten:
    """A journal that keeps nothing."""

    def _forget(self, row: object) -> None:
        pass

    add_evaluation = add_validation = add_event = _forget


def simulated(
    crew: Crew,
    phases: Iterable[Phase],
    cpu_clock: Callable[[], float] = time.process_time,
) -> Iterator[Row]:
    """Run the phases one after the other, each until it is steady and then long enough to be measured.

    Args:
        crew: The same for all phases.
        phases: Losses that take longer come later, so that nothing of the phase before is left for long.
        cpu_clock: See `Simulation`.
    """
    block: Optimizer = Scipy() if crew.popsize == 1 else CMAES(popsize=crew.popsize)
    strategy = Strategy(
        parallel_optimizers=crew.optimizers,
        optimizers=[block],
        generator=Random(),
        stoppers=[
            CurrentFunctionValueUnmoving(number_of_function_calls=10, tolerance=0.0),
            MaxInteroptimizerDistance(max_relative_distance=1e-9),
        ],
        exit_conditions=[MaxTotalFunctionCalls(max=10**9)],
        baseline=False,
    )
    parameters = [Parameter(name=f"p{k}", initial=0.5, lower=-1.0, upper=2.0) for k in range(DIMENSION)]
    chance = random.Random(SEED)
    least, most = MEASURED
    measured = min(max(4 * crew.workers, least), most)
    simulation = Simulation(crew.workers, lambda: 0.0, cpu_clock=cpu_clock)
    with ExitStack() as stack:
        store = stack.enter_context(_store(parameters)) if crew.has_store else None
        session = Session(Manager(strategy, Space(parameters), SEED), store or Forgotten(), simulation.clock)
        session.begin("the simulation")
        if store:
            session.every(FLUSH_S, lambda _: store.flush())
        for phase in phases:
            mean = math.log(phase.loss_s) - SPREAD**2 / 2
            simulation.duration_s = partial(chance.lognormvariate, mean, SPREAD)
            simulation.costs, simulation.per_task = phase.lane.costs, phase.lane.per_task
            simulation.drive(session, bowl, evaluations=session.in_flight + 2 * crew.workers)
            before = simulation.totals
            simulation.drive(session, bowl, evaluations=measured)
            yield Row(crew, phase, simulation.totals - before)


@contextmanager
def _store(parameters: Sequence[Parameter]) -> Iterator[RunWriter]:
    """One that commits when it is told to, as that is by the simulated clock."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunWriter.create(
            Path(folder, "run.zarr"), parameters, flush_s=1e6, flush_evaluations=10**9
        ) as writer,
    ):
        yield writer


def bowl(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """A loss that costs this process next to nothing; what workers take for it is drawn."""
    return float(((x - 0.3) ** 2).sum())
