"""A loss that keeps a processor busy for 20 ms, on two processes: shoal's, and a plain loop in each of two.

The loss is busy for 20 ms of processor time, however fast the processor is just now: on a shared machine the same work
takes twice as long from one second to the next.
"""

from __future__ import annotations

import tempfile
import time
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np

import shoal
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.optimizers.scipy import Scipy
from tests.bench.measurement import Measurement

ROUNDS = 3
PROCESSES = 2
OPTIMIZERS = 10
EVALUATIONS = 400
WARM_UP = 20
"""Evaluations before the clock starts: processes start, and import."""
LOSS_S = 0.02
PLAIN = "a loop of a 20 ms loss in each of two processes"


def loss(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """A bowl that takes its time."""
    be_busy(LOSS_S)
    return float((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)


def be_busy(seconds: float) -> None:
    """Compute for so long, in processor time."""
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


def pool() -> list[Measurement]:
    """Measure both, in turns."""
    plain, ours = [], []
    for _ in range(ROUNDS):
        plain.append(ideal_rate(LOSS_S, EVALUATIONS))
        ours.append(_our_rate())
    return [
        Measurement(PLAIN, plain),
        Measurement("shoal with two processes, the same loss", ours, reference=PLAIN, at_least=0.95),
    ]


def ideal_rate(loss_s: float, evaluations: int) -> float:
    """Evaluations per second of a plain loop in each of two processes.

    Args:
        loss_s: Processor time of each, seconds.
        evaluations: Of both together.
    """
    context = get_context("spawn")
    ready, spans = context.Barrier(PROCESSES), context.SimpleQueue()
    for _ in range(PROCESSES):
        arguments = (loss_s, evaluations // PROCESSES, ready, spans)
        context.Process(target=_loop, args=arguments, daemon=True).start()
    began_s, ended_s = zip(*(spans.get() for _ in range(PROCESSES)), strict=True)
    return evaluations / (max(ended_s) - min(began_s))


def _loop(loss_s: float, evaluations: int, ready: Barrier, spans: SimpleQueue[tuple[float, float]]) -> None:
    ready.wait()
    began_s = time.time()
    for _ in range(evaluations):
        be_busy(loss_s)
    spans.put((began_s, time.time()))


def _our_rate() -> float:
    with tempfile.TemporaryDirectory() as folder:
        found = shoal.run(
            "tests.bench.pool:loss",
            seed=3,
            parameters=[shoal.Parameter(name=name, initial=0.5, lower=-1.0, upper=2.0) for name in "ab"],
            parallel_optimizers=OPTIMIZERS,
            generator=Random(),
            optimizers=[Scipy()],
            exit_conditions=[MaxTotalFunctionCalls(max=WARM_UP + EVALUATIONS)],
            evaluation={"processes": PROCESSES},
            store={"location": folder},
        )
        ended_s = shoal.open_run(f"{folder}/{found.name}").evaluations()["finished_s"].values
    return EVALUATIONS / float(ended_s[-1] - ended_s[WARM_UP - 1])
