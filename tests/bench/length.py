"""A run of a million evaluations in ten dimensions, in-process with its store: does anything grow with its length?

Random points, so that nearly all of the cost is the manager's and the store's,
in a process of its own, whose memory tells.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from flows.run.stored import replayed_run
from flows.settings import RunSettings
from optim.in_process import drive
from optim.manager import Manager
from optim.session import Session
from optim.space import Parameter, Space
from optim.store import RunFolder, RunWriter, open_run
from optim.store.image import RunImage
from tests.bench.measurement import Measurement
from tests.bench.start import seconds_of

EVALUATIONS = 1_000_000
DIMENSION = 10
BLOCK = 10_000
"""Evaluations whose time is taken together."""
BLOCKS = 5
"""So many of them at the beginning, but for the first, are compared with as many at the end."""


def length() -> list[Measurement]:
    """Measure one such run, its replay, and `shoal show` of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.length", folder]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        shown_s = seconds_of(["show", "long", "--location", folder])
    early, late, rate, replay = (
        f"{EVALUATIONS:,} evaluations: {what}" for what in ("early", "late", "all", "replay")
    )
    return [
        Measurement(early, [told["early_us"]], "µs for each"),
        Measurement(late, [told["late_us"]], "µs for each", early, at_most=1.2),
        Measurement(rate, [told["rate"]]),
        Measurement(replay, [told["replay_rate"]], reference=rate, at_least=1.0),
        Measurement("its memory at the end", [told["memory_mb"]], "MB", at_most=300),
        Measurement("its store", [told["bytes"]], "bytes for each", at_most=120),
        Measurement("a flush of it, median", [told["flush_ms"]], "ms", at_most=50),
        Measurement("a flush of it, longest", [told["longest_flush_ms"]], "ms"),
        Measurement("shoal show of it", [shown_s], "s", at_most=2),
    ]


def _run(folder: Path) -> dict[str, float]:
    flushes_s = _watched_flushes()
    space = Space([Parameter(name=f"p{at}", initial=0.5, lower=-1.0, upper=2.0) for at in range(DIMENSION)])
    settings = RunSettings.model_validate(
        {
            "problem": "nowhere:loss",
            "baseline": False,
            "parallel_optimizers": 5,
            "generator": {"type": "Random"},
            "optimizer": [{"type": "RandomSampling", "number_of_samples": EVALUATIONS}],
            "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": EVALUATIONS}],
        }
    )
    attributes = {
        "status": "finished",
        "problem": "long",
        "seed": 3,
        "settings": settings.model_dump(mode="json"),
    }
    store = RunFolder.create(folder, b"", name="long").store
    cpu_s = [time.thread_time()]

    def loss(x: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        nonlocal done
        done += 1
        if not done % BLOCK:
            cpu_s.append(time.thread_time())
        return float(x @ x)

    done, began_s = 0, time.perf_counter()
    flush_evaluations = settings.store.flush_evaluations
    with RunWriter.create(store, space.parameters, attributes, flush_evaluations=flush_evaluations) as writer:
        session = Session(Manager(settings, space, 3), writer, lambda: time.perf_counter() - began_s)
        session.begin("benchmark")
        drive(session, loss)
    took_s = time.perf_counter() - began_s
    memory_mb = psutil.Process().memory_info().rss / 1e6
    each_us = [(after - before) / BLOCK * 1e6 for before, after in pairwise(cpu_s)]
    began_s = time.perf_counter()
    replayed_run(open_run(store))
    replay_s = time.perf_counter() - began_s
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    return {
        "early_us": statistics.median(each_us[1 : 1 + BLOCKS]),
        "late_us": statistics.median(each_us[-BLOCKS:]),
        "rate": EVALUATIONS / took_s,
        "replay_rate": EVALUATIONS / replay_s,
        "memory_mb": memory_mb,
        "bytes": size / EVALUATIONS,
        "flush_ms": 1e3 * statistics.median(flushes_s),
        "longest_flush_ms": 1e3 * max(flushes_s),
    }


def _watched_flushes() -> list[float]:
    took_s: list[float] = []
    commit = RunImage.commit

    def timed(image: RunImage) -> None:
        began_s = time.perf_counter()
        commit(image)
        took_s.append(time.perf_counter() - began_s)

    RunImage.commit = timed  # type: ignore[method-assign]
    return took_s


if __name__ == "__main__":
    print(json.dumps(_run(Path(sys.argv[1]))))  # noqa: T201  to `length`
