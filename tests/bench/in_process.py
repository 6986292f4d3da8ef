"""The in-process lane beside plain SciPy: Nelder-Mead on a bowl of two dimensions, stoppers and store on."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import numpy as np
from scipy.optimize import minimize

import shoal
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.optimizers.base import Optimizer
from optim.optimizers.random_sampling import RandomSampling
from optim.optimizers.scipy import Scipy
from optim.stoppers.current_function_value_unmoving import CurrentFunctionValueUnmoving
from optim.stoppers.max_interoptimizer_distance import MaxInteroptimizerDistance
from tests.bench.measurement import Measurement

ROUNDS = 3
EVALUATIONS = 50_000
PLAIN = "plain SciPy, Nelder-Mead in 2 dimensions"


def loss(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """A bowl."""
    return float((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)


def in_process() -> list[Measurement]:
    """Measure both, in turns."""
    plain, ours, sampling = [], [], []
    for _ in range(ROUNDS):
        plain.append(_plain_rate())
        ours.append(_our_rate(Scipy()))
        sampling.append(_our_rate(RandomSampling(number_of_samples=EVALUATIONS)))
    return [
        Measurement(PLAIN, plain),
        Measurement("shoal in-process, with stoppers and store", ours, reference=PLAIN, at_least=0.3),
        Measurement("shoal in-process, RandomSampling, with store", sampling, at_least=20_000),
    ]


def _plain_rate() -> float:
    done, began = 0, time.perf_counter()
    while done < EVALUATIONS:
        done += minimize(loss, [0.9, 0.1], method="Nelder-Mead", bounds=[(0, 1)] * 2).nfev
    return done / (time.perf_counter() - began)


def _our_rate(optimizer: Optimizer) -> float:
    problem = shoal.Problem(
        loss, [shoal.Parameter(name=name, initial=0.5, lower=-1.0, upper=2.0) for name in "ab"], "bowl"
    )
    with tempfile.TemporaryDirectory() as folder:
        found = shoal.run(
            problem,
            seed=3,
            parallel_optimizers=5,
            generator=Random(),
            optimizers=[optimizer],
            stoppers=[
                CurrentFunctionValueUnmoving(number_of_function_calls=10),
                MaxInteroptimizerDistance(max_relative_distance=1e-9),
            ],
            exit_conditions=[MaxTotalFunctionCalls(max=EVALUATIONS)],
            store={"location": folder},
        )
    return found.evaluations / found.elapsed_s
