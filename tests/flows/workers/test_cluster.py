"""The cluster's settings, and what local workers are like.

Invariants:

* Settings that contradict each other are refused with what to leave out; what is written reads back the same.
* Local workers, also those that come late, are processes with safe paths and one BLAS thread, which listen on loopback
  and not to Ctrl-C.
"""

from __future__ import annotations

import os
import signal

import pytest
from distributed import Client, LocalCluster
from pydantic import ValidationError

from flows.settings import ClusterSettings
from flows.workers.cluster import local_cluster, task_runner


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"address": "tcp://a:1", "workers": 2}, "leave out workers"),
        ({"address": "tcp://a:1", "class": "a.B", "adapt": {"maximum": 2}}, "leave out adapt, class"),
        ({"class": "a.B", "workers": 2}, "leave out workers"),
        ({"kwargs": {"n_workers": 2}}, "use workers and threads_per_worker"),
        ({"workers": 2, "adapt": {"maximum": 3}}, "leave out workers"),
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
    other = task_runner(ClusterSettings(cluster_class="distributed.LocalCluster", kwargs={"n_workers": 1}))
    assert other.resolved_cluster_class is LocalCluster


def test_local_workers_are_started_as_promised(cluster, server):
    def look() -> tuple[int, str | None, str | None, str | None, bool]:
        names = ("PYTHONSAFEPATH", "OPENBLAS_NUM_THREADS", "PREFECT_API_URL")
        return (os.getpid(), *map(os.environ.get, names), signal.getsignal(signal.SIGINT) is signal.SIG_IGN)

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
