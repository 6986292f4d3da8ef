"""Which Dask workers evaluate the losses, from plain settings."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any, Self

import dask
from distributed import LocalCluster, Worker
from pydantic import ConfigDict, Field, PositiveInt, model_validator

from flows.task_runner import SharedContextTaskRunner
from optim.options import Options


class ClusterSettings(Options):
    """Dask workers: local ones by default; or those of a running scheduler; or of any cluster class."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    workers: PositiveInt | None = None
    """Local worker processes; by default as many as there are processors."""
    threads_per_worker: PositiveInt = 1
    """Losses that a worker process evaluates at once; a loss that is Python code gains nothing from more."""
    address: str | None = None
    """Of a Dask scheduler that runs already, as `tcp://10.0.0.1:8786`."""
    cluster_class: str | None = Field(default=None, alias="class")
    """Dotted path of a Dask cluster class, as `dask_jobqueue.SLURMCluster`."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the cluster class."""
    adapt: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the cluster's `adapt`, as `minimum` and `maximum`: workers come and go with the work."""

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        size = {"workers", "threads_per_worker"}
        if self.address is not None and (others := self._set(size | {"class", "kwargs", "adapt"})):
            raise ValueError(f"with address, the cluster runs already; leave out {others}")
        if self.cluster_class is not None and (others := self._set(size)):
            raise ValueError(
                f"with class, the size of the cluster goes into kwargs or adapt; leave out {others}"
            )
        if self.cluster_class is None and (
            others := ", ".join(sorted({"n_workers", *size} & self.kwargs.keys()))
        ):
            raise ValueError(f"kwargs has {others}; without class, use workers and threads_per_worker")
        if self.adapt and self.workers is not None:
            raise ValueError("adapt decides how many workers there are; leave out workers")
        return self

    def _set(self, names: set[str]) -> str:
        """Which of these differ from their defaults, as people read it."""
        return ", ".join(sorted(names & self.model_dump(exclude_defaults=True).keys()))


def task_runner(settings: ClusterSettings) -> SharedContextTaskRunner:
    """The task runner for a flow; a cluster starts with the flow run, and ends with it.

    Raises:
        ImportError: The cluster class cannot be imported.
    """
    if settings.address is not None:
        return SharedContextTaskRunner(address=settings.address)
    if settings.cluster_class is not None:
        return SharedContextTaskRunner(
            cluster_class=settings.cluster_class, cluster_kwargs=settings.kwargs, adapt_kwargs=settings.adapt
        )
    workers = 0 if settings.adapt else settings.workers or os.cpu_count()
    return SharedContextTaskRunner(
        cluster_class=local_cluster,
        cluster_kwargs={
            "n_workers": workers,
            "threads_per_worker": settings.threads_per_worker,
            **settings.kwargs,
        },
        adapt_kwargs=settings.adapt,
    )


WORKER_ENVIRONMENT = {
    # Whoever a worker starts finds no package of the user's in place of ours.
    "PYTHONSAFEPATH": "1",
    # That a task run was completed, its state tells; as a line of the log it costs a request.
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # The traceback of a failed loss belongs into the log of its task run, not onto the terminal.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}
"""What local workers are started with; variables that the environment already has win."""


def local_cluster(**kwargs: Any) -> LocalCluster:
    """Worker processes on this machine that hear nothing of Ctrl-C and end with this process.

    Dask itself gives each worker BLAS with one thread.

    Args:
        kwargs: Of `LocalCluster`.
    """
    logging.getLogger("distributed").setLevel(logging.WARNING)  # Prefect's logging would print its every step
    defaults: dict[str, Any] = {
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",  # None is not off: it takes port 8787, and warns when it is taken
        "preload": [__name__],
    }
    environment = {f"distributed.nanny.pre-spawn-environ.{k}": v for k, v in WORKER_ENVIRONMENT.items()}
    with dask.config.set(environment):
        return LocalCluster(**{**defaults, **kwargs})  # type: ignore[no-untyped-call]


def dask_setup(worker: Worker) -> None:
    """Called in each local worker process (as its preload) before it takes work.

    A terminal sends Ctrl-C to all its processes; it is for the manager, which lets the workers finish.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed").setLevel(logging.WARNING)
