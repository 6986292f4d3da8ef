"""Losses that misbehave, in whole runs.

Invariants, in both lanes:

* Whatever an isolated loss does, each evaluation has its outcome and its text in the store, and the run goes on; the
  dashboard shows it as a failed task run, never as one that runs for ever.
* What may pass the second time is tried as often as the settings say; the store counts the attempts, the dashboard
  shows each. A validation loss has the same treatment.
* The process of the run imports nothing of an isolated problem.

And on Dask: a loss that takes its worker with it is lost, and crashed in the dashboard. Workers that come and go lose
no evaluation, and none is counted twice. A worker that has more memory than allowed is replaced.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from distributed import Client, KilledWorker
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import StateType

import shoal
from flows.lanes.local import run_in_process
from flows.optimize import optimize
from flows.reports.outlook import Outlook
from flows.run.opened import RunRequest
from flows.run.request import described, request_for
from flows.settings import ClusterSettings, RunSettings
from flows.workers.cluster import local_cluster, task_runner
from optim.errors import ShoalError
from optim.journal import EventKind
from optim.outcome import Outcome
from optim.store import RunReader, open_run
from tasks.child import describe_in_child
from tests.tasks import misbehaving
from tests.tasks.misbehaving import ENDS, HANGS

CODE_FOLDER = str(Path(misbehaving.__file__).parent)
PATIENCE_S = 60.0

COLLECTIONS = {"misbehaving:ends": (ENDS, PATIENCE_S), "misbehaving:hangs": (HANGS, 1.0)}
"""Misbehaviours by the loss that does them, and how long they may take, seconds."""

COUNTED = """\
import os
import time
from pathlib import Path


def loss(x):
    with Path(__file__).with_name("calls").open("a") as calls:
        calls.write("x")
    time.sleep(0.02)
    return float(x[0] ** 2)
"""


def settings(location: Path, problem: str, count: int, **more: Any) -> RunSettings:
    """A run that evaluates a loss at 0, 1, ..., count - 1."""
    return RunSettings.model_validate(
        {
            "problem": problem,
            "seed": 1,
            "parallel_optimizers": 1,
            "baseline": False,
            "parameter": [{"name": "place", "initial": 0.0, "lower": 0.0, "upper": max(1.0, count - 1.0)}],
            "generator": {"type": "SinglePoint"},
            "optimizer": [{"type": "GridSampling", "points_per_axis": count}],
            "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": count + 1}],
            "store": {"location": str(location)},
            **more,
        }
    )


def request(settings: RunSettings, folder: str = CODE_FOLDER) -> RunRequest:
    description = described(settings, folder, describe_in_child)
    return request_for(settings, description, name="run", code_folder=folder)


def failures(run: RunReader) -> dict[int, str]:
    """The texts of failed evaluations, by their sequence number."""
    return {row.sequence: row.text for row in run.event_rows() if row.kind is EventKind.FAILURE}


def check_all(run: RunReader, misbehaviours: list[tuple[str, str, str]]) -> None:
    """Every misbehaviour has its outcome and its text; the grid begins after the starting point."""
    rows = list(run.evaluation_rows())
    texts = failures(run)
    assert len(rows) == len(misbehaviours) + 1
    for row in rows:
        name, outcome, pattern = misbehaviours[round(float(row.x[0]))]
        assert (name, row.outcome.label) == (name, outcome)
        assert re.fullmatch(pattern, texts.get(row.sequence, "")), (name, texts.get(row.sequence))


def task_runs(flow_run_id: str, count: int) -> list[tuple[str, StateType]]:
    """The task runs of a flow run with their states, when so many have ended."""
    deadline_s = time.monotonic() + PATIENCE_S
    only = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(flow_run_id)]))
    with get_client(sync_client=True) as client:
        while True:
            found = client.read_task_runs(flow_run_filter=only, limit=200)
            ended = [run for run in found if run.state.is_final()]
            if len(ended) >= count or time.monotonic() > deadline_s:
                return sorted((run.name, run.state_type) for run in found)
            time.sleep(0.2)


@pytest.mark.parametrize("problem", COLLECTIONS)
def test_an_isolated_run_outlives_whatever_its_loss_does(problem, tmp_path):
    misbehaviours, timeout_s = COLLECTIONS[problem]
    isolated = settings(
        tmp_path,
        problem,
        len(misbehaviours),
        evaluation={"timeout_s": timeout_s},
        cluster={"memory_limit": "400MB"},
        validation={"problem": "misbehaving:is_killed", "every": 1},
    )
    asked = request(isolated)
    assert "misbehaving" not in sys.modules
    result = run_in_process(asked, Outlook())
    assert result.status == "finished"
    assert "misbehaving" not in sys.modules
    run = open_run(result.path / "run.zarr")
    check_all(run, misbehaviours)
    has_best = any(row.outcome is Outcome.OK for row in run.evaluation_rows())
    assert {row.outcome for row in run.validation_rows()} == ({Outcome.WORKER_LOST} if has_best else set())


@pytest.mark.parametrize(
    ("loss", "timeout_s", "retries", "outcome", "attempts"),
    [
        ("dies_at_first", PATIENCE_S, 2, Outcome.OK, 2),
        ("ends_badly", PATIENCE_S, 9, Outcome.WORKER_LOST, 3),
        ("hangs_in_c", 1.0, 1, Outcome.TIMEOUT, 2),
        ("raises", PATIENCE_S, 9, Outcome.EXCEPTION, 1),
    ],
)
def test_what_may_pass_the_second_time_is_tried_again(tmp_path, loss, timeout_s, retries, outcome, attempts):
    (tmp_path / "misbehaving.py").write_text(Path(misbehaving.__file__).read_text())
    evaluation = {"timeout_s": timeout_s, "retries": retries}
    isolated = settings(tmp_path, f"misbehaving:{loss}", 1, evaluation=evaluation)
    result = run_in_process(request(isolated, str(tmp_path)), Outlook())
    first = next(open_run(result.path / "run.zarr").evaluation_rows())
    assert (first.outcome, first.attempts) == (outcome, attempts)
    assert first.finished_s >= first.started_s >= first.submitted_s


def test_a_problem_that_has_no_name_cannot_be_isolated():
    problem = shoal.Problem(lambda x: 1.0, [shoal.Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)])
    with pytest.raises(ShoalError, match="give its problem as 'module:attribute'"):
        shoal.run(problem, evaluation={"isolated": True})


@pytest.mark.parametrize(
    ("cluster", "evaluation", "message"),
    [
        ({"memory_limit": "1GB", "kwargs": {"memory_limit": "2GB"}}, {}, "leave one of them out"),
        ({"memory_limit": "much"}, {}, "could not parse value and unit"),
        ({"memory_limit": 4}, {}, r"4B is not enough: .* give a unit, as in 4GiB"),
        ({"memory_limit": "100MiB"}, {}, "100.0MiB is not enough: a worker takes nearly 200.0MiB"),
        ({}, {"timeout_s": 0.0}, "greater than 0"),
        ({}, {"retries": -1}, "greater than or equal to 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, cluster, evaluation, message):
    with pytest.raises(ValueError, match=message):
        settings(tmp_path, "misbehaving:behaves", 2, cluster=cluster, evaluation=evaluation)


def test_a_limit_that_nobody_would_keep_is_refused(tmp_path):
    elsewhere = {"address": "tcp://a:1", "memory_limit": "1GB"}
    with pytest.raises(ValueError, match=r"set evaluation\.isolated"):
        settings(tmp_path, "misbehaving:behaves", 2, cluster=elsewhere)
    isolated = settings(tmp_path, "misbehaving:behaves", 2, cluster=elsewhere, evaluation={"isolated": True})
    assert isolated.isolation == (None, 1_000_000_000)
    assert RunSettings.model_validate(isolated.model_dump(mode="json")) == isolated


def test_local_workers_have_the_memory_that_they_are_given():
    runner = task_runner(ClusterSettings(memory_limit="2GiB"))
    assert runner.cluster_kwargs["memory_limit"] == 2 * 1024**3


@pytest.mark.slow
@pytest.mark.parametrize("problem", COLLECTIONS)
def test_an_isolated_run_on_dask_leaves_no_task_run_running(problem, cluster, tmp_path):
    misbehaviours, timeout_s = COLLECTIONS[problem]
    state = optimize(
        settings=settings(
            tmp_path,
            problem,
            len(misbehaviours),
            evaluation={"timeout_s": timeout_s, "retries": 1},
            cluster={"address": cluster.scheduler_address, "memory_limit": "400MB"},
        ),
        name="run",
        code_folder=CODE_FOLDER,
        return_state=True,
    )
    assert state.type is StateType.COMPLETED
    run = open_run(tmp_path / "run" / "run.zarr")
    check_all(run, misbehaviours)
    expected: Counter[tuple[str, StateType]] = Counter()
    for row in run.evaluation_rows():
        is_retried = row.outcome in {Outcome.TIMEOUT, Outcome.WORKER_LOST}
        assert row.attempts == 1 + is_retried
        ended = StateType.COMPLETED if row.outcome is Outcome.OK else StateType.FAILED
        expected[f"optimizer {row.optimizer} call {row.call}", ended] += row.attempts
    seen = task_runs(run.attributes["flow_run_id"], expected.total())
    assert Counter(seen) == expected


@pytest.mark.slow
def test_a_loss_that_takes_its_worker_with_it_is_crashed_in_the_dashboard(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)  # else Dask tries two more workers
    state = optimize(
        settings=settings(
            tmp_path, "misbehaving:is_killed", 1, cluster={"address": cluster.scheduler_address}
        ).model_copy(update={"exit_conditions": (shoal.MaxTotalFunctionCalls(max=1),)}),
        name="run",
        code_folder=CODE_FOLDER,
        return_state=True,
    )
    assert state.is_final()
    run = open_run(tmp_path / "run" / "run.zarr")
    (row,) = run.evaluation_rows()
    assert (row.outcome, row.attempts) == (Outcome.WORKER_LOST, 1)
    assert "1 worker died evaluating it, the last one at tcp://127.0.0.1:" in failures(run)[row.sequence]
    assert task_runs(run.attributes["flow_run_id"], 1) == [("optimizer 1 call 1", StateType.CRASHED)]


@pytest.mark.slow
def test_workers_that_come_and_go_lose_no_evaluation_and_none_is_counted_twice(cluster, tmp_path):
    (tmp_path / "counted.py").write_text(COUNTED)
    calls = tmp_path / "calls"

    def take_away_and_give_back() -> None:
        for count, workers in ((20, 1), (60, 2), (100, 1)):
            while not calls.exists() or calls.stat().st_size < count:
                time.sleep(0.02)
            cluster.scale(workers)

    steering = threading.Thread(target=take_away_and_give_back, daemon=True)
    steering.start()
    try:
        state = optimize(
            settings=settings(tmp_path, "counted:loss", 150, cluster={"address": cluster.scheduler_address}),
            name="run",
            code_folder=str(tmp_path),
            return_state=True,
        )
        steering.join(PATIENCE_S)
    finally:
        cluster.scale(2)
    assert state.type is StateType.COMPLETED
    run = open_run(tmp_path / "run" / "run.zarr")
    rows = list(run.evaluation_rows())
    assert {row.outcome for row in rows} == {Outcome.OK}
    assert sorted((row.optimizer, row.call) for row in rows) == [(1, call) for call in range(1, 152)]
    assert sorted(round(float(row.x[0])) for row in rows) == [0, *range(150)]
    seen = task_runs(run.attributes["flow_run_id"], 151)
    assert Counter(state for _, state in seen) == {StateType.COMPLETED: 151}
    assert len(set(seen)) == 151


@pytest.mark.services
def test_a_worker_that_has_too_much_memory_is_replaced(prefect_home):
    with (
        local_cluster(n_workers=1, threads_per_worker=1, memory_limit=600_000_000) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        cluster.scheduler.allowed_failures = 0
        pauses_at = client.run(lambda dask_worker: dask_worker.memory_manager.memory_pause_fraction)
        assert list(pauses_at.values()) == [False]
        with pytest.raises(KilledWorker):
            client.submit(_fill, pure=False).result()
        assert client.submit(abs, -3).result() == 3


def _fill() -> None:
    """Takes 1 GB, slowly enough to be watched."""
    taken = []
    for _ in range(40):
        taken.append(np.ones(25_000_000 // 8))
        time.sleep(0.02)
    time.sleep(1000)
