"""Evaluations on Dask with a trivial loss: bare futures, prefect-dask's task runner and ours, side by side.

All use one tuned local server and two worker processes, bare futures and ours the same two, prefect-dask those that it
starts by itself; and they take turns: on a machine that does other things as well, ratios mean more than rates.
"""

from __future__ import annotations

import queue
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psutil
from distributed import Client
from prefect import flow
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect_dask import DaskTaskRunner

from flows.server.local_server import local_server
from flows.server.records import wait_until_recorded
from flows.workers.cluster import local_cluster
from flows.workers.task_runner import SharedContextTaskRunner
from optim.evaluation import LossResult, evaluate_loss
from tasks.evaluate import evaluate
from tests.bench.measurement import Measurement

ROUNDS = 3
WORKERS = 2
IN_FLIGHT = 2 * WORKERS
WARM_UP = 10
EVALUATIONS = {"bare Dask futures": 1000, "prefect-dask as it comes": 60, "shoal's task runner": 1000}
BARE, STOCK, SHARED = EVALUATIONS
CPU = "ms of CPU for each"

Submit = Callable[[int], Any]


class Cpu(NamedTuple):
    """Processor time, seconds: of manager, scheduler and workers together, and of the server."""

    ours_s: float
    server_s: float

    @classmethod
    def now(cls) -> Cpu:
        """Of this process and of those that it has started."""
        here = psutil.Process()
        ours_s, server_s = sum(here.cpu_times()[:2]), 0.0
        for process in here.children(recursive=True):
            spent_s = sum(process.cpu_times()[:2])
            if any("server_process" in word for word in process.cmdline()):
                server_s += spent_s
            else:
                ours_s += spent_s
        return cls(ours_s, server_s)


def loss(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Next to nothing, so that only the way there is measured."""
    return float((x**2).sum())


def tracked() -> list[Measurement]:
    """Measure all three, and what ours costs."""
    rates: dict[str, list[float]] = {name: [] for name in EVALUATIONS}
    costs: list[Cpu] = []
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_settings({PREFECT_HOME: Path(home)}, restore_defaults={PREFECT_API_URL}),
        local_server(),
        local_cluster(n_workers=WORKERS, threads_per_worker=1) as cluster,
    ):
        address = cluster.scheduler_address
        empty = _size_of_database(Path(home))
        for _ in range(ROUNDS):
            with Client(address, set_as_default=False) as client:
                submit = partial(_submit_bare, client)
                _evaluate(submit, WARM_UP)
                rates[BARE].append(_rate(submit, EVALUATIONS[BARE]))
            stock = DaskTaskRunner(cluster_kwargs={"n_workers": WORKERS, "threads_per_worker": 1})
            rates[STOCK].append(_in_flow.with_options(task_runner=stock)(EVALUATIONS[STOCK])[0])
            ours = SharedContextTaskRunner(address=address)
            rate, cost = _in_flow.with_options(task_runner=ours)(EVALUATIONS[SHARED])
            rates[SHARED].append(rate)
            costs.append(cost)
        task_runs = ROUNDS * (EVALUATIONS[STOCK] + EVALUATIONS[SHARED] + 2 * WARM_UP)
        room_kb = (_size_of_database(Path(home)) - empty) / task_runs / 1e3
    return [
        Measurement(BARE, rates[BARE]),
        Measurement(STOCK, rates[STOCK], reference=BARE),
        Measurement(SHARED, rates[SHARED], reference=BARE, at_least=0.4),
        Measurement(SHARED, rates[SHARED], reference=STOCK, at_least=10.0),
        Measurement(f"{SHARED}, manager and workers", [1e3 * it.ours_s for it in costs], CPU, at_most=14),
        Measurement(f"{SHARED}, server", [1e3 * it.server_s for it in costs], CPU, at_most=10),
        Measurement("a task run in the server's database", [room_kb], "kB", at_most=20),
    ]


def _size_of_database(home: Path) -> int:
    return sum(file.stat().st_size for file in home.glob("prefect.db*"))


@flow(name="benchmark")
def _in_flow(evaluations: int) -> tuple[float, Cpu]:
    _evaluate(_submit_task, WARM_UP)
    _see_recorded(WARM_UP)
    before = Cpu.now()
    rate = _rate(_submit_task, evaluations)
    _see_recorded(WARM_UP + evaluations)
    after = Cpu.now()
    return rate, Cpu(*((late - early) / evaluations for late, early in zip(after, before, strict=True)))


def _see_recorded(count: int) -> None:
    recorded = wait_until_recorded(UUID(flow_run.get_id()), count)
    if recorded != count:
        raise RuntimeError(f"{recorded} of {count} task runs were recorded")


def _submit_task(call: int) -> Any:
    return evaluate.submit("tests.bench.tracked:loss", None, call % IN_FLIGHT, call, [0.5, 0.25])


def _submit_bare(client: Client, call: int) -> Any:
    return client.submit(_evaluate_bare, [0.5, 0.25], key=f"bare-{time.time_ns()}-{call}", pure=False)


def _evaluate_bare(x: list[float]) -> LossResult:
    return evaluate_loss(loss, x)


def _rate(submit: Submit, evaluations: int) -> float:
    begin_s = time.perf_counter()
    _evaluate(submit, evaluations)
    return evaluations / (time.perf_counter() - begin_s)


def _evaluate(submit: Submit, evaluations: int) -> None:
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    submitted = 0
    for finished in range(evaluations):
        while submitted < min(finished + IN_FLIGHT, evaluations):
            submit(submitted).add_done_callback(done.put)
            submitted += 1
        done.get().result()
