"""Which Dask workers evaluate the losses, from plain settings."""

from __future__ import annotations

import gc
import logging
import os
import signal
from typing import Any

import dask
from distributed import LocalCluster, Worker

from flows.settings import ClusterSettings
from flows.workers.task_runner import SharedContextTaskRunner
from tasks.attempts import MOST_DEATHS


def task_runner(settings: ClusterSettings, private: bool = False) -> SharedContextTaskRunner:
    """The task runner for a flow; a cluster starts with the flow run, and ends with it.

    Args:
        settings: Of the cluster.
        private: Local connections are encrypted, and need a certificate that only this cluster has.

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
    limit = {} if settings.memory_limit is None else {"memory_limit": int(settings.memory_limit)}
    return SharedContextTaskRunner(
        cluster_class=local_cluster,
        cluster_kwargs={
            "n_workers": workers,
            "threads_per_worker": settings.threads_per_worker,
            **limit,
            **({"security": True} if private else {}),
            **settings.kwargs,
        },
        adapt_kwargs=settings.adapt,
    )


COMES_BACK_WITHIN = "10 minutes"
"""How long a local worker may take to come back on a machine that is busy with other things."""
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
    # Dask gives up a worker that died and is not back in time (by default 15 s), and ends the one that then comes.
    # It asks for this while the cluster runs, so it is set for good.
    dask.config.set({"distributed.deploy.lost-worker-timeout": COMES_BACK_WITHIN})
    # As arguments, which hold for workers that are started later as well; and not as `pre-spawn-environ`, which Dask
    # leaves behind in this process.
    defaults["env"] = {name: os.environ.get(name, value) for name, value in WORKER_ENVIRONMENT.items()}
    # Dask looks a hundred times each second at what every thread does: a twelfth of what an evaluation costs.
    settings: dict[str, Any] = {"distributed.worker.profile.enabled": False}
    if kwargs.get("security"):  # which does not protect the pages of scheduler and workers
        settings |= {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
        defaults["scheduler_kwargs"] = {"dashboard": False}
    with dask.config.set({"distributed.scheduler.allowed-failures": MOST_DEATHS - 1, **settings}):
        defaults["config"] = {"distributed": dask.config.get("distributed")}  # of the workers
        return LocalCluster(**{**defaults, **kwargs})  # type: ignore[no-untyped-call]


def dask_setup(worker: Worker) -> None:
    """Called in each local worker process (as its preload) before it takes work.

    A terminal sends Ctrl-C to all its processes; it is for the manager, which lets the workers finish.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # what is loaded stays, and the garbage collector need not look at it again and again
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # In a flow run that Prefect itself has started, Prefect was imported before Dask set our environment.
    logging.getLogger("prefect.task_runs").setLevel(os.environ["PREFECT_LOGGING_LEVEL"])
    # One whose loss has leaked is replaced at 95% of its memory. At 80% Dask would have it take no more work, and wait
    # until there is room again, which never comes.
    worker.memory_manager.memory_pause_fraction = False
    logging.raiseExceptions = False  # else Prefect says of each log line that its server misses that it does
