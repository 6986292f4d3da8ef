"""Which workers of a Dask cluster may evaluate: those with the versions of the manager, and with time enough left.

A scheduler may be shared with others, whose workers come, go and have other packages. So nothing is sent to all workers
and none is closed. Each worker that appears is asked for its versions, as Dask itself can tell them where shoal is not
even installed. One that fits is given the plugins of this run, and then so much of a resource by the name of this run;
evaluations ask for a little of it, and Dask sends them nowhere else.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import cloudpickle  # type: ignore[import-untyped]
from distributed import Client, Worker
from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.versions import get_versions

PACKAGES = ("shoal", "prefect", "prefect-dask", "dask", "distributed", "cloudpickle", "numpy")
"""What must be of the same version on both sides; of Python, the first two numbers."""
ANSWERS_WITHIN_S = 10.0
"""So long workers are waited for that do not answer; to load Prefect takes them seconds, once."""
_PLENTY = 1e9
_EVENTS = "all"
"""Dask's topic that tells of workers that come and go."""


class Admission:
    """Admits workers, from the first to the last, while it is open as a context manager.

    Nobody waits long for a worker that does not answer, as one whose loss holds the interpreter: it is admitted once it
    does.

    Args:
        client: Of the cluster.

    Attributes:
        resource: The name of what evaluations ask for.
    """

    def __init__(self, client: Client) -> None:
        self.resource = f"shoal-{uuid.uuid4()}"
        self._client: Any = client  # Dask's methods have no types
        self._plugins: dict[str, bytes] = {}
        self._given: dict[str, set[str]] = {}  # the names of those that workers have
        # Of those that are admitted, by `time.monotonic`; never changed in place.
        self._ends_s: dict[str, float] = {}
        self._resting: frozenset[str] = frozenset()
        self._untold: list[str] = []
        self._asking: dict[str, asyncio.Task[None]] = {}  # the latest of each

    def __enter__(self) -> Self:
        self._client.subscribe_topic(_EVENTS, self._on_event)
        self._client.sync(self._ask_all)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for asking in self._asking.values():
            self._client.loop.add_callback(asking.cancel)
        if self._client.status == "running":  # else the scheduler is gone, and all this with it
            self._client.unsubscribe_topic(_EVENTS)
            self._client.sync(
                self._run, _dismiss, list(self._plugins), self.resource, workers=list(self._given)
            )

    @property
    def needs(self) -> dict[str, float]:
        """The `resources` of a task that only admitted workers may run."""
        return {self.resource: 1}

    @property
    def workers(self) -> frozenset[str]:
        """The addresses of those to which something may be sent now."""
        return frozenset(self._ends_s.keys() - self._resting)

    @property
    def resting(self) -> frozenset[str]:
        """The addresses of those that would fit, and will close too soon."""
        return self._resting & self._ends_s.keys()

    def equip(self, name: str, plugin: WorkerPlugin) -> None:
        """Give a plugin to every worker that is admitted, now or later.

        Args:
            name: That no other plugin has.
            plugin: Can be pickled.
        """
        self._client.sync(self._equip, name, plugin)

    def run(self, function: Callable[..., Any], *args: Any) -> None:
        """Have workers that may be sent something call a function; who does not answer in time is not waited for.

        Raises:
            Exception: Whatever it raises there.
        """
        self._client.sync(self._run, function, *args, workers=self.workers, on_error="raise")

    def news(self) -> list[str]:
        """What people should know of workers that were left out since this was asked last."""
        told, self._untold = self._untold, []
        return told

    def rest_those_that_end_within(self, seconds: float) -> None:
        """Send nothing to workers that will close so soon, seconds; what they have they may finish."""
        now_s = time.monotonic()
        resting = frozenset(address for address, ends_s in self._ends_s.items() if ends_s - now_s <= seconds)
        for changed, quantity in ((resting - self._resting, 0.0), (self._resting - resting, _PLENTY)):
            if changed:
                self._client.sync(self._run, _give, self.resource, quantity, workers=changed)
        self._resting = resting

    async def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, message = event
        if message.get("action") in ("add-worker", "remove-worker"):
            self._part_with(message["worker"])  # one that comes may be another process at the same address
        if message.get("action") == "add-worker":
            self._ask(message["worker"])

    async def _ask_all(self) -> None:
        there = await self._client.scheduler.identity(n_workers=-1)
        await _in_time([self._ask(address) for address in there["workers"]])

    async def _equip(self, name: str, plugin: WorkerPlugin) -> None:
        self._plugins[name] = cloudpickle.dumps(plugin)
        admitted = list(self._ends_s)
        await _in_time([self._ask(address) for address in admitted])
        self._send_nothing_to(address for address in admitted if self._is_asked(address))

    async def _run(
        self, function: Callable[..., Any], *args: Any, workers: Iterable[str], on_error: str = "ignore"
    ) -> None:
        """Call something on workers; by default nobody hears of those that are gone."""
        if addresses := list(workers):
            call = self._client.run(function, *args, workers=addresses, on_error=on_error)
            with suppress(TimeoutError):
                await asyncio.wait_for(call, ANSWERS_WITHIN_S)

    def _ask(self, address: str) -> asyncio.Task[None]:
        """Begin to admit a worker, or to give it what is new."""
        if not self._is_asked(address):
            # A task of its own: results come in over the connection that waits for us.
            self._asking[address] = asyncio.create_task(self._admit(address))
        return self._asking[address]

    def _is_asked(self, address: str) -> bool:
        return address in self._asking and not self._asking[address].done()

    async def _admit(self, address: str) -> None:
        """Find out whether a worker fits, and prepare it, however long it takes to answer."""
        while True:
            try:
                objection = "" if address in self._given else await self._objection(address)
                if not objection:
                    await self._prepare(address)
            except OSError as error:
                if error.errno is None or isinstance(error, ConnectionError):
                    await asyncio.sleep(ANSWERS_WITHIN_S)  # it is gone, as an event will tell, or too busy
                    continue
                objection = _cannot(error)
            except Exception as error:  # noqa: BLE001  whatever the plugins raise there
                objection = _cannot(error)
            if objection:
                self._untold.append(f"The worker {address} is left out: {objection}")
                self._send_nothing_to([address])
                if address in self._given:
                    with suppress(OSError):
                        await self._run(_give, self.resource, 0.0, workers=[address])
            return

    async def _objection(self, address: str) -> str:
        """What another version a worker has, in words; empty: nothing."""
        versions = {"op": "versions", "packages": PACKAGES}
        there = await self._client.scheduler.broadcast(msg=versions, workers=[address])
        return _difference(get_versions(packages=PACKAGES)["packages"], there[address]["packages"])

    async def _prepare(self, address: str) -> None:
        given = self._given.setdefault(address, set())
        while True:
            new = {name: plugin for name, plugin in self._plugins.items() if name not in given}
            answers = await self._client.run(_prepare, new, self.resource, workers=[address])
            given |= new.keys()
            if given == self._plugins.keys():
                self._ends_s = self._ends_s | {address: time.monotonic() + answers[address]}
                return

    def _part_with(self, address: str) -> None:
        if address in self._asking:
            self._asking.pop(address).cancel()
        self._given.pop(address, None)
        self._send_nothing_to([address])

    def _send_nothing_to(self, addresses: Iterable[str]) -> None:
        those = set(addresses)
        self._ends_s = {address: ends_s for address, ends_s in self._ends_s.items() if address not in those}


async def _in_time(tasks: Collection[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=ANSWERS_WITHIN_S)


def _cannot(error: Exception) -> str:
    return f"it cannot be prepared ({type(error).__name__}: {error})"


def _difference(here: Mapping[str, str | None], there: Mapping[str, str | None]) -> str:
    """What another version has there, in words; empty: nothing."""
    if there.get("shoal") is None:
        return "shoal is not installed there"
    found = [
        f"{name} is {_version(name, there) or 'missing'} there, and {_version(name, here)} here"
        for name in ("python", *PACKAGES)
        if _version(name, there) != _version(name, here)
    ]
    return f"{'; '.join(found)}; install the same versions" if found else ""


def _version(name: str, versions: Mapping[str, str | None]) -> str | None:
    version = versions.get(name)
    return ".".join(version.split(".")[:2]) if name == "python" and version else version


async def _prepare(plugins: Mapping[str, bytes], resource: str, dask_worker: Worker) -> float:
    """On a worker: take plugins, and then evaluations.

    Returns:
        How long it will go on, seconds; inf: it does not know.
    """
    for name, pickled in plugins.items():
        await dask_worker.plugin_add(cloudpickle.loads(pickled), name, catch_errors=False)
    await _give(resource, _PLENTY, dask_worker)
    if not dask_worker.lifetime:
        return float("inf")
    age_s = time.time() - dask_worker.monitor.proc.create_time()  # a little more than what Dask counts
    return float(dask_worker.lifetime - age_s)


async def _give(resource: str, quantity: float, dask_worker: Worker) -> None:
    """On a worker: have so much of a resource."""
    await dask_worker.set_resources(**{resource: quantity})
    if quantity and dask_worker.status is Status.running:
        # The scheduler looks again for tasks that found no worker when one comes or wakes up, but not when one gets a
        # resource.
        dask_worker.status = Status.paused
        dask_worker.status = Status.running


async def _dismiss(plugins: Iterable[str], resource: str, dask_worker: Worker) -> None:
    """On a worker: forget all about a run."""
    await _give(resource, 0.0, dask_worker)
    for name in plugins:
        if name in dask_worker.plugins:
            await dask_worker.plugin_remove(name)
    if not dask_worker.state.available_resources[
        resource
    ]:  # else something still runs that will give it back
        del dask_worker.state.available_resources[resource], dask_worker.state.total_resources[resource]
