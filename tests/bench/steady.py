"""A tracked run of 50,000 evaluations: does it slow down, do its processes grow, does the server lag behind?

Takes a quarter of an hour.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.launch import run_as_flow
from flows.server.local_server import local_server
from flows.workers.cluster import local_cluster
from optim.store import open_run
from tests.bench.measurement import Measurement
from tests.bench.whole_runs import FOUR, ROOT, WORKERS, Case, settings_of

EVALUATIONS = 50_000
PART = EVALUATIONS // 5
"""Rates: so many at the beginning, but for the first tenth of them, are compared with as many at the end. Memory: the
second fifth, when all is loaded, with the last."""
LOOK_S = 5.0


def steady() -> list[Measurement]:
    """Measure one such run."""
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_settings({PREFECT_HOME: Path(home)}, restore_defaults={PREFECT_API_URL}),
        local_server(),
        local_cluster(n_workers=WORKERS, threads_per_worker=1) as cluster,
    ):
        case = Case("trivial", EVALUATIONS, FOUR, {})
        over = threading.Event()
        grown: dict[str, list[float]] = defaultdict(list)
        workers = [nanny.pid for nanny in cluster.workers.values()]
        watch = threading.Thread(target=_watch_memory, args=(grown, workers, over))
        watch.start()
        try:
            result = run_as_flow(
                "optimize",
                settings=settings_of(case, Path(home), cluster.scheduler_address),
                code_folder=ROOT,
            )
        finally:
            over.set()
            watch.join()
        ended_s = time.time()
        evaluations = open_run(result.path / "run.zarr").evaluations()
        finished_s = evaluations["finished_s"].values
        began_at = (result.path / "run.toml").stat().st_mtime
    early, late = (f"{EVALUATIONS:,} tracked evaluations: {what}" for what in ("early", "late"))
    return [
        Measurement(early, [_rate(finished_s[PART // 10 :][:PART])]),
        Measurement(late, [_rate(finished_s[-PART:])], reference=early, at_least=0.9),
        *(
            Measurement(
                f"memory of {who}, late / early",
                [median(sizes[-len(sizes) // 5 :]) / median(sizes[len(sizes) // 5 :][: len(sizes) // 5])],
                "",
                at_most=1.1,
            )
            for who, sizes in grown.items()
        ),
        Measurement(
            "until the server has recorded the last",
            [ended_s - began_at - float(finished_s[-1])],
            "s",
            at_most=10,
        ),
    ]


def _rate(finished_s: Any) -> float:
    return float((len(finished_s) - 1) / (finished_s[-1] - finished_s[0]))


def _watch_memory(sizes: dict[str, list[float]], workers: list[int], over: threading.Event) -> None:
    """Note the resident memory of this process, of the server and of the workers together, every few seconds."""
    here = psutil.Process()
    (server,) = (it for it in here.children() if any("server_process" in word for word in it.cmdline()))
    watched = {"the manager": [here], "the server": [server], "the workers": [*map(psutil.Process, workers)]}
    while not over.wait(LOOK_S):
        for who, processes in watched.items():
            sizes[who].append(float(sum(process.memory_info().rss for process in processes)))
