"""Whole runs on Dask, side by side: how much of two cores losses get, and what several of them in one task run bring.

Each is the flow `optimize` on one cluster of two worker processes and one tuned local server, with manager and store.
The rate is that from the first loss's call to the last one's result, so without the start and the end of the flow.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.launch import run_as_flow
from flows.server.local_server import local_server
from flows.settings import RunSettings
from flows.workers.cluster import local_cluster
from optim.store import open_run
from tests.bench.measurement import Measurement
from tests.bench.pool import be_busy, ideal_rate

ROUNDS = 3
WORKERS = 2
ROOT = str(Path(__file__).parents[2])
TEN: dict[str, Any] = {"parallel_optimizers": 10, "optimizer": [{"type": "Scipy"}]}
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
IDEALS = {
    name: f"{name} in a plain loop of two processes" for name in ("20 ms loss", "200 ms loss", "1 s loss")
}
IDEAL_LOOPS = ((0.02, 200), (0.2, 20), (1.0, 6))
"""Seconds of the loss, and how many in the loops."""
CASES = {
    "20 ms loss, 10 Nelder-Mead": Case("busy_20_ms", 400, TEN, {}, IDEALS["20 ms loss"], 0.4),
    "200 ms loss, 10 Nelder-Mead": Case("busy_200_ms", 100, TEN, {}, IDEALS["200 ms loss"], 0.85),
    "1 s loss, 10 Nelder-Mead": Case("busy_1_s", 40, TEN, {}, IDEALS["1 s loss"], 0.97),
    TRACKED: Case("busy_1_ms", 400, FIFTY, {}),
    '1 ms loss, 50 Nelder-Mead, per_task = "auto"': Case(
        "busy_1_ms", 6000, FIFTY, {"per_task": "auto"}, TRACKED, 10.0
    ),
    'trivial loss, 4 CMA-ES of 50, per_task = "auto"': Case(
        "trivial", 10_000, FOUR, {"per_task": "auto"}, at_least=1000.0
    ),
}


def trivial(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Next to nothing."""
    return float((x**2).sum())


def _busy(seconds: float, x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    be_busy(seconds)
    return trivial(x)


busy_1_ms, busy_20_ms, busy_200_ms, busy_1_s = (
    partial(_busy, seconds) for seconds in (0.001, 0.02, 0.2, 1.0)
)


def whole_runs() -> list[Measurement]:
    """Measure all of them, in turns."""
    rates: dict[str, list[float]] = {name: [] for name in (*IDEALS.values(), *CASES)}
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_settings({PREFECT_HOME: Path(home)}, restore_defaults={PREFECT_API_URL}),
        local_server(),
        local_cluster(n_workers=WORKERS, threads_per_worker=1) as cluster,
    ):
        for each in range(ROUNDS):
            for ideal, (loss_s, evaluations) in zip(IDEALS.values(), IDEAL_LOOPS, strict=True):
                rates[ideal].append(ideal_rate(loss_s, evaluations))
            for name, case in CASES.items():
                settings = settings_of(case, Path(home, str(each)), cluster.scheduler_address)
                rates[name].append(_rate(settings))
    ideals = [Measurement(ideal, rates[ideal]) for ideal in IDEALS.values()]
    return ideals + [
        Measurement(name, rates[name], reference=case.reference, at_least=case.at_least)
        for name, case in CASES.items()
    ]


def settings_of(case: Case, location: Path, address: str) -> RunSettings:
    """Of a run of `case` on a cluster, whose folder is in `location`."""
    return RunSettings.model_validate(
        {
            "problem": f"tests.bench.whole_runs:{case.loss}",
            "seed": 3,
            "parameter": [
                {"name": name, "initial": 0.5, "lower": -1.0, "upper": 2.0} for name in ("a", "b", "c", "d")
            ],
            "baseline": False,
            "generator": {"type": "Random"},
            **case.optimizers,
            "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": case.evaluations}],
            "evaluation": case.evaluation,
            "cluster": {"address": address},
            "store": {"location": str(location)},
        }
    )


def _rate(settings: RunSettings) -> float:
    result = run_as_flow("optimize", settings=settings, code_folder=ROOT)
    evaluations = open_run(result.path / "run.zarr").evaluations()
    finished_s = evaluations["finished_s"].values
    if len(finished_s) != settings.exit_conditions[0].max:  # type: ignore[attr-defined]
        raise RuntimeError(f"{result.name} ended with {len(finished_s)} evaluations: {result.reason}")
    return float(len(finished_s) / (finished_s.max() - evaluations["started_s"].values.min()))
