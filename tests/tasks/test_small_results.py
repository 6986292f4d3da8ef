"""Results that workers publish.

Invariants:

* What is published counts, whatever becomes of the worker then; else Dask's word does.
* What cannot be pickled, or is large, is not published; and what is not published, Dask is asked for.
* What is published of a future that nobody has any more, or by Dask itself, harms nobody.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prefect.states import Completed

from tasks.small_results import MOST_BYTES, SmallResultFuture, SmallResults, publish

TOPIC = "client-1"


class Cluster:
    """A client and a worker, whose events arrive at once; and a future of Dask's."""

    id = TOPIC

    def __init__(self, status: str = "finished") -> None:
        self.status = status
        self.events = 0

    def subscribe_topic(self, topic: str, handler: Any) -> None:
        self.handlers = {topic: handler}

    def unsubscribe_topic(self, topic: str) -> None:
        del self.handlers[topic]

    def log_event(self, topic: str, message: Any) -> None:
        self.events += 1
        self.handlers[topic]((0.0, message))

    def result(self, timeout: float | None = None) -> Any:
        if self.status == "error":
            raise ChildProcessError
        return Completed(data="fetched")


def taken(data: Any, status: str = "finished") -> Any:
    """What the future of a task that returned `data` says, on a cluster where it has a status."""
    cluster = Cluster(status)
    with SmallResults(cluster) as results:
        future = SmallResultFuture(task_run_id=uuid4(), wrapped_future=cluster)
        results.expect(future)
        publish(results.topic, future.task_run_id, Completed(data=data), cluster)
        return future.final_state().data


def test_what_is_published_need_not_be_fetched():
    assert taken("published") == "published"


@pytest.mark.parametrize("data", ["x" * MOST_BYTES, lambda: None], ids=["large", "not picklable"])
def test_what_is_not_published_is_fetched(data):
    assert taken(data) == "fetched"


def test_a_worker_may_die_once_it_has_published():
    assert taken("published", "error") == "published"
    with pytest.raises(ChildProcessError):
        taken("x" * MOST_BYTES, "error")


def test_a_future_that_is_gone_is_sent_nothing_and_dasks_own_events_are_ignored():
    cluster = Cluster()
    with SmallResults(cluster) as results:
        publish(results.topic, uuid4(), Completed(data="nobody waits"), cluster)
        cluster.log_event(TOPIC, {"action": "add-client", "client": TOPIC})
        assert cluster.events == 2
    cluster.status = "running"
    with SmallResults(cluster):
        assert cluster.handlers
    assert not cluster.handlers
