"""Runs as flows on Dask: their processes, workers, schedulers and servers killed in the middle.

One kind of run has a Prefect server and workers of its own; the other one uses a server and a Dask scheduler that
others started, which die and come back.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence, Set
from pathlib import Path

import httpx
import psutil

from tests.torture.damage import tear
from tests.torture.evidence import Witness, end_faults
from tests.torture.place import PATIENCE_S, Job, Place
from tests.torture.tally import Tally

PAUSE_S = 0.03
BUDGET = 700
"""More than two workers manage before the last session has lost all that it is to lose."""
WORKER_KILLS = 2
"""In each session, before it is ended another way."""
MINUTE_S = 60.0
EVALUATIONS_PER_MINUTE = 3500
"""More than two workers manage."""
PAUSED = 75

RUN_FILE = """\
problem = "torture_loss:loss"
seed = {seed}
parallel_optimizers = 4

[[parameter]]
name = "a"
initial = 0.5
lower = -2.0
upper = 2.0

[[parameter]]
name = "b"
initial = 0.5
lower = -2.0
upper = 2.0

[generator]
type = "Random"

[[optimizer]]
type = "CMAES"
min_sigma = 1e-12

[[optimizer]]
type = "Scipy"

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = {budget}

[cluster]
{cluster}
"""


def torture_on_dask(folder: Path, kills: int, random_numbers: random.Random, tally: Tally) -> None:
    """Kill and resume flows, until at least so many kills are reached.

    Args:
        folder: For all files.
        kills: How many.
        random_numbers: Moments and victims are drawn from it.
        tally: Counts.
    """
    place = Place(folder)
    before, number = tally.kills.total(), 0
    try:
        while tally.kills.total() - before < kills:
            number += 1
            if number % 2:
                ends: list[End] = random_numbers.sample([_kill_flow, _kill_group, _kill_everything], 3)
                torture_own(place, f"own-{number}", ends, random_numbers, tally)
            else:
                away_s = MINUTE_S if number == 2 else random_numbers.uniform(5.0, 15.0)
                torture_others(place, f"others-{number}", away_s, random_numbers, tally)
    finally:
        place.end_everything()


End = Callable[[Place, Job], str]
"""Kills what a session consists of; says what that was."""


def torture_own(
    place: Place, name: str, ends: Sequence[End], random_numbers: random.Random, tally: Tally
) -> None:
    """One run with a server and workers of its own; its last session loses the server.

    Args:
        place: Where.
        name: Of the run.
        ends: How the sessions before the last one end.
        random_numbers: Moments and victims are drawn from it.
        tally: Counts.
    """
    run_file = write_flow_file(place, name, "workers = 2", BUDGET, random_numbers)
    witness = Witness(place, name, tally)
    words: tuple[str, ...] = ("run", run_file, "--name", name)
    for end in ends:
        job = _begin(place, words, witness)
        _kill_workers(place, job, witness, random_numbers, tally)
        job.ended(random_numbers.uniform(0.0, 1.5))
        killed_at = time.time()
        tally.kill(end(place, job))
        left = place.left_over(PATIENCE_S)
        tally.expect(not left, f"{name}: processes are left: {left}")
        witness.look(killed_at)
        tear(place.run_folder(name), random_numbers)
        words = ("resume", name)
    job = _begin(place, words, witness)
    _kill_workers(place, job, witness, random_numbers, tally)
    (server,) = (
        process for process in place.processes() if "server_process.py" in " ".join(process.cmdline())
    )
    server.kill()
    tally.kill("Prefect server, never to come back")
    _finish(place, job, witness, BUDGET, tally, frozenset())


def torture_others(
    place: Place, name: str, away_s: float, random_numbers: random.Random, tally: Tally
) -> None:
    """One run on a server and a scheduler that others started; they die in the middle, and come back.

    Args:
        place: Where.
        name: Of the run.
        away_s: How long the server stays away.
        random_numbers: Moments and victims are drawn from it.
        tally: Counts.
    """
    budget = BUDGET + int(away_s / 60 * EVALUATIONS_PER_MINUTE)
    services = Services(place, name)
    try:
        services.start_server()
        run_file = write_flow_file(place, name, f'address = "{services.scheduler}"', budget, random_numbers)
        witness = Witness(place, name, tally)
        words: tuple[str, ...] = ("run", run_file, "--name", name)
        for _ in range(2):
            services.start_cluster()
            job = _begin(place, words, witness)
            _kill_workers(place, job, witness, random_numbers, tally)
            job.ended(random_numbers.uniform(0.0, 1.5))
            services.kill_scheduler()
            tally.kill("Dask scheduler")
            code = job.ended(PATIENCE_S)
            is_clear = code == PAUSED and "Dask scheduler" in job.said and "Traceback" not in job.said
            tally.expect(is_clear, f"{name}: without its scheduler it ended with {code}: {job.said[-1500:]}")
            services.kill_workers()
            left = place.left_over(PATIENCE_S, services.pids)
            tally.expect(not left, f"{name}: processes are left: {left}")
            witness.look()
            words = ("resume", name)
        services.start_cluster()
        job = _begin(place, words, witness)
        services.kill_server()
        tally.kill("Prefect server, for a while")
        _expect_progress(job, witness, away_s, tally)
        services.start_server()
        _kill_workers(place, job, witness, random_numbers, tally)
        _finish(place, job, witness, budget, tally, services.pids)
    finally:
        services.end()


def write_flow_file(place: Place, name: str, cluster: str, budget: int, random_numbers: random.Random) -> str:
    """Write a run file that uses a budget up on Dask.

    Args:
        place: Where.
        name: Of the run.
        cluster: Its table in the run file.
        budget: Evaluations.
        random_numbers: The seed is drawn from it.

    Returns:
        The name of the file.
    """
    text = RUN_FILE.format(seed=random_numbers.randrange(2**31), budget=budget, cluster=cluster)
    (place.folder / f"{name}.toml").write_text(text)
    return f"{name}.toml"


class Services:
    """A Prefect server, a Dask scheduler and two workers, each a process of its own.

    Args:
        place: Whose commands use them.
        name: Of the run.
        url: Of the API of a server that runs already; None: `start_server` starts one.
    """

    def __init__(self, place: Place, name: str, url: str | None = None) -> None:
        self._place = place
        self._port = _free_port()
        self.scheduler = f"tcp://127.0.0.1:{_free_port()}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        place.environment["PREFECT_API_URL"] = url or f"http://127.0.0.1:{self._port}/api"
        self._environment = {
            **place.environment,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "TORTURE_CALLS": place.calls(name).name,
            "TORTURE_PAUSE_S": str(PAUSE_S),
        }

    @property
    def pids(self) -> Set[int]:
        """Of all of them and their children."""
        found = set()
        for process in self._running.values():
            try:
                found |= {process.pid, *(c.pid for c in psutil.Process(process.pid).children(recursive=True))}
            except psutil.NoSuchProcess:
                continue
        return found

    def start_server(self) -> None:
        """Start the server, and wait until it answers."""
        self._start("server", "prefect", "server", "start", "--port", str(self._port), "--no-ui")
        url = self._place.environment["PREFECT_API_URL"]
        _wait_for(lambda: _answers(url), f"a Prefect server at {url}")

    def start_cluster(self) -> None:
        """Start the scheduler and the workers."""
        host, port = self.scheduler.removeprefix("tcp://").split(":")
        loopback = ("--host", host, "--dashboard-address", "127.0.0.1:0")
        self._start("scheduler", "dask", "scheduler", "--port", port, *loopback)
        self._start(
            "workers", "dask", "worker", self.scheduler, "--nworkers", "2", "--nthreads", "1", *loopback
        )

    def kill_server(self) -> None:
        """End the server without mercy."""
        self._kill("server")

    def kill_scheduler(self) -> None:
        """End the scheduler without mercy."""
        self._kill("scheduler")

    def kill_workers(self) -> None:
        """End the workers without mercy; those of a scheduler that is gone wait for it."""
        self._kill("workers")

    def end(self) -> None:
        """End whatever runs."""
        for name in list(self._running):
            self._kill(name)
        del self._place.environment["PREFECT_API_URL"]

    def _start(self, name: str, program: str, *words: str) -> None:
        with (self._place.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [Path(sys.executable).with_name(program), *words],
                cwd=self._place.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _kill(self, name: str) -> None:
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _begin(place: Place, words: tuple[str, ...], witness: Witness) -> Job:
    """Start a session, and wait until it has committed an evaluation."""
    witness.session_begins()
    job = place.start(*words, name=witness.name, pause_s=PAUSE_S)
    _advance(job, witness, 5)
    return job


def _advance(job: Job, witness: Witness, more: int) -> None:
    """Wait until so many more evaluations are committed, or the session has ended."""
    enough = witness.evaluations + more
    _wait_for(lambda: job.ended(0.2) is not None or witness.evaluations >= enough, f"{witness.name} to go on")


def _expect_progress(job: Job, witness: Witness, within_s: float, tally: Tally) -> None:
    """See a session go on all the time."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        _advance(job, witness, 10)
        if not tally.expect(
            job.ended() is None, f"{witness.name}: it ended without its server: {job.said[-500:]}"
        ):
            return
    tally.checks[f"went on for {within_s:.0f} s without a Prefect server"] += 1


def _kill_workers(
    place: Place, job: Job, witness: Witness, random_numbers: random.Random, tally: Tally
) -> None:
    """Kill one worker, or all at once, and see the session go on; so often as a session should."""
    for _ in range(WORKER_KILLS):
        workers = workers_of(place)
        if not tally.expect(bool(workers), f"{witness.name}: there are no workers: {job.said[-1500:]}"):
            return
        everybody = random_numbers.random() < 0.25
        for worker in workers if everybody else [random_numbers.choice(workers)]:
            witness.worker_died(worker.pid)
            worker.kill()
        tally.kill("all Dask workers at once" if everybody else "Dask worker")
        _advance(job, witness, 10)


def workers_of(place: Place) -> list[psutil.Process]:
    """The Dask workers that were started from a place, without their nannies."""
    return [process for process in place.processes() if "spawn_main" in " ".join(process.cmdline())]


def _kill_flow(place: Place, job: Job) -> str:
    job.kill()
    return "flow's process"


def _kill_group(place: Place, job: Job) -> str:
    job.kill(group=True)
    return "flow's process group"


def _kill_everything(place: Place, job: Job) -> str:
    place.end_everything()
    job.kill()
    return "everything, with the Prefect server"


def _finish(place: Place, job: Job, witness: Witness, budget: int, tally: Tally, allowed: Set[int]) -> None:
    """Let a run go to its end; nobody else kills anything."""
    code = job.ended(10 * PATIENCE_S)
    is_well = code == 0 and "Traceback" not in job.said
    tally.expect(is_well, f"{witness.name}: it ended with code {code}: {job.said[-1500:]}")
    witness.look()
    faults = end_faults(place, witness.name, budget)
    for fault in faults:
        tally.expect(False, fault)
    tally.checks["budget on Dask used exactly, and sums add up"] += not faults
    told = [line for line in job.said.splitlines() if "the store has all" in line]
    tally.say(
        f"{witness.name}: {budget} evaluations; {told[-1].strip() if told else 'the dashboard shows all'}"
    )
    left = place.left_over(PATIENCE_S, allowed)
    tally.expect(not left, f"{witness.name}: processes are left: {left}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _wait_for(happens: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not happens():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited {PATIENCE_S:g} s for {what}")
        time.sleep(0.05)
