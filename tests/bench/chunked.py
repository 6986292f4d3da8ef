"""Several evaluations in one task run: whole runs on Dask, with and without, side by side.

Each is the flow `optimize` on one cluster of two worker processes and one tuned local server, with manager and store.
The rate is that from the first result to the last, so without the start and the end of the flow.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.cluster import local_cluster
from flows.launch import run_as_flow
from flows.optimize import optimize
from flows.server import local_server
from flows.settings import RunSettings
from optim.store import open_run
from tests.bench.measurement import Measurement

ROUNDS = 3
WORKERS = 2
ROOT = str(Path(__file__).parents[2])
MILLISECOND_S = 1e-3
FIFTY: dict[str, Any] = {"parallel_optimizers": 50, "optimizer": [{"type": "Scipy"}]}
FOUR: dict[str, Any] = {"parallel_optimizers": 4, "optimizer": [{"type": "CMAES", "popsize": 50}]}


class Case(NamedTuple):
    """A run.

    Attributes:
        loss: Of this module.
        evaluations: Its budget.
        optimizers: Settings of them.
        evaluation: Settings of it.
        reference: What it is compared with; empty: nothing.
        at_least: As of a measurement.
    """

    loss: str
    evaluations: int
    optimizers: dict[str, Any]
    evaluation: dict[str, Any]
    reference: str = ""
    at_least: float | None = None


TRACKED = "1 ms loss, 50 Nelder-Mead, tracked"
CASES = {
    TRACKED: Case("millisecond", 400, FIFTY, {}),
    '1 ms loss, 50 Nelder-Mead, per_task = "auto"': Case(
        "millisecond", 6000, FIFTY, {"per_task": "auto"}, TRACKED, 10.0
    ),
    'trivial loss, 4 CMA-ES of 50, per_task = "auto"': Case(
        "trivial", 10_000, FOUR, {"per_task": "auto"}, at_least=1000.0
    ),
}


def millisecond(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Computes for a millisecond."""
    until_s = time.perf_counter() + MILLISECOND_S
    while time.perf_counter() < until_s:
        pass
    return trivial(x)


def trivial(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Next to nothing."""
    return float((x**2).sum())


def chunked() -> list[Measurement]:
    """Measure all of them, in turns."""
    rates: dict[str, list[float]] = {name: [] for name in CASES}
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_settings({PREFECT_HOME: Path(home)}, restore_defaults={PREFECT_API_URL}),
        local_server(),
        local_cluster(n_workers=WORKERS, threads_per_worker=1) as cluster,
    ):
        for each in range(ROUNDS):
            for name, case in CASES.items():
                settings = _settings(case, Path(home, str(each)), cluster.scheduler_address)
                rates[name].append(_rate(settings))
    return [
        Measurement(name, rates[name], reference=case.reference, at_least=case.at_least)
        for name, case in CASES.items()
    ]


def _settings(case: Case, location: Path, address: str) -> RunSettings:
    return RunSettings.model_validate(
        {
            "problem": f"tests.bench.chunked:{case.loss}",
            "seed": 3,
            "parameter": [
                {"name": name, "initial": 0.5, "lower": -1.0, "upper": 2.0} for name in ("a", "b", "c", "d")
            ],
            "generator": {"type": "Random"},
            **case.optimizers,
            "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": case.evaluations}],
            "evaluation": case.evaluation,
            "cluster": {"address": address},
            "store": {"location": str(location)},
        }
    )


def _rate(settings: RunSettings) -> float:
    result = run_as_flow(optimize, settings=settings, code_folder=ROOT)
    finished_s = open_run(result.path / "run.zarr").evaluations()["finished_s"].values
    if len(finished_s) != settings.exit_conditions[0].max:  # type: ignore[attr-defined]
        raise RuntimeError(f"{result.name} ended with {len(finished_s)} evaluations: {result.reason}")
    return float((len(finished_s) - 1) / (finished_s.max() - finished_s.min()))
