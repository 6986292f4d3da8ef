"""The same problem with others, in one process, in two dimensions; nobody but shoal keeps anything.

Who is not installed is left out: Optuna is no dependency.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import cma
import numpy as np
from scipy.optimize import differential_evolution

import shoal
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.optimizers.base import Optimizer
from optim.optimizers.cmaes import CMAES
from optim.optimizers.scipy import Scipy
from tests.bench.measurement import Measurement

ROUNDS = 3
EVALUATIONS = 3_000
PLAIN_CMA = "plain pycma, population of 20"
PLAIN_DE = "plain scipy.differential_evolution"


def loss(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """A bowl with ripples, in which nobody converges soon."""
    return float(np.sum((x - 0.3) ** 2) + 0.1 * np.sum(1 - np.cos(20 * (x - 0.3))))


def peers() -> list[Measurement]:
    """Measure all of them, in turns."""
    ways: dict[str, Callable[[], int]] = {
        PLAIN_CMA: _plain_cma,
        "shoal, CMA-ES with a population of 20": lambda: _ours(CMAES(popsize=20)),
        PLAIN_DE: _plain_differential_evolution,
        "shoal, differential_evolution": lambda: _ours(Scipy(algorithm="differential_evolution")),
    }
    if importlib.util.find_spec("nevergrad"):
        ways["Nevergrad, OnePlusOne"] = _nevergrad
    if importlib.util.find_spec("optuna"):
        ways["Optuna, TPE, in memory"] = _optuna
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began_s = time.perf_counter()
            done = way()
            rates[name].append(done / (time.perf_counter() - began_s))
    plain = {
        name: before for before, name in zip(ways, list(ways)[1:], strict=False) if name.startswith("shoal")
    }
    return [Measurement(name, rates[name], reference=plain.get(name, "")) for name in ways]


def _plain_cma() -> int:
    done = 0
    while done < EVALUATIONS:
        options = {"popsize": 20, "bounds": [[0, 0], [1, 1]], "seed": done + 1, "verbose": -9}
        strategy = cma.CMAEvolutionStrategy([0.9, 0.1], 0.3, options)
        while done < EVALUATIONS and not strategy.stop():
            points = strategy.ask()
            strategy.tell(points, [loss(point) for point in points])
            done += len(points)
    return done


def _plain_differential_evolution() -> int:
    done = 0
    while done < EVALUATIONS:
        done += differential_evolution(loss, [(0, 1)] * 2, rng=done, polish=False).nfev
    return done


def _ours(optimizer: Optimizer) -> int:
    parameters = [shoal.Parameter(name=name, initial=0.9, lower=0.0, upper=1.0) for name in "ab"]
    with tempfile.TemporaryDirectory() as folder:
        found = shoal.run(
            shoal.Problem(loss, parameters, "ripples"),
            seed=3,
            parallel_optimizers=1,
            optimizers=[optimizer],
            exit_conditions=[MaxTotalFunctionCalls(max=EVALUATIONS)],
            store={"location": folder},
        )
    return found.evaluations


def _nevergrad() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nevergrad as ng

        searched = ng.p.Array(shape=(2,), lower=0.0, upper=1.0)
        ng.optimizers.registry["OnePlusOne"](searched, budget=EVALUATIONS).minimize(loss)
    return EVALUATIONS


def _optuna() -> int:
    import optuna  # type: ignore[import-not-found]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    few = EVALUATIONS // 10  # its cost grows with the number of trials
    study = optuna.create_study()
    study.optimize(
        lambda trial: loss(np.array([trial.suggest_float(name, 0, 1) for name in "ab"])), n_trials=few
    )
    return few
