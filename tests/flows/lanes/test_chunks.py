"""Runs whose task runs carry several evaluations.

Invariants:

* Whatever a chunk has, each of its evaluations is a row of its own, with the outcome, the loss, the attempts and the
  times that it would have had alone; never more are in flight than allowed.
* The dashboard says how many a task run has, whose the first is, and how many failed; it is Failed when all did.
* Of a chunk that takes its worker with it only the culprit is lost.
* A run that ended in the middle of chunks goes on; what they had is sent again.
* With "auto" chunks begin with one and grow; a chunk never waits to be filled, and leaves the others their share.
* That tracking costs more than the loss is said once.
"""

from __future__ import annotations

import logging
import math
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from distributed import LocalCluster
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import StateType

from flows.lanes import tracking_cost
from flows.lanes.chunks import AIM_S, MOST, Pace
from flows.lanes.dask_lane import DaskLane
from flows.lanes.local import run_in_process
from flows.launch import run_as_flow
from flows.optimize import optimize
from flows.reports.outlook import Outlook
from flows.run.request import described, request_for
from flows.settings import EvaluationSettings, RunSettings
from optim.chunks import chunk_size, places_for
from optim.journal import EvaluationRow, EventKind
from optim.outcome import Outcome
from optim.store import RunReader, open_run
from optim.walltime import REMEMBERED
from tasks.child import describe_in_child

FIT = """
import os
import signal
import time
from pathlib import Path


def mixed(x):
    if round(x[0]) == 7:
        raise ValueError("too far out")
    return float(x[0] ** 2) if x[0] < 17.5 else float("nan")


def square(x):
    return float(x[0] ** 2)


def kills(x):
    if round(x[0]) == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(x[0] ** 2)


def misbehaves_at_first(x):
    marker = Path(__file__).with_name(f"seen-{x[0]:.0f}")
    if round(x[0]) in (2, 4) and not marker.exists():
        marker.touch()
        os._exit(3) if round(x[0]) == 2 else time.sleep(1000)
    return float(x[0] ** 2)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chunk_fit.py").write_text(FIT)
    return tmp_path


def settings(folder: Path, loss: str, count: int, **more: Any) -> RunSettings:
    """A run that evaluates a loss at 0, and then at 0, 1, ..., count - 1."""
    return RunSettings.model_validate(
        {
            "problem": f"chunk_fit:{loss}",
            "seed": 1,
            "parallel_optimizers": 1,
            "baseline": False,
            "parameter": [{"name": "place", "initial": 0.0, "lower": 0.0, "upper": count - 1.0}],
            "generator": {"type": "SinglePoint"},
            "optimizer": [{"type": "GridSampling", "points_per_axis": count}],
            "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": count + 1}],
            "store": {"location": str(folder / "runs")},
            **more,
        }
    )


def on(cluster: LocalCluster, **evaluation: Any) -> dict[str, Any]:
    return {"cluster": {"address": cluster.scheduler_address}, "evaluation": evaluation}


def run(folder: Path, chosen: RunSettings, seen: Outlook | None = None) -> RunReader:
    result = run_as_flow("optimize", seen=seen, settings=chosen, name="run", code_folder=str(folder))
    assert result.status == "finished"
    return open_run(result.path / "run.zarr")


def twin(folder: Path, chosen: RunSettings) -> RunReader:
    """The same run in this process, one evaluation after the other."""
    request = request_for(
        chosen, described(chosen, str(folder), describe_in_child), name="twin", code_folder=str(folder)
    )
    return open_run(run_in_process(request, Outlook()).path / "run.zarr")


def what_came_of(row: EvaluationRow) -> tuple[int, int, float, str, str, int]:
    return row.optimizer, row.call, float(row.x[0]), repr(row.loss), row.outcome.label, row.attempts


class TaskRun(NamedTuple):
    count: int
    first: tuple[int, int]
    state: StateType
    message: str | None


def task_runs(run: RunReader) -> list[TaskRun]:
    """What the dashboard shows, in the order in which they started."""
    only = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run.attributes["flow_run_id"])]))
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(flow_run_filter=only, limit=200)
    shown = []
    for task_run in sorted(found, key=lambda one: (one.start_time is None, one.start_time)):
        named = re.fullmatch(r"(?:(\d+) evaluations from )?optimizer (\d+) call (\d+)", task_run.name)
        assert named, task_run.name
        count, optimizer, call = named.groups("1")
        first = int(optimizer), int(call)
        shown.append(TaskRun(int(count), first, task_run.state_type, task_run.state.message))
    return shown


class Lines(logging.Handler):
    """Keeps what a run says."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.mark.slow
def test_evaluations_of_a_chunk_are_as_they_would_be_alone(cluster, folder):
    chosen = settings(folder, "mixed", 30, **on(cluster, per_task=5, max_in_flight=12))
    found = run(folder, chosen)
    rows = list(found.evaluation_rows())
    assert sorted(map(what_came_of, rows)) == sorted(
        map(what_came_of, twin(folder, chosen).evaluation_rows())
    )
    by_worker = defaultdict(list)
    for row in rows:
        assert row.submitted_s <= row.started_s <= row.finished_s
        assert sum(other.submitted_s <= row.submitted_s < other.finished_s for other in rows) <= 12
        by_worker[row.worker].append((row.started_s, row.finished_s))
    assert len(by_worker) == 2
    for times in map(sorted, by_worker.values()):
        assert all(end_s <= next_s for (_, end_s), (next_s, _) in pairwise(times))

    shown = task_runs(found)
    assert sum(one.count for one in shown) == len(rows) == 31
    assert 1 < max(one.count for one in shown) <= 5
    failed = 0
    for one in shown:
        message = re.fullmatch(
            r"(\d+) of (\d+) failed; the first is optimizer 1 call \d+: (.*)", one.message or ""
        )
        if one.count == 1:
            failed += one.state is StateType.FAILED
        elif message:
            assert int(message[2]) == one.count
            assert message[3] in ("ValueError: too far out", "the loss returned nan")
            assert one.state is (StateType.FAILED if message[1] == message[2] else StateType.COMPLETED)
            failed += int(message[1])
        else:
            assert one.state is StateType.COMPLETED
    assert failed == sum(row.outcome is not Outcome.OK for row in rows) == 13
    assert any(one.count > 1 and one.state is StateType.FAILED for one in shown)


@pytest.mark.slow
def test_only_the_culprit_of_a_chunk_that_kills_its_worker_is_lost(cluster, folder, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)  # else Dask tries two more workers
    found = run(folder, settings(folder, "kills", 15, **on(cluster, per_task=4)))
    lost = [row for row in found.evaluation_rows() if row.outcome is not Outcome.OK]
    assert [(round(row.x[0]), row.outcome, row.attempts) for row in lost] == [(7, Outcome.WORKER_LOST, 1)]
    (failure,) = (row.text for row in found.event_rows() if row.kind is EventKind.FAILURE)
    assert failure.startswith("1 worker died evaluating it, the last one at ")
    assert sum(row.outcome is Outcome.OK for row in found.evaluation_rows()) == 15
    shown = task_runs(found)
    crashed = [one for one in shown if one.state is StateType.CRASHED]
    assert [one.count for one in crashed if one.first == (1, lost[0].call)].count(1) == 1
    assert max(one.count for one in crashed) == 4
    # Not more is asked of the dashboard: a worker that is killed takes with it what it has not told the server yet.
    assert sum(one.count for one in shown if one.state is StateType.COMPLETED) <= 15


@pytest.mark.slow
def test_an_isolated_loss_that_fails_is_tried_again_and_spoils_no_other(cluster, folder):
    evaluation = on(cluster, per_task=4, timeout_s=1.0, retries=1)
    found = run(folder, settings(folder, "misbehaves_at_first", 15, **evaluation))
    rows = list(found.evaluation_rows())
    assert {row.outcome for row in rows} == {Outcome.OK}
    assert {round(row.x[0]): row.attempts for row in rows if row.attempts > 1} == {2: 2, 4: 2}
    shown = task_runs(found)
    assert sum(one.count for one in shown) == len(rows) + 2
    assert sum((one.message or "").count("1 of 4 failed") for one in shown) == 2


@pytest.mark.slow
def test_a_run_that_ended_in_the_middle_of_chunks_goes_on(cluster, folder, monkeypatch):
    chosen = settings(
        folder,
        "square",
        30,
        parallel_optimizers=3,
        parameter=[{"name": name, "initial": 0.5, "lower": -1.0, "upper": 2.0} for name in "ab"],
        generator={"type": "Random"},
        optimizer=[{"type": "CMAES", "popsize": 8}, {"type": "Scipy"}],
        exit_condition=[{"type": "MaxTotalFunctionCalls", "max": 90}],
        **on(cluster, per_task=3),
    )
    chunks = []
    take = DaskLane._take

    def take_some(lane: DaskLane, chunk: list[Any], future: Any) -> None:
        if len(chunks) == 6:
            raise RuntimeError("the power is gone")
        chunks.append([(attempts.submit.optimizer, attempts.submit.call) for attempts in chunk])
        take(lane, chunk, future)

    with monkeypatch.context() as patch:
        patch.setattr(DaskLane, "_take", take_some)
        state = optimize(settings=chosen, name="run", code_folder=str(folder), return_state=True)
    assert state.type is StateType.FAILED
    store = folder / "runs" / "run" / "run.zarr"
    assert "the power is gone" in open_run(store).attributes["reason"]
    before = [(row.optimizer, row.call) for row in open_run(store).evaluation_rows()]
    assert sorted(before) == sorted(call for chunk in chunks for call in chunk)
    assert max(map(len, chunks)) > 1
    assert run_as_flow("resume", name="run", location=str(folder / "runs")).status == "finished"
    after = [(row.optimizer, row.call) for row in open_run(store).evaluation_rows()]
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) == 90


@pytest.mark.slow
def test_chunks_grow_with_auto(cluster, folder):
    seen, lines = Outlook(), Lines()
    seen.handlers.append(lines)
    found = run(folder, settings(folder, "square", 400, **on(cluster, per_task="auto")), seen)
    shown = task_runs(found)
    assert sum(one.count for one in shown) == len(list(found.evaluation_rows())) == 401
    assert shown[0].count == 1
    assert max(one.count for one in shown) > 4
    assert not [line for line in lines.lines if "Tracking costs" in line]


@pytest.mark.slow
def test_it_is_said_once_that_tracking_costs_more_than_the_loss(cluster, folder, monkeypatch):
    monkeypatch.setattr(tracking_cost, "ENOUGH", 15)
    seen, lines = Outlook(), Lines()
    seen.handlers.append(lines)
    run(folder, settings(folder, "square", 60, **on(cluster)), seen)
    (line,) = (line for line in lines.lines if "Tracking costs" in line)
    assert re.search(
        r"more than the loss: [\d.e+]+ ms for each .* takes [\d.e-]+ ms\. .*per_task = \"auto\"", line
    )


@pytest.mark.parametrize("wrong", [0, -1, "automatic", 2.5, True])
def test_other_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"(?s)1 validation error.*per_task.*a positive integer, or auto"):
        EvaluationSettings(per_task=wrong)


@pytest.mark.parametrize(
    ("most", "wanted"), [(1, [1, 1, 1, 1]), (8, [8, 8, 8, 8]), (20, [17, 17, 16]), (MOST, [25, 25])]
)
def test_fifty_optimizers_are_divided_over_two_workers(most, wanted):
    sizes, waiting, in_flight = [], 50, 0
    places = places_for(50, most, limit=4, threads=2)
    for free in range(places, 0, -1):
        sizes.append(chunk_size(waiting, in_flight, free, places, most))
        waiting, in_flight = waiting - sizes[-1], in_flight + sizes[-1]
    assert sizes == wanted


@given(
    evaluations=st.integers(0, 3000),
    most=st.integers(1, MOST),
    threads=st.integers(1, 50),
    per_thread=st.integers(1, 4),
)
def test_every_thread_has_a_place_and_more_only_for_full_chunks(evaluations, most, threads, per_thread):
    limit = per_thread * threads
    places = places_for(evaluations, most, limit, threads)
    assert threads <= places <= limit
    assert places == threads or (places - 1) * most < evaluations
    assert places == limit or places * most >= evaluations


def test_the_first_place_that_is_free_does_not_take_all_that_waits():
    assert chunk_size(waiting=47, in_flight=3, free=1, places=4, most=MOST) == 13


@given(
    waiting=st.integers(1, 3000),
    out=st.lists(st.integers(1, 100), max_size=20),
    free=st.integers(1, 20),
    most=st.integers(1, MOST),
)
def test_all_that_waits_is_divided_evenly_as_far_as_there_is_room(waiting, out, free, most):
    places, in_flight = len(out) + free, sum(out)
    fair = math.ceil((waiting + in_flight) / places)
    sizes = []
    while waiting and free:
        sizes.append(chunk_size(waiting, in_flight, free, places, most))
        waiting, in_flight, free = waiting - sizes[-1], in_flight + sizes[-1], free - 1
    assert min(sizes) >= 1
    assert max(sizes) <= min(most, fair)
    assert max(sizes) - min(sizes) <= 1
    assert not waiting or (not free and set(sizes) == {min(most, fair)})


def test_a_fixed_size_is_a_fixed_size():
    pace = Pace(7)
    assert pace.most() == 7
    pace.took(1000.0)
    assert pace.most() == 7


def test_auto_begins_with_one_and_grows_to_half_a_second():
    pace = Pace("auto")
    sizes = []
    for _ in range(300):
        sizes.append(pace.most())
        pace.took(AIM_S / 32)
    assert sizes[:5] == [1, 1, 2, 3, 4]
    assert max(sizes) == sizes[-1] == 32
    for _ in range(REMEMBERED):
        pace.took(AIM_S / 4)
    assert pace.most() == 4
    for _ in range(REMEMBERED):
        pace.took(60.0)
    assert pace.most() == 1


def test_auto_has_a_cap():
    pace = Pace("auto")
    for _ in range(2 * MOST):
        pace.took(1e-6)
    assert pace.most() == MOST


@pytest.mark.parametrize("per_task", [50, "auto"])
def test_a_chunk_that_must_be_back_in_time_is_smaller(per_task):
    pace = Pace(per_task)
    assert pace.most(within_s=0.0) == (50 if per_task == 50 else 1)  # nobody knows yet what a loss takes
    for _ in range(REMEMBERED - 1):
        pace.took(0.001)
    pace.took(0.1)
    assert pace.most(within_s=1.0) == 10
    assert pace.most(within_s=0.01) == 1
