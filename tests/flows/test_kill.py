"""What dies in the middle of a run; `make torture` does more of it, and longer.

Invariants:

* A run that was killed at any moment goes on where it was, and ends as one that nobody killed.
* A full disk is a clear error; with room again the run goes on.
* Workers that die take nothing with them but their attempts; a scheduler that dies pauses the run, and says so.
* A Prefect server that dies holds nobody up, and changes nothing of what has come of a run.
* One process writes a run. The second is told who the first is; a lock of a dead one is in nobody's way.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import dask
import httpx
import pytest
from distributed.client import FutureCancelledError
from prefect import State
from prefect.client.schemas.objects import StateType
from prefect.context import serialize_context
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import launch
from flows.cli import exit_code
from flows.launch import run_as_flow
from flows.optimize import on_result, optimize, resume
from flows.run.opened import RunResult
from flows.server.records import wait_until_recorded
from flows.settings import ClusterSettings
from flows.workers.cluster import COMES_BACK_WITHIN, task_runner
from flows.workers.task_runner import _SharedContext
from optim.errors import ClusterError, ClusterLostError, RunLockedError, ServerError
from optim.outcome import Outcome
from optim.store import open_run
from tasks.attempts import MOST_DEATHS
from tasks.evaluate import SCHEDULER_LOST, take_evaluation
from tasks.evaluation import Evaluation
from tests.torture.evidence import Witness, end_faults
from tests.torture.full_disk import torture_full_disk
from tests.torture.in_process import torture_in_process, write_run_file
from tests.torture.on_dask import Services, workers_of, write_flow_file
from tests.torture.place import PATIENCE_S, Place
from tests.torture.tally import Tally

SEED = 20260

RESULT = RunResult(Path("runs/one"), "finished", "done", is_interrupted=False)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "place")
    yield place
    place.end_everything()


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_nobody_killed(tmp_path):
    tally = Tally()
    torture_in_process(tmp_path, 5, random.Random(SEED), tally)
    assert tally.faults == []
    assert tally.kills["in-process run"] == 5
    assert tally.checks["equal to its twin, bit for bit"] == 1
    assert tally.checks["read while it was written"] > 0


@pytest.mark.slow
def test_a_run_goes_on_when_a_full_disk_has_room_again(tmp_path):
    tally = Tally()
    torture_full_disk(tmp_path, random.Random(SEED), tally)
    assert tally.faults == []
    if skipped := [name for name in tally.checks if "skipped" in name]:
        pytest.skip(skipped[0])
    assert tally.checks["full disk survived"] == 1


@pytest.mark.services
def test_a_run_survives_its_workers_and_its_scheduler(server, place):
    services = Services(place, "one", server)
    services.start_cluster()
    run_file = write_flow_file(place, "one", f'address = "{services.scheduler}"', 150, random.Random(SEED))
    tally = Tally()
    witness = Witness(place, "one", tally)

    def kill_all() -> None:
        _wait_for_evaluations(witness, 10)
        for worker in workers_of(place):
            worker.kill()
        _wait_for_evaluations(witness, 40)
        services.kill_scheduler()

    try:
        killer = threading.Thread(target=kill_all)
        killer.start()
        state = optimize(
            str(place.folder / run_file),
            name="one",
            overrides=[f"store.location={str(place.folder / 'runs')!r}"],
            return_state=True,
        )
        killer.join()
        assert state.type == StateType.FAILED
        error = _error(state)
        assert isinstance(error, ClusterLostError)
        assert exit_code(error) == 75
        attributes = open_run(witness.store).attributes
        assert attributes["status"] == "paused"
        assert attributes["reason"] == str(error)
        witness.look()

        services.kill_workers()
        services.start_cluster()
        assert resume("one", str(place.folder / "runs"), return_state=True).type == StateType.COMPLETED
        witness.look()
    finally:
        services.end()
    assert tally.faults == []
    assert end_faults(place, "one", 150) == []


def test_a_scheduler_that_does_not_answer_is_an_error_with_its_address(prefect_home):
    runner = task_runner(ClusterSettings(address="tcp://127.0.0.1:9"))
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
        runner,
    ):
        runner.prepare()


def test_what_a_lost_scheduler_cancels_is_no_result():
    assert _taken(FutureCancelledError("key", "unknown")).outcome is Outcome.CANCELLED
    with pytest.raises(ClusterLostError, match="shoal resume"):
        _taken(FutureCancelledError("key", SCHEDULER_LOST))


def test_a_worker_may_take_its_time_to_come_back(cluster):
    assert dask.config.get("distributed.deploy.lost-worker-timeout") == COMES_BACK_WITHIN


def test_a_worker_that_comes_while_the_server_is_away_can_work(prefect_home):
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        plugin = _SharedContext(serialize_context(), "topic", "session")
        plugin.setup(None)
        assert plugin.copy()
        plugin.teardown(None)


def test_a_loss_is_given_up_when_it_has_taken_three_workers_with_it(cluster):
    assert cluster.scheduler.allowed_failures == MOST_DEATHS - 1 == 2


def test_waiting_for_records_ends_when_the_server_does_not_answer(prefect_home):
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert wait_until_recorded(uuid4(), 1, patience_s=0.2) is None


@pytest.mark.parametrize(
    "fault",
    [httpx.ConnectError("connection refused"), ObjectNotFound(Exception("404"))],
    ids=["gone", "deleted"],
)
def test_a_run_whose_server_is_gone_at_its_end_has_come_to_what_it_has_come_to(monkeypatch, fault):
    before = signal.getsignal(signal.SIGTERM)

    def flow(return_state: bool) -> None:
        on_result.get()(RESULT)
        os.kill(os.getpid(), signal.SIGTERM)  # who sends it comes too late
        raise fault

    monkeypatch.setattr(launch, "local_server", lambda **_: nullcontext("http://127.0.0.1:9/api"))
    monkeypatch.setattr("flows.optimize.optimize", flow)
    assert run_as_flow("optimize") is RESULT
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_server_that_is_gone_before_the_run_begins_is_an_error(monkeypatch):
    def flow(return_state: bool) -> None:
        raise httpx.ConnectError("connection refused")

    monkeypatch.setattr(launch, "local_server", lambda **_: nullcontext("http://127.0.0.1:9/api"))
    monkeypatch.setattr("flows.optimize.optimize", flow)
    with pytest.raises(ServerError, match="does not answer any more"):
        run_as_flow("optimize")


def test_a_second_writer_is_refused_and_told_who_the_first_is(place, server):
    run_file = write_run_file(place, 0, 100_000, random.Random(SEED))
    words = ("run", run_file, "--local", "--name", "one")
    job = place.start(*words, name="one", pause_s=0.01, forked=True)
    folder = place.run_folder("one")
    while not (folder.store / "zarr.json").exists():
        assert job.ended(0.01) is None, job.said

    second = place.start("resume", "one", name="one", forked=True)
    assert second.ended(PATIENCE_S) == 3
    assert f"process {job.pid} on " in second.said
    state = resume("one", str(place.folder / "runs"), return_state=True)
    assert state.type == StateType.FAILED
    assert isinstance(_error(state), RunLockedError)
    assert f"process {job.pid} on " in str(_error(state))

    job.kill()
    assert folder.holder() is None
    third = place.start("resume", "one", name="one", pause_s=0.01, forked=True)
    while not (holder := folder.holder()) or not holder.pid:  # it takes the lock, and then says who it is
        assert third.ended(0.01) is None, third.said
    assert holder.pid == third.pid
    third.kill()


def _taken(error: Exception) -> Evaluation:
    def result() -> None:
        raise error

    return take_evaluation(
        SimpleNamespace(final_state=result, wrapped_future=SimpleNamespace(release=lambda: None))
    )


def _wait_for_evaluations(witness: Witness, count: int) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while witness.evaluations < count and time.monotonic() < deadline_s:
        time.sleep(0.1)


def _error(state: State[RunResult]) -> object:
    return getattr(state.data, "result", state.data)
