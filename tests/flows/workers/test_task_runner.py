"""The task runner.

Invariants:

* Every submission is one task run of its flow run, under its own name, recorded with its final state.
* Any task works: with futures among its parameters, after others, async, in a flow run after another on the same
  cluster, on a worker that joined late.
* No task sees what another has set in its context; neither worker nor scheduler keeps anything of one that is over.
* A loss that fails, whatever it raises, comes back as data; so does one that kills its worker.
* A worker that dies takes nothing with it but the attempt.
* A small result is there when its task has ended, and a large one is fetched.
"""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from distributed import Client, LocalCluster
from prefect import flow, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import StateType, TaskRun
from prefect.client.schemas.sorting import TaskRunSort
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from flows.server.records import wait_until_recorded
from flows.workers.task_runner import SharedContextTaskRunner
from optim.outcome import Outcome
from tasks.evaluate import evaluate, take_evaluation
from tasks.evaluation import Evaluation
from tasks.small_results import MOST_BYTES

LOSSES = '''
import contextvars, os, signal

COUNT = contextvars.ContextVar("COUNT", default=0)

class Awkward(Exception):
    """Cannot be pickled, and only this module knows it."""

    def __init__(self, a, b):
        super().__init__(a)
        self.handle = open(os.devnull)

def square(x):
    return float((x**2).sum())

def raises(x):
    raise Awkward("no convergence in", "SCF")

def infinite(x):
    return float("inf")

def count(x):
    COUNT.set(COUNT.get() + 1)
    return COUNT.get() - 1.0

def kills(x):
    os.kill(os.getpid(), signal.SIGKILL)
'''


@task(cache_policy=NO_CACHE)
def add(a: int, b: int) -> int:
    return a + b


@task(cache_policy=NO_CACHE)
def repeat(text: str, times: int) -> str:
    return text * times


@task(cache_policy=NO_CACHE)
async def double(a: int) -> int:
    return 2 * a


@task(cache_policy=NO_CACHE)
def meet(folder: str, others: int) -> int:
    """Waits until so many processes are here at once."""
    Path(folder, str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(os.listdir(folder)) < others and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.getpid()


@task(cache_policy=NO_CACHE)
def die_once(marker: str) -> str:
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@pytest.fixture(scope="session")
def losses(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("code")
    (folder / "losses_of_a_user.py").write_text(LOSSES)
    return str(folder)


@pytest.fixture
def run(cluster: LocalCluster) -> Callable[[Callable[[], Any]], tuple[Any, UUID]]:
    """Runs a body as a flow on the cluster; gives what it returned, and the flow run."""

    def run_as_flow(body: Callable[[], Any]) -> tuple[Any, UUID]:
        @flow(name="test", task_runner=SharedContextTaskRunner(address=cluster.scheduler_address))
        def in_flow() -> tuple[Any, UUID]:
            return body(), UUID(flow_run.get_id())

        return in_flow()

    return run_as_flow


def submit(folder: str, loss: str, call: int, x: list[float]) -> Any:
    return evaluate.submit(f"losses_of_a_user:{loss}", folder, 3, call, x)


def recorded(flow_run_id: UUID, count: int) -> list[TaskRun]:
    assert wait_until_recorded(flow_run_id, count, patience_s=30) == count
    with get_client(sync_client=True) as client:
        only = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
        return client.read_task_runs(flow_run_filter=only, limit=200, sort=TaskRunSort.ID_DESC)


def test_every_evaluation_is_one_completed_task_run_under_its_name(run, losses):
    def body() -> list[Evaluation]:
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for call in range(1, 21):
            submit(losses, "square", call, [float(call), 2.0]).add_done_callback(done.put)
        return [take_evaluation(done.get(timeout=60)) for _ in range(20)]

    evaluations, flow_run_id = run(body)
    assert sorted(e.loss for e in evaluations) == [call**2 + 4.0 for call in range(1, 21)]
    assert {e.outcome for e in evaluations} == {Outcome.OK}
    assert all(e.started_s <= e.finished_s for e in evaluations)
    assert str(os.getpid()) not in {e.worker.split("/")[1] for e in evaluations}
    task_runs = recorded(flow_run_id, 20)
    assert sorted(t.name for t in task_runs) == sorted(f"optimizer 3 call {c}" for c in range(1, 21))
    assert {t.state_type for t in task_runs} == {StateType.COMPLETED}
    assert all(t.tags == [] for t in task_runs)


def test_a_failed_evaluation_is_a_failed_task_run_and_comes_back_as_data(run, losses):
    def body() -> list[Evaluation]:
        futures = [submit(losses, "raises", 1, [1.0]), submit(losses, "infinite", 2, [1.0])]
        futures.append(evaluate.submit("no_such_module:loss", losses, 3, 3, [1.0]))
        return [take_evaluation(future) for future in futures]

    (raised, infinite, missing), flow_run_id = run(body)
    assert raised.outcome is Outcome.EXCEPTION
    assert raised.text == "Awkward: no convergence in"
    assert infinite.outcome is Outcome.NONFINITE
    assert infinite.loss == float("inf")
    assert missing.outcome is Outcome.EXCEPTION
    assert "no module named 'no_such_module'" in missing.text
    task_runs = recorded(flow_run_id, 3)
    assert {t.state_type for t in task_runs} == {StateType.FAILED}
    (message,) = [t.state.message for t in task_runs if t.name == "optimizer 3 call 1"]
    assert "Awkward: no convergence in" in message


def test_futures_and_states_are_those_of_any_task_runner(run):
    def body() -> tuple[Any, ...]:
        first = add.submit(1, 2)
        second = add.submit(first, 10)
        third = double.submit(second, wait_for=[first])
        third.wait()
        first.wait()
        mapped = add.map([1, 2, 3], 1).result()
        return (
            first.state.type,
            third.state.name,
            third.result(),
            mapped,
            third.task_run_id,
            second.task_run_id,
        )

    (first, third, value, mapped, third_id, second_id), flow_run_id = run(body)
    assert (first, third, value, mapped) == (StateType.COMPLETED, "Completed", 26, [2, 3, 4])
    by_id = {t.id: t for t in recorded(flow_run_id, 6)}
    assert {i.id for i in by_id[third_id].task_inputs["a"]} == {second_id}
    assert "wait_for" in by_id[third_id].task_inputs


def test_one_flow_run_after_another_on_the_same_cluster_keep_their_task_runs(run):
    for expected in (3, 4):
        value, flow_run_id = run(lambda expected=expected: add.submit(expected - 1, 1).result())
        assert value == expected
        (only,) = recorded(flow_run_id, 1)
        assert only.flow_run_id == flow_run_id


def test_a_flow_run_leaves_nothing_on_the_workers(run, cluster):
    run(lambda: add.submit(1, 1).result())
    with Client(cluster, set_as_default=False) as client:
        names = client.run(lambda dask_worker: [*dask_worker.plugins, *dask_worker.state.available_resources])
    assert not [name for found in names.values() for name in found if name.startswith(("prefect-", "shoal-"))]


def test_no_task_sees_what_another_set_in_its_context(run, losses):
    def body() -> list[Evaluation]:
        return [take_evaluation(submit(losses, "count", call, [1.0])) for call in range(6)]

    assert [evaluation.loss for evaluation in run(body)[0]] == [0.0] * 6


def test_nobody_keeps_anything_of_a_task_run_that_is_over(run, cluster):
    def kept(dask_worker: Any) -> list[int]:
        contexts = [
            plugin for name, plugin in dask_worker.plugins.items() if name.startswith("prefect-context")
        ]
        return [plugin.copy().run(lambda: len(FlowRunContext.get().run_results)) for plugin in contexts]

    def body() -> list[list[int]]:
        runner = FlowRunContext.get().task_runner
        for future in [add.submit(1000 + x, 1) for x in range(8)]:
            future.result()
        return list(runner.client.run(kept).values())

    assert {tuple(each) for each in run(body)[0]} == {(0,)}
    spans = cluster.scheduler.extensions["spans"].spans.values()
    assert not [span for span in spans if span.metadata and span.metadata["collections"]]


@pytest.mark.parametrize(("size", "fetched"), [(1, 0), (MOST_BYTES, 1)])
def test_only_large_results_are_fetched(run, size, fetched):
    def body() -> tuple[str, int]:
        client = FlowRunContext.get().task_runner.client

        def sent() -> int:
            counts = client.run(lambda dask_worker: dask_worker.transfer_outgoing_count_total)
            return sum(counts.values())

        future = repeat.submit("a", size)
        assert future.wrapped_future.exception(timeout=60) is None  # waits, and fetches nothing
        before = sent()
        return future.result(), sent() - before

    assert run(body)[0] == ("a" * size, fetched)


def test_tags_of_the_moment_reach_the_task_run(run):
    def body() -> None:
        add.submit(1, 1).result()
        with tags("probe"):
            add.submit(1, 2).result()

    task_runs = recorded(run(body)[1], 2)
    assert sorted(t.tags for t in task_runs) == [[], ["probe"]]


def test_a_worker_that_joins_late_takes_part(cluster, tmp_path):
    try:
        with SharedContextTaskRunner(address=cluster.scheduler_address) as runner:
            runner.submit(add, {"a": 1, "b": 1}).wait()
            cluster.scale(3)
            futures = [runner.submit(meet, {"folder": str(tmp_path), "others": 3}) for _ in range(3)]
            assert len({future.result() for future in futures}) == 3
    finally:
        cluster.scale(2)


def test_a_worker_that_dies_is_replaced_and_its_task_runs_again(run, tmp_path, losses):
    def body() -> tuple[str, list[Evaluation]]:
        value = die_once.submit(str(tmp_path / "marker")).result()
        return value, [take_evaluation(submit(losses, "square", c, [2.0])) for c in range(4)]

    value, evaluations = run(body)[0]
    assert value == "alive"
    assert [e.loss for e in evaluations] == [4.0] * 4


def test_a_loss_that_kills_its_worker_comes_back_as_lost(run, cluster, losses, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(cluster.scheduler, "allowed_failures", 0)  # else Dask tries three more workers
        lost, _ = run(lambda: take_evaluation(submit(losses, "kills", 1, [3.0])))
    assert lost.outcome is Outcome.WORKER_LOST
    assert run(lambda: take_evaluation(submit(losses, "square", 1, [3.0])))[0].loss == 9.0


def test_a_duplicate_is_equal_and_another_cluster_is_not():
    runner = SharedContextTaskRunner(address="tcp://127.0.0.1:1")
    assert type(runner.duplicate()) is SharedContextTaskRunner
    assert runner.duplicate() == runner
    assert runner != SharedContextTaskRunner(address="tcp://127.0.0.1:2")


def test_submitting_before_the_start_says_what_to_do():
    with pytest.raises(RuntimeError, match="start the task runner"):
        SharedContextTaskRunner(address="tcp://127.0.0.1:1").submit(add, {"a": 1, "b": 2})
