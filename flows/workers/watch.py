"""Who is there to work: a watch that tells people of it, and how much may be with the workers at once."""

from __future__ import annotations

import logging
import time

from flows.settings import ClusterSettings
from flows.workers.task_runner import SharedContextTaskRunner
from optim.errors import ClusterLostError
from tasks.evaluate import CLUSTER_LOST

PER_THREAD = 2
"""Task runs in flight for each thread of a worker: one that runs and one that waits beside it."""
LEAST_IN_FLIGHT = 4
"""While the workers are still coming."""
RECOUNT_EVERY_S = 1.0
"""Workers that come and go are counted this often."""


class WorkerWatch:
    """Keeps an eye on the workers, and says what people should know of them.

    Args:
        runner: Started.
        logger: What is said goes there.
    """

    def __init__(self, runner: SharedContextTaskRunner, logger: logging.Logger) -> None:
        self._runner = runner
        self._logger = logger
        self._has_workers = True
        self._expected_s = 0.0
        self._looked_s = time.monotonic()

    def look(self, expected_s: float = 0.0) -> None:
        """See who is there, now and then, and whenever more is expected than before.

        Args:
            expected_s: How long what is sent now may take to come back; a worker that will close before gets nothing.

        Raises:
            ClusterLostError: The scheduler went away.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < RECOUNT_EVERY_S and expected_s <= self._expected_s:
            return
        self._looked_s, self._expected_s = now_s, expected_s
        if self._runner.client.status != "running":
            raise ClusterLostError(CLUSTER_LOST)
        admission = self._runner.admission
        for text in admission.news():
            self._logger.warning("%s", text)
        admission.rest_those_that_end_within(expected_s)
        has_workers = bool(admission.workers)
        if self._has_workers and not has_workers:
            those = f"; evaluations may take {expected_s:.3g} s" if admission.resting else ""
            self._logger.warning(
                "There are no Dask workers that can evaluate; the run waits for one%s.", those
            )
        self._has_workers = has_workers


class InFlightLimit:
    """How many task runs may be with the workers at once; call it to ask.

    Args:
        given: As set; None: it follows the number of threads that the workers have.
        cluster: Settings of the cluster.
        runner: Started.
    """

    def __init__(self, given: int | None, cluster: ClusterSettings, runner: SharedContextTaskRunner) -> None:
        self._given = given
        self._runner = runner
        most_workers = cluster.adapt.get("maximum", 0)
        self._least = max(LEAST_IN_FLIGHT, PER_THREAD * int(most_workers) * cluster.threads_per_worker)
        self._counted = 0
        self._counted_s = float("-inf")

    def __call__(self) -> int:
        """The present limit."""
        if self._given is not None:
            return self._given
        return max(PER_THREAD * self.threads, self._least)

    @property
    def threads(self) -> int:
        """How many the workers have that can evaluate; counted now and then."""
        now_s = time.monotonic()
        if now_s - self._counted_s > RECOUNT_EVERY_S:
            there = self._runner.client.scheduler_info(n_workers=-1)["workers"]
            able = there.keys() & self._runner.admission.workers
            self._counted = sum(there[address]["nthreads"] for address in able)
            self._counted_s = now_s
        return self._counted
