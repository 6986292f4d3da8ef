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
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import cloudpickle  # type: ignore[import-untyped]
from distributed import Client, Worker
from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin

PACKAGES = ("shoal", "prefect", "prefect-dask", "dask", "distributed", "cloudpickle", "numpy")
"""What must be of the same version on both sides; of Python, the first two numbers."""
_PLENTY = 1e9
_EVENTS = "all"
"""Dask's topic that tells of workers that come and go."""


class Admission:
    """Admits workers, from the first to the last, while it is open as a context manager.

    Args:
        client: Of the cluster.

    Attributes:
        resource: The name of what evaluations ask for.
    """

    def __init__(self, client: Client) -> None:
        self.resource = f"shoal-{uuid.uuid4()}"
        self._client: Any = client  # Dask's methods have no types
        self._plugins: dict[str, bytes] = {}
        self._ends_s: dict[
            str, float
        ] = {}  # of those that are admitted, by `time.monotonic`; never changed in place
        self._resting: frozenset[str] = frozenset()
        self._refused: dict[str, str] = {}
        self._untold: list[str] = []
        self._lock = asyncio.Lock()
        self._gone: set[str] = set()  # since the present look began
        self._looks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._client.subscribe_topic(_EVENTS, self._on_event)
        self._client.sync(self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client.status == "running":  # else the scheduler is gone, and all this with it
            self._client.unsubscribe_topic(_EVENTS)
            self._client.sync(
                self._run, _dismiss, list(self._plugins), self.resource, workers=list(self._ends_s)
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
                self._client.sync(self._run, _give, self.resource, quantity, workers=list(changed))
        self._resting = resting

    async def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, message = event
        if message.get("action") == "remove-worker":
            self._gone.add(message["worker"])
            self._forget({message["worker"]})
        elif message.get("action") == "add-worker":
            # A task of its own: results come in over the connection that waits for us.
            look = asyncio.create_task(self._look_again())
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def _look_again(self) -> None:
        with suppress(OSError):  # the scheduler is gone, as everybody will see who wants something of it
            await self._look()

    async def _look(self) -> None:
        """Admit or refuse whoever is new."""
        async with self._lock:
            self._gone.clear()
            versions = await self._client.get_versions(packages=PACKAGES)
            here, there = versions["client"]["packages"], versions["workers"]
            self._forget((self._ends_s.keys() | self._refused.keys()) - there.keys())
            new = there.keys() - self._ends_s.keys() - self._refused.keys()
            for address in new:
                if difference := _difference(here, there[address]["packages"]):
                    self._refuse(address, difference)
            await self._admit(self._plugins, [address for address in new if address not in self._refused])

    async def _equip(self, name: str, plugin: WorkerPlugin) -> None:
        async with self._lock:
            self._plugins[name] = cloudpickle.dumps(plugin)
            self._gone.clear()
            await self._admit({name: self._plugins[name]}, list(self._ends_s))

    async def _admit(self, plugins: Mapping[str, bytes], workers: list[str]) -> None:
        """Have workers take plugins; those that can are admitted from then on."""
        answers = await self._run(_prepare, plugins, self.resource, workers=workers)
        for address, answer in answers.items():
            if address in self._gone:  # and perhaps back, as another process, which the next look finds
                continue
            if isinstance(answer, BaseException):
                self._forget({address})
                self._refuse(address, f"it cannot be prepared ({type(answer).__name__}: {answer})")
                await self._run(_give, self.resource, 0.0, workers=[address])
            else:
                self._ends_s = self._ends_s | {address: time.monotonic() + answer}

    async def _run(self, function: Any, *args: Any, workers: list[str]) -> dict[str, Any]:
        """Call something on workers; of those that are gone by now it tells nothing."""
        if not workers:
            return {}
        answers: dict[str, Any] = await self._client.run(function, *args, workers=workers, on_error="return")
        return {address: answer for address, answer in answers.items() if not isinstance(answer, OSError)}

    def _forget(self, addresses: Iterable[str]) -> None:
        gone = set(addresses)
        self._ends_s = {address: ends_s for address, ends_s in self._ends_s.items() if address not in gone}
        self._refused = {address: why for address, why in self._refused.items() if address not in gone}

    def _refuse(self, address: str, why: str) -> None:
        self._refused[address] = why
        self._untold.append(f"The worker {address} is left out: {why}")


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
