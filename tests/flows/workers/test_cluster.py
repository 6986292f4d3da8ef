"""The cluster's settings, and what local workers are like.

Invariants:

* Settings that contradict each other are refused with what to leave out; what is written reads back the same.
* Local workers, also those that come late, are processes with safe paths and one BLAS thread, which listen on loopback
  and not to what a terminal sends.
* Local workers tell rarely how they are, whatever the scheduler wants.
* Workers that were started ahead are those of the next task runner that wants such ones; those that nobody wants are
  closed. What keeps them from starting is told when the flow begins, not before.
* Ctrl-C while workers start is heard once, when they have started and can be closed; never by those that start.
* Workers that are dismissed end while others are waited for; those of another cluster are never dismissed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from distributed import Client, LocalCluster
from pydantic import ValidationError

from flows.settings import ClusterSettings
from flows.workers import cluster as module
from flows.workers.cluster import HEARTBEAT_S, dismiss, local_cluster, started_ahead, task_runner
from optim.errors import ClusterError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"address": "tcp://a:1", "workers": 2}, "leave out workers"),
        ({"address": "tcp://a:1", "class": "a.B", "adapt": {"maximum": 2}}, "leave out adapt, class"),
        ({"class": "a.B", "workers": 2}, "leave out workers"),
        ({"kwargs": {"n_workers": 2}}, "use workers and threads_per_worker"),
        ({"workers": 2, "adapt": {"maximum": 3}}, "leave out workers"),
        ({"adapt": {"min": 2, "maximum": 3}}, "adapt has min; allowed are interval, maximum, "),
        ({"workers": 0}, "greater than 0"),
        ({"werkers": 2}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_change(settings, message):
    with pytest.raises(ValidationError, match=message):
        ClusterSettings.model_validate(settings)


def test_what_is_written_reads_back_the_same():
    settings = ClusterSettings.model_validate(
        {"class": "a.B", "kwargs": {"cores": 4}, "adapt": {"maximum": 9}}
    )
    assert ClusterSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_each_way_to_a_cluster_gives_its_task_runner():
    local = task_runner(ClusterSettings(workers=3, kwargs={"memory_limit": "1GB"}))
    assert local.cluster_class is local_cluster
    assert local.cluster_kwargs == {"n_workers": 3, "threads_per_worker": 1, "memory_limit": "1GB"}
    assert task_runner(ClusterSettings()).cluster_kwargs["n_workers"] == os.cpu_count()
    assert task_runner(ClusterSettings(adapt={"maximum": 4})).adapt_kwargs == {"maximum": 4}
    assert task_runner(ClusterSettings(address="tcp://a:1")).address == "tcp://a:1"
    with pytest.raises(ClusterError, match=r"'no\.such\.Cluster' cannot be imported"):
        task_runner(ClusterSettings(cluster_class="no.such.Cluster"))
    other = task_runner(ClusterSettings(cluster_class="distributed.LocalCluster", kwargs={"n_workers": 1}))
    assert other.resolved_cluster_class is LocalCluster


def test_local_workers_are_started_as_promised(cluster, server):
    def look() -> tuple[int, str | None, str | None, str | None, bool]:
        names = ("PYTHONSAFEPATH", "OPENBLAS_NUM_THREADS", "PREFECT_API_URL")
        heard = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)]
        return (os.getpid(), *map(os.environ.get, names), set(heard) == {signal.SIG_IGN})

    try:
        with Client(cluster, set_as_default=False) as client:
            cluster.scale(3)
            client.wait_for_workers(3)
            seen = client.run(look)
    finally:
        cluster.scale(2)
    assert len({pid for pid, *_ in seen.values()} - {os.getpid()}) == 3
    assert {tuple(rest) for _, *rest in seen.values()} == {("1", "1", server, True)}
    assert all(address.startswith("tcp://127.0.0.1:") for address in (*seen, cluster.scheduler_address))
    assert "//127.0.0.1:" in cluster.dashboard_link


def test_what_a_loss_starts_may_be_interrupted(cluster):
    def interrupted() -> int:
        code = "import signal; signal.signal(signal.SIGINT, lambda *_: exit(7)); print(flush=True); signal.pause()"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
        return process.returncode

    with Client(cluster, set_as_default=False) as client:
        assert client.submit(interrupted, pure=False).result() == 7


def test_the_scheduler_does_not_make_local_workers_beat_more_often(cluster):
    async def beat(dask_worker: Any) -> tuple[float, float]:
        callback = dask_worker.periodic_callbacks["heartbeat"]
        await callback.callback()
        return dask_worker.scheduler_delay, callback.callback_time / 1000

    with Client(cluster, set_as_default=False) as client:
        beaten = client.run(beat).values()
    assert {interval_s for _, interval_s in beaten} == {HEARTBEAT_S}
    assert all(delay_s for delay_s, _ in beaten)  # it was answered


class FakeCluster:
    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs
        self.is_closed = False
        self.workers = 2

    def close(self) -> None:
        self.is_closed = True

    def scale(self, workers: int) -> None:
        self.workers = workers


def test_workers_started_ahead_are_taken_over_and_what_nobody_wanted_is_closed(monkeypatch):
    monkeypatch.setattr(module, "LocalWorkers", FakeCluster)
    settings = ClusterSettings(workers=2)
    wanted, other = (
        task_runner(settings).cluster_kwargs,
        task_runner(ClusterSettings(workers=3)).cluster_kwargs,
    )
    with started_ahead(settings):
        assert local_cluster(**other).kwargs["n_workers"] == 3
        taken = local_cluster(**wanted)
        assert local_cluster(**wanted) is not taken
    assert not taken.is_closed
    with started_ahead(settings):
        (_, left) = module._ahead[0]
    assert left.is_closed
    assert local_cluster(**wanted) is not left


def test_what_is_pressed_while_workers_start_is_heard_when_they_can_be_closed(monkeypatch):
    started = []

    class Disturbed(FakeCluster):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
            self.is_deaf = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
            started.append(self)

    monkeypatch.setattr(module, "LocalWorkers", Disturbed)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        local_cluster()
    assert [(one.is_closed, one.is_deaf) for one in started] == [(True, "True\n")]
    assert signal.getsignal(signal.SIGINT) is handler


def test_only_local_workers_of_our_own_are_dismissed(monkeypatch):
    monkeypatch.setattr(module, "LocalWorkers", FakeCluster)
    own = FakeCluster()
    for cluster in (own, None):
        dismiss(SimpleNamespace(client=SimpleNamespace(cluster=cluster)))
    assert own.workers == 0


@pytest.mark.parametrize("settings", [{"address": "tcp://a:1"}, {"class": "distributed.LocalCluster"}])
def test_only_local_workers_are_started_ahead(settings):
    with started_ahead(ClusterSettings.model_validate(settings)):
        assert module._ahead == []


def test_what_keeps_workers_from_starting_is_told_by_the_flow(monkeypatch):
    def fail(**_: Any) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(module, "LocalWorkers", fail)
    with started_ahead(ClusterSettings(workers=1)), pytest.raises(OSError, match="no more processes"):
        local_cluster(**task_runner(ClusterSettings(workers=1)).cluster_kwargs)
