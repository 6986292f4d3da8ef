"""Does an evaluation cost more when many optimizers are alive? In-process, without a store."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.in_process import drive
from optim.journal import EvaluationRow, EventRow, ValidationRow
from optim.manager import Manager
from optim.optimizers.scipy import Scipy
from optim.session import Session
from optim.space import Parameter, Space
from optim.stoppers.max_interoptimizer_distance import MaxInteroptimizerDistance
from optim.strategy import Strategy
from tests.bench.measurement import Measurement

ROUNDS = 3
EVALUATIONS = 40_000
OPTIMIZERS = (10, 1000)


class _Nowhere:
    """A journal that keeps nothing."""

    def add_evaluation(self, row: EvaluationRow) -> None:
        pass

    def add_validation(self, row: ValidationRow) -> None:
        pass

    def add_event(self, row: EventRow) -> None:
        pass


def width() -> list[Measurement]:
    """Measure both, in turns."""
    costs_us: dict[int, list[float]] = {alive: [] for alive in OPTIMIZERS}
    for _ in range(ROUNDS):
        for alive in OPTIMIZERS:
            costs_us[alive].append(_cost_us(alive))
    few, many = (f"{alive:,} optimizers alive" for alive in OPTIMIZERS)
    return [
        Measurement(few, costs_us[OPTIMIZERS[0]], "µs for each"),
        Measurement(many, costs_us[OPTIMIZERS[1]], "µs for each", few, at_most=2.0),
    ]


def loss(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """A bowl."""
    return float(x @ x)


def _cost_us(alive: int) -> float:
    """Of an evaluation, once all optimizers have been started."""
    space = Space([Parameter(name=f"p{at}", initial=0.5, lower=-1.0, upper=2.0) for at in range(10)])
    strategy = Strategy(
        baseline=False,
        parallel_optimizers=alive,
        generator=Random(),
        optimizers=(Scipy(),),
        stoppers=(MaxInteroptimizerDistance(max_relative_distance=1e-9),),
        exit_conditions=(MaxTotalFunctionCalls(max=EVALUATIONS),),
    )
    session = Session(Manager(strategy, space, 3), _Nowhere(), time.perf_counter)
    session.begin("benchmark")
    began_s = time.perf_counter()
    drive(session, loss)
    return (time.perf_counter() - began_s) / EVALUATIONS * 1e6
