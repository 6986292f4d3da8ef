"""Small results come with the news that their task has ended.

Dask's client would ask its scheduler for each, and that one the worker: a fifth of what an evaluation costs manager
and workers. So the worker publishes the result, as an event under the client's own topic, just before it says that
the task has ended, and over the same connections: whoever hears of the end has the result, also if the worker is gone
by then. One that is large, or that was lost with a connection, is fetched as Dask does it. Dask keeps the last 1,000
events of a topic, and forgets those of a client an hour after it has left.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from distributed import Client, Worker
from prefect import State
from prefect_dask.task_runners import PrefectDaskFuture

MOST_BYTES = 10_000
"""What is larger is fetched; an evaluation takes 1,500."""
_TASK_RUN, _STATE = "task_run", "state"

Result = TypeVar("Result")


class SmallResultFuture(PrefectDaskFuture[Result]):
    """Of a task whose worker may have published its end."""

    published = b""

    def final_state(self) -> State[Result]:
        """How the task run ended; waits for it.

        Raises:
            Exception: Whatever Dask says of a task that nobody ended.
        """
        self._take_published()
        return self._final_state or self.wrapped_future.result()

    def wait(self, timeout: float | None = None) -> None:
        """As Prefect's."""
        self._take_published()
        if not self._final_state:
            super().wait(timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Result:
        """As Prefect's."""
        self._take_published()
        return super().result(timeout, raise_on_failure)

    def _take_published(self) -> None:
        if self.published and not self._final_state:
            self._final_state = pickle.loads(self.published)


class SmallResults:
    """Takes what workers publish, while it is open as a context manager, and gives it to futures that somebody has.

    Args:
        client: Of the cluster.

    Attributes:
        topic: Where workers publish.
    """

    def __init__(self, client: Client) -> None:
        self.topic: str = client.id
        self._client: Any = client  # Dask's methods have no types
        self._expected: WeakValueDictionary[str, SmallResultFuture[Any]] = WeakValueDictionary()

    def __enter__(self) -> Self:
        self._client.subscribe_topic(self.topic, self._deliver)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client.status == "running":
            self._client.unsubscribe_topic(self.topic)

    def expect(self, future: SmallResultFuture[Any]) -> None:
        """Give it what its worker publishes."""
        self._expected[future.task_run_id.hex] = future

    def _deliver(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, message = event
        # Dask itself publishes there when the client comes and goes.
        if future := self._expected.get(message.get(_TASK_RUN, "")):
            future.published = message[_STATE]


def publish(topic: str, task_run_id: UUID, state: State[Any] | None, worker: Worker) -> None:
    """On a worker: publish how a task run has ended, if that is small; before Dask is told that it has."""
    try:
        pickled = pickle.dumps(state)
    except Exception:  # noqa: BLE001  whatever it is, Dask has more ways to send it, and says what is wrong with it
        return
    if len(pickled) <= MOST_BYTES:
        worker.log_event(topic, {_TASK_RUN: task_run_id.hex, _STATE: pickled})
