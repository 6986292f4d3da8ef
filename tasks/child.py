"""A loss in a process of its own, which can be killed: it may hang, crash or eat memory, and takes nobody with it.

The process is a plain child with a connection, kept from one evaluation to the next and replaced when it is gone. Pools
of processes do not do it: pebble's waits for ever for a loss that ends its process with exit code 0, and breaks when a
process dies between two tasks; all that use multiprocessing refuse to work in a Dask worker, which is daemonic.

Beside it runs a guard, a shell that waits for the end of a pipe. When the process that evaluates losses here is gone,
however it went, the guard kills the whole process group: the loss, also one that hangs in C code, and the programs that
it has started.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from optim.errors import ProblemError
from optim.outcome import Outcome
from tasks import child_process, user_code
from tasks.child_process import IDLE_S
from tasks.evaluation import NAN, Evaluation, name_of_process

LOADS_WITHIN_S = 600.0
"""How long the modules of a loss may take to be imported, where there is a timeout; it counts only from then on."""
ENDS_WITHIN_S = 2.0
"""One that has closed its connection has most likely ended; if not by then, it is killed."""
LOOK_EVERY_S = 0.2
"""A process whose end nothing tells is found dead within this time: a fork of it may hold its connection open."""
DIES_WITHIN_S = 10.0
"""One that hangs in the kernel, as in a dead network file system, is left to itself after this time."""

_GUARD = ("/bin/sh", "-c", "read _; kill -KILL 0")
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""As in the processes that evaluate losses themselves: several threads add up in another order."""


class Isolation(NamedTuple):
    """How a loss is kept apart.

    Attributes:
        timeout_s: It is killed when it takes longer; None: it may take as long as it likes.
        memory_limit: Bytes of data that its process may have; None: as many as there are.
    """

    timeout_s: float | None = None
    memory_limit: int | None = None


class ToldInChild(Exception):  # noqa: N818  not an error itself, but its traceback, for the log of a task run
    """What a loss raised in another process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


Answer = tuple[Evaluation, ToldInChild | None]
"""What came of an evaluation, and where it was raised; None: nothing was."""
Steps = Generator[float, bool | None, Answer]
"""An evaluation under way: each step says how many seconds at most to wait for the connection, and the next one is sent
whether it has become ready."""


class Child:
    """Evaluates losses in another process.

    Args:
        isolation: How.
    """

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation
        self._process: _Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def connection(self) -> Connection[Any, Any]:
        """What to wait for between two steps."""
        if self._process is None:
            raise RuntimeError("nothing is being evaluated")
        return self._process.connection

    def evaluate(self, entry_point: str, folder: str | None, x: list[float]) -> Answer:
        """Evaluate a loss, and wait for what comes of it; arguments as for `evaluate_here`."""
        return _waited(self.steps(entry_point, folder, x), lambda: self.connection)

    def steps(self, entry_point: str, folder: str | None, x: list[float]) -> Steps:
        """The same for whoever waits for several children at once; it is sent with the first step."""
        try:
            process = self._present_process()
        except OSError as error:
            text = f"no process for the loss can be started: {error}"
            here = name_of_process(os.getpid())  # who says so
            return Evaluation(Outcome.WORKER_LOST, NAN, text, worker=here), None
        is_loaded = (entry_point, folder) in process.loaded
        called_s, within_s = time.time() if is_loaded else NAN, self._isolation.timeout_s
        try:
            process.connection.send((entry_point, folder, x, not is_loaded))
            if not is_loaded and within_s is not None:
                within_s = LOADS_WITHIN_S
            answer = yield from process.receive(within_s)
            if isinstance(answer, float):
                process.loaded.add((entry_point, folder))
                called_s = answer
                answer = yield from process.receive(within_s := self._isolation.timeout_s)
        except TimeoutError:
            self.end()
            what = "the loss" if called_s == called_s else "importing the loss"
            return process.failed(Outcome.TIMEOUT, f"{what} took more than {within_s:g} s", called_s), None
        except (EOFError, OSError):
            text = f"the process of the loss ended {process.how_it_ended()}"
            self.end()
            return process.failed(Outcome.WORKER_LOST, text, called_s), None
        (outcome, *rest), told, has_ended = answer
        if has_ended:
            self.end()
        return Evaluation(Outcome(outcome), *rest), ToldInChild(told) if told else None

    def end(self) -> None:
        """Kill the process, if there is one, and what it has started."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _present_process(self) -> _Process:
        if self._process is None or not self._process.is_usable:
            self.end()
            self._process = _Process(self._isolation.memory_limit)
        return self._process


class _Process:
    """One process, until it ends.

    Attributes:
        connection: To it.
        loaded: Entry points and folders of the losses that it has called before.
    """

    def __init__(self, memory_limit: int | None) -> None:
        self.connection, there = Pipe()
        self.loaded: set[tuple[str, str | None]] = set()
        with there:
            # The guard leads the group, so that its number stays taken until we have heard of the guard's end.
            guard = subprocess.Popen(_GUARD, stdin=subprocess.PIPE, process_group=0)
            command = [
                sys.executable,
                "-P",  # no folder of the user's shadows a package
                child_process.__file__,
                str(there.fileno()),
                json.dumps([sys.path, memory_limit]),
            ]
            try:
                self._process = subprocess.Popen(
                    command,
                    env={**_ENVIRONMENT, **os.environ},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[there.fileno()],
                    process_group=guard.pid,
                )
            except OSError:
                guard.communicate()  # closes its pipe, and waits
                raise
        self.kill = weakref.finalize(self, _kill, self._process, guard, self.connection)
        self._used_s = time.monotonic()

    @property
    def is_usable(self) -> bool:
        """Whether it lives, and will not end by itself just now."""
        return self._process.poll() is None and time.monotonic() - self._used_s < IDLE_S / 2

    def receive(self, within_s: float | None) -> Generator[float, bool | None, Any]:
        """The next thing that it says; stepwise, as `Steps`.

        Raises:
            TimeoutError: It did not say anything in that time, seconds.
            EOFError: It has ended, or said that it will not say anything more.
        """
        until_s = math.inf if within_s is None else time.monotonic() + within_s
        while not (yield max(0.0, min(LOOK_EVERY_S, until_s - time.monotonic()))):
            if self._process.poll() is not None and not self.connection.poll():
                raise EOFError
            if time.monotonic() >= until_s:
                raise TimeoutError
        answer = self.connection.recv()
        self._used_s = time.monotonic()
        return answer

    def how_it_ended(self) -> str:
        """In words, of one that has just ended."""
        try:
            code = self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            return "its connection, and was killed"
        if code >= 0:
            return f"with exit code {code}"
        hint = ", as when memory runs out" if code == -signal.SIGKILL else ""
        return f"by signal {signal.Signals(-code).name}{hint}"

    def failed(self, outcome: Outcome, text: str, called_s: float) -> Evaluation:
        """An evaluation of which it could not tell itself."""
        return Evaluation(outcome, NAN, text, called_s, time.time(), name_of_process(self._process.pid))


def _kill(
    process: subprocess.Popen[bytes], guard: subprocess.Popen[bytes], connection: Connection[Any, Any]
) -> None:
    """Kill a whole group, and the process itself, as it may have left the group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of dead ones
        os.killpg(guard.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(DIES_WITHIN_S)
    guard.communicate()
    connection.close()


def describe_in_child(entry_point: str, folder: str | None) -> dict[str, Any]:
    """As `tasks.problem.describe`, without importing the problem here.

    Raises:
        ProblemError: It cannot be imported, or is none.
    """
    try:
        process = _Process(None)
    except OSError as error:
        raise ProblemError(f"no process that could import {entry_point!r} can be started: {error}") from None
    try:
        process.connection.send((entry_point, folder, None, False))
        description, objection, _ = _waited(process.receive(None), lambda: process.connection)
    except (EOFError, OSError):
        raise ProblemError(f"importing {entry_point!r} ended its process {process.how_it_ended()}") from None
    finally:
        process.kill()
    if objection:
        raise ProblemError(objection)
    return dict(description)


_Told = TypeVar("_Told")


def _waited(
    steps: Generator[float, bool | None, _Told], connection: Callable[[], Connection[Any, Any]]
) -> _Told:
    """Take all steps, and wait between them for something to come over the connection."""
    try:
        wait_s = next(steps)
        while True:
            wait_s = steps.send(connection().poll(wait_s))
    except StopIteration as ended:
        told: _Told = ended.value
        return told


_of_this_thread = threading.local()


def evaluate_in_child(entry_point: str, folder: str | None, x: list[float], isolation: Isolation) -> Answer:
    """Evaluate a loss in a process that this thread keeps for it; it ends with the thread, or with this process."""
    with user_code.searched(folder):
        wanted = user_code.session.get(), isolation, tuple(sys.path)
    kept: tuple[Any, Child] | None = getattr(_of_this_thread, "kept", None)
    if kept is None or kept[0] != wanted:
        if kept is not None:
            kept[1].end()
        kept = _of_this_thread.kept = wanted, Child(isolation)
    return kept[1].evaluate(entry_point, folder, x)
