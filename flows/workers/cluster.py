"""Which Dask workers evaluate the losses, from plain settings."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

import dask
from dask.typing import Key
from distributed import LocalCluster, Worker
from distributed.client import SourceCode
from distributed.scheduler import DEFAULT_EXTENSIONS, TaskState
from distributed.spans import SpanMetadata, SpansSchedulerExtension
from tornado.ioloop import PeriodicCallback

from flows.workers.task_runner import SharedContextTaskRunner
from optim.errors import ClusterError
from tasks.attempts import MOST_DEATHS

if TYPE_CHECKING:  # each worker loads this module, too
    from flows.settings import ClusterSettings


def task_runner(settings: ClusterSettings, private: bool = False) -> SharedContextTaskRunner:
    """The task runner for a flow; a cluster starts with the flow run, and ends with it.

    Args:
        settings: Of the cluster.
        private: Local connections are encrypted, and need a certificate that only this cluster has.

    Raises:
        ClusterError: The cluster class cannot be imported.
    """
    if settings.address is not None:
        return SharedContextTaskRunner(address=settings.address)
    if settings.cluster_class is not None:
        try:
            return SharedContextTaskRunner(
                cluster_class=settings.cluster_class,
                cluster_kwargs=settings.kwargs,
                adapt_kwargs=settings.adapt,
            )
        except (ImportError, AttributeError, ValueError) as error:
            raise ClusterError(
                f"the cluster class {settings.cluster_class!r} cannot be imported: {error}"
            ) from error
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
HEARTBEAT_S = 5.0
"""How often a local worker tells its scheduler how it is."""
FOR_THE_MANAGER = (signal.SIGINT, signal.SIGHUP)
"""Signals that a terminal sends to all its processes, and that workers do not hear."""
WORKER_ENVIRONMENT = {
    # Whoever a worker starts finds no package of the user's in place of ours.
    "PYTHONSAFEPATH": "1",
    # That a task run was completed, its state tells; as a line of the log it costs a request.
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # The traceback of a failed loss belongs into the log of its task run, not onto the terminal.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}
"""What local workers are started with; variables that the environment already has win."""


_ahead: list[tuple[dict[str, Any], LocalWorkers]] = []


@contextmanager
def started_ahead(settings: ClusterSettings, private: bool = False) -> Iterator[None]:
    """Start the local workers of a flow now, if it is to have some, and not only when it begins.

    The task runner takes them over; those that nobody wanted are closed at the end of the context.

    Args:
        settings: Of the cluster.
        private: As of `task_runner`.
    """
    with suppress(Exception):  # whatever it is, the flow meets it again, and says it
        runner = task_runner(settings, private)
        if runner.cluster_class is local_cluster:
            _ahead.append((runner.cluster_kwargs, local_cluster(**runner.cluster_kwargs)))
    try:
        yield
    finally:
        while _ahead:
            _ahead.pop()[1].close()


class _Spans(SpansSchedulerExtension):
    """Dask's own would keep of each task for ever that it was a future."""

    def observe_tasks(
        self, tss: Iterable[TaskState], code: tuple[SourceCode, ...], span_metadata: SpanMetadata
    ) -> dict[Key, dict[str, Any]]:
        """As Dask's."""
        return super().observe_tasks(tss, code, {**span_metadata, "collections": []})


class LocalWorkers(LocalCluster):
    """What `local_cluster` starts."""


def dismiss(runner: SharedContextTaskRunner) -> None:
    """Nothing will be submitted any more: local workers begin to end, and nobody waits for them yet."""
    if isinstance(runner.client.cluster, LocalWorkers):
        runner.client.cluster.scale(0)  # type: ignore[no-untyped-call]


def local_cluster(**kwargs: Any) -> LocalWorkers:
    """Worker processes on this machine that hear nothing of a terminal's signals and end with this process.

    Dask itself gives each worker BLAS with one thread.

    Args:
        kwargs: Of `LocalCluster`.
    """
    for at, (known, cluster) in enumerate(_ahead):
        if known == kwargs:
            del _ahead[at]
            return cluster
    logging.getLogger("distributed").setLevel(logging.WARNING)  # Prefect's logging would print its every step
    extensions = {**DEFAULT_EXTENSIONS, "spans": _Spans}
    if not dask.config.get("distributed.scheduler.work-stealing"):  # as Dask, where it is given none
        del extensions["stealing"]
    scheduler_kwargs: dict[str, Any] = {"extensions": extensions}
    defaults: dict[str, Any] = {
        "host": "127.0.0.1",
        "scheduler_kwargs": scheduler_kwargs,
        "dashboard_address": "127.0.0.1:0",  # None is not off: it takes port 8787, and warns when it is taken
        "preload": [__name__],
    }
    # Dask gives up a worker that died and is not back in time (by default 15 s), and ends the one that then comes.
    # It asks for this while the cluster runs, so it is set for good.
    dask.config.set({"distributed.deploy.lost-worker-timeout": COMES_BACK_WITHIN})
    # As arguments, which hold for workers that are started later as well; and not as `pre-spawn-environ`, which Dask
    # leaves behind in this process.
    defaults["env"] = {name: os.environ.get(name, value) for name, value in WORKER_ENVIRONMENT.items()}
    settings: dict[str, Any] = {
        # Dask looks a hundred times each second at what every thread does: a twelfth of what an evaluation costs; fifty
        # times whether each event loop still turns, and twice how busy the machine is: an idle cluster is never idle.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
    }
    if kwargs.get("security"):  # which does not protect the pages of scheduler and workers
        settings |= {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
        scheduler_kwargs["dashboard"] = False
    with dask.config.set({"distributed.scheduler.allowed-failures": MOST_DEATHS - 1, **settings}):
        defaults["config"] = {"distributed": dask.config.get("distributed")}  # of the workers
        return _started({**defaults, **kwargs})


def _started(kwargs: dict[str, Any]) -> LocalWorkers:
    with ExitStack() as interrupted:
        with _undisturbed():  # half a cluster could not be closed
            cluster = LocalWorkers(**kwargs)  # type: ignore[no-untyped-call]
            interrupted.callback(cluster.close)
        interrupted.pop_all()
    return cluster


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What a terminal sends meanwhile is heard afterwards, and not at all by processes that are started meanwhile."""
    heard: set[int] = set()
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # where signals are handled
        handlers = {
            number: signal.signal(number, lambda number, _: heard.add(number)) for number in FOR_THE_MANAGER
        }
    resource_tracker.ensure_running()  # whoever starts it lets signals through again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_MANAGER)  # threads and processes inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for one in heard:
        signal.raise_signal(one)


def dask_setup(worker: Worker) -> None:
    """Called in each local worker process (as its preload) before it takes work.

    A terminal sends Ctrl-C, and that it is closed, to all its processes; it is for the manager, which lets the workers
    finish.
    """
    for number in FOR_THE_MANAGER:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FOR_THE_MANAGER)  # what a loss starts may handle them
    _beat_less_often(worker)
    gc.freeze()  # what is loaded stays, and the garbage collector need not look at it again and again
    logging.getLogger("distributed").setLevel(logging.WARNING)
    logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)  # warns of what is given up
    # In a flow run that Prefect itself has started, Prefect was imported before Dask set our environment.
    logging.getLogger("prefect.task_runs").setLevel(os.environ["PREFECT_LOGGING_LEVEL"])
    # One whose loss has leaked is replaced at 95% of its memory. At 80% Dask would have it take no more work, and wait
    # until there is room again, which never comes.
    worker.memory_manager.memory_pause_fraction = False
    logging.raiseExceptions = False  # else Prefect says of each log line that its server misses that it does


def _beat_less_often(worker: Worker) -> None:
    """Dask has up to ten workers do it twice a second; that one has died, the scheduler learns from its connection."""

    async def beat() -> None:
        await worker.heartbeat()  # whose answer says how soon the next one is wanted
        callback.callback_time = 1000 * HEARTBEAT_S

    worker.periodic_callbacks["heartbeat"] = callback = PeriodicCallback(beat, 1000 * HEARTBEAT_S)
