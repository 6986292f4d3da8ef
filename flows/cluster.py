"""Which Dask workers evaluate the losses, from plain settings."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

import dask
from distributed import LocalCluster, Worker

from flows.settings import ClusterSettings
from flows.task_runner import SharedContextTaskRunner


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
    # Not `pre-spawn-environ`, which Dask leaves behind in this process as well.
    environment = {f"distributed.nanny.environ.{k}": v for k, v in WORKER_ENVIRONMENT.items()}
    with dask.config.set(environment):
        return LocalCluster(**{**defaults, **kwargs})  # type: ignore[no-untyped-call]


def dask_setup(worker: Worker) -> None:
    """Called in each local worker process (as its preload) before it takes work.

    A terminal sends Ctrl-C to all its processes; it is for the manager, which lets the workers finish.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("distributed").setLevel(logging.WARNING)
