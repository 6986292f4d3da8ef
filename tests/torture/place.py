"""A user's folder with a loss and run files, and the `shoal` command started there."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path

import psutil

from optim.store import RunFolder

LOSS = '''\
"""A rugged valley that notes every call: when it was done, by which process, and at which point."""

import os
import time

PAUSE_S = float(os.environ.get("TORTURE_PAUSE_S", "0"))
CALLS = os.path.join(os.path.dirname(__file__), os.environ.get("TORTURE_CALLS", "calls"))


def note(x, calls):
    file = os.open(calls, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, f"{time.time()!r} {os.getpid()} {x.tobytes().hex()}\\n".encode())
    finally:
        os.close(file)


def loss(x):
    time.sleep(PAUSE_S)
    value = float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum() + abs(x[0]) ** 0.5)
    note(x, CALLS)
    return value


def validation_loss(x):
    return float((x**2).sum())
'''

PRELOADED = [
    "flows.lanes.local",
    "flows.run.request",
    "flows.reports.report",
    "flows.commands.ending",
    "optim.store",
]
"""What the parent of forked commands has imported."""
PATIENCE_S = 300.0
"""After so long something hangs, also on a machine that is busy with other things."""


class Job:
    """A command that was started.

    Attributes:
        pid: Of its process, which leads a group of its own.
    """

    def __init__(self, pid: int, wait: Callable[[float], int | None], output: Path) -> None:
        self.pid = pid
        self._wait = wait
        self._output = output

    def ended(self, within_s: float = 0.0) -> int | None:
        """Its exit code, negative after a signal; None: it has not ended."""
        return self._wait(within_s)

    def kill(self, *, group: bool = False) -> None:
        """End it without mercy, and see it gone.

        Raises:
            TimeoutError: It is still there.
        """
        if group:
            with contextlib.suppress(ProcessLookupError):  # a fork does not lead its group from the start
                os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it was faster
            os.kill(self.pid, signal.SIGKILL)
        if self.ended(PATIENCE_S) is None:
            raise TimeoutError(f"process {self.pid} survived SIGKILL")

    @property
    def said(self) -> str:
        """What it has written to both of its outputs."""
        return self._output.read_text(errors="replace")


class Place:
    """A folder with a loss, where commands are started.

    Args:
        folder: An empty one.
        environment: More variables of the commands.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "SHOAL_", "TORTURE_"))
        }
        self.environment = {**inherited, "PREFECT_HOME": str(folder / "prefect"), **(environment or {})}
        self._commands = 0
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "torture_loss.py").write_text(LOSS)

    def run_folder(self, name: str) -> RunFolder:
        """Of a run, which need not be there yet."""
        return RunFolder(self.folder / "runs" / name)

    def calls(self, name: str) -> Path:
        """The file in which the loss notes its calls, for a run of that name."""
        return self.folder / f"calls-{name}"

    def start(self, *words: str, name: str, pause_s: float = 0.0, forked: bool = False) -> Job:
        """Start `shoal`.

        Args:
            words: Of the command.
            name: Of the run, whose calls the loss notes.
            pause_s: How long each loss takes.
            forked: From a process that has imported everything, which saves seconds.
        """
        self._commands += 1
        output = self.folder / f"output-{self._commands}"
        extra = {"TORTURE_CALLS": self.calls(name).name, "TORTURE_PAUSE_S": str(pause_s)}
        return (self._fork if forked else self._spawn)(words, {**self.environment, **extra}, output)

    def command(self, *words: str, name: str, within_s: float = PATIENCE_S) -> tuple[int | None, str]:
        """Run `shoal` to its end: exit code, and all that it said."""
        job = self.start(*words, name=name)
        code = job.ended(within_s)
        if code is None:
            job.kill(group=True)
        return code, job.said

    def processes(self) -> Iterator[psutil.Process]:
        """Those that were started from here, whoever is their parent now: their environment names this folder."""
        for process in psutil.process_iter():
            try:
                if process.environ().get("PREFECT_HOME") == self.environment["PREFECT_HOME"]:
                    yield process
            except psutil.Error:
                continue

    def end_everything(self) -> None:
        """SIGKILL to every process that was started from here."""
        for process in list(self.processes()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def left_over(self, within_s: float, allowed: Set[int] = frozenset()) -> list[str]:
        """The command lines of processes that do not end by themselves within a time."""
        deadline_s = time.monotonic() + within_s
        while left := [p for p in self.processes() if p.pid not in allowed]:
            if time.monotonic() > deadline_s:
                return [_command_line(process) for process in left]
            time.sleep(0.1)
        return []

    def _spawn(self, words: tuple[str, ...], environment: dict[str, str], output: Path) -> Job:
        with output.open("wb") as file:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("shoal"), *words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

        def wait(within_s: float) -> int | None:
            try:
                return process.wait(within_s)
            except subprocess.TimeoutExpired:
                return None

        return Job(process.pid, wait, output)

    def _fork(self, words: tuple[str, ...], environment: dict[str, str], output: Path) -> Job:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        output.touch()
        process = context.Process(target=_main, args=(words, environment, str(self.folder), str(output)))
        process.start()

        def wait(within_s: float) -> int | None:
            process.join(within_s)
            return process.exitcode

        if process.pid is None:
            raise RuntimeError("a process that was started has no id")
        return Job(process.pid, wait, output)


def _main(words: tuple[str, ...], environment: dict[str, str], folder: str, output: str) -> None:
    os.setsid()
    with open(output, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["shoal", *words]
    from flows.cli import main

    main()


def _command_line(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"{process.pid} (gone meanwhile)"
