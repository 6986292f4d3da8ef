"""Ctrl-C, SIGTERM and SIGHUP as a wish that the drivers ask for, never as an exception in the middle of a step.

An exception raised inside a greenlet would kill the optimizer that happens to run in it. So the first signal only
says that somebody wants to stop: the run drains and saves. The second one stops at once.

Who sends SIGTERM sends SIGKILL some time later: Prefect and SLURM after 30 s. So the run drains no longer than
`DRAIN_S` then; a person at a terminal waits as long as they like. One whose terminal is closed (SIGHUP) is gone, and
may come back soon to resume.
"""

from __future__ import annotations

import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from optim.errors import Interrupt

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DRAIN_S = 15.0
"""How long after SIGTERM or SIGHUP a run waits for what is in flight; the rest of the 30 s is for the workers' end."""
INTERRUPTED = "interrupted; what was finished is saved"
"""The reason that a run then gives."""
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
NOTICE = b"\nStopping when what is in flight has come back; a second time: at once.\n"


class GivenUp(Interrupt):
    """The time is over; what runs in the main thread must end where it stands."""


class Interruption:
    """Whether somebody asked the run to stop. Call it to ask."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._drained_by_s = math.inf
        self._listeners: list[Callable[[], None]] = []
        self._timers: list[threading.Timer] = []
        self._timing = threading.Lock()
        self._is_time_up = False
        self._has_ended = False

    def __call__(self) -> bool:
        """Whether a signal has arrived."""
        return self.signal is not None

    @property
    def patience_s(self) -> float:
        """How long the run may still wait for what is in flight, seconds; inf: as long as it takes."""
        return max(0.0, self._drained_by_s - time.monotonic())

    def on_request(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the signal arrives; it runs in the handler, so it must only wake somebody up."""
        self._listeners.append(listener)
        if self.signal is not None:  # it came before the listener
            listener()

    def request(self, number: int, frame: FrameType | None) -> None:
        """The signal handler.

        Raises:
            KeyboardInterrupt: At the second signal, unless that is SIGHUP: a terminal that is closed sends several.
            GivenUp: It is `give_up_within` that sent it.
        """
        del frame
        if self._is_time_up:
            if not self._has_ended:
                raise GivenUp
            return
        _leave_what_is_closed()
        if self.signal is not None:
            if number == signal.SIGHUP:
                return
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        if self.signal is not signal.SIGINT:
            self._drained_by_s = time.monotonic() + DRAIN_S
        for listener in self._listeners:
            listener()
        with suppress(OSError):  # a log on a full disk
            os.write(STANDARD_ERROR, NOTICE)  # unlike print, allowed in the middle of anything

    def give_up_within(self, seconds: float) -> None:
        """Raise `GivenUp` then, in the middle of whatever the main thread does; inf: never.

        Not by an alarm: a process has one, and it may be somebody else's.
        """
        if math.isfinite(seconds) and threading.current_thread() is threading.main_thread():
            timer = threading.Timer(seconds, self._give_up)
            timer.daemon = True
            timer.start()
            self._timers.append(timer)

    def end(self) -> None:
        """Give nothing up any more, and tell nobody."""
        self._has_ended = True
        with self._timing:  # who was about to send the signal has sent it
            pass
        for timer in self._timers:
            timer.cancel()
        self._listeners.clear()  # they hold the run, and perhaps this

    def _give_up(self) -> None:
        with self._timing:
            if not self._has_ended:
                self._is_time_up = True
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Handle signals until the context ends; outside the main thread, where none arrive, do nothing."""
    interruption = Interruption()
    heard = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    nohup = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
    before = {number: signal.signal(number, interruption.request) for number in heard if number not in nohup}
    try:
        yield interruption
    finally:
        interruption.end()
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_what_is_closed() -> None:
    """Where the terminal is closed, or the reader of a pipe has ended, each line would fail: write nowhere instead."""
    outputs = select.poll()
    for output in (STANDARD_OUTPUT, STANDARD_ERROR):
        outputs.register(output, 0)  # errors are told unasked
    for output, _ in outputs.poll(0):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output)
        os.close(nowhere)
