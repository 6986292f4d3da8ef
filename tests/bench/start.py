"""How long people wait: for help, for the first evaluation and for the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.measurement import Measurement

ROUNDS = 3
SHOAL = str(Path(sys.executable).with_name("shoal"))
LOSS = """\
import time


def loss(x):
    with open("times", "a") as file:
        print(time.time(), file=file)
    return float((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)
"""
RUN_FILE = """\
problem = "timed:loss"
seed = 3
parallel_optimizers = 4

[[parameter]]
name = "a"
initial = 0.5
lower = -1.0
upper = 2.0

[[parameter]]
name = "b"
initial = 0.5
lower = -1.0
upper = 2.0

[generator]
type = "Random"

[[optimizer]]
type = "Scipy"
algorithm = "Nelder-Mead"

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 100

[cluster]
workers = 2
"""


class Waits(NamedTuple):
    """Seconds from the command to its first evaluation, and from its last one to its end."""

    first_s: float
    end_s: float


def start() -> list[Measurement]:
    """Measure each several times; of a fresh database there is one each time."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "timed.py").write_text(LOSS)
        (place / "run.toml").write_text(RUN_FILE)
        helped_s = [seconds_of(["--help"]) for _ in range(ROUNDS)]
        local = [_waits(place, ["--local"]) for _ in range(ROUNDS)]
        fresh, known = [], []
        for each in range(ROUNDS):
            home = place / f"home-{each}"
            home.mkdir()
            environment = {**os.environ, "PREFECT_HOME": str(home)}
            fresh.append(_waits(place, [], environment))
            known.append(_waits(place, [], environment))
    return [
        Measurement("shoal --help", helped_s, "s", at_most=0.3),
        Measurement("shoal run --local: first evaluation", [it.first_s for it in local], "s", at_most=1.5),
        Measurement("shoal run: first evaluation", [it.first_s for it in known], "s", at_most=12),
        Measurement(
            "shoal run: first evaluation, new database", [it.first_s for it in fresh], "s", at_most=25
        ),
        Measurement("shoal run: the end, after the last result", [it.end_s for it in known], "s", at_most=3),
    ]


def seconds_of(arguments: Sequence[str]) -> float:
    """How long the command takes."""
    began_s = time.perf_counter()
    subprocess.run([SHOAL, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began_s


def _waits(place: Path, options: Sequence[str], environment: Mapping[str, str] | None = None) -> Waits:
    times = place / "times"
    times.unlink(missing_ok=True)
    began_s = time.time()
    command = [SHOAL, "run", "run.toml", "--quiet", *options]
    subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
    ended_s = time.time()
    evaluated_s = [float(line) for line in times.read_text().split()]
    return Waits(min(evaluated_s) - began_s, ended_s - max(evaluated_s))
