"""One process's work on a run: feeds the manager, keeps the queue of submissions, writes the journal.

Every driver goes through a session: it takes the next submission, has it evaluated wherever it likes, and hands
the result back. The session makes the rest follow, in one order for all drivers.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from optim.errors import SpaceError, UnknownCallError
from optim.journal import Journal
from optim.manager import Manager
from optim.messages import (
    BASELINE,
    Announce,
    Cancel,
    Command,
    Dropped,
    Evaluated,
    Event,
    Finish,
    PastAccepted,
    Pause,
    SessionStart,
    Submit,
    TimeUp,
    Validated,
)
from optim.outcome import Outcome
from optim.progress import Standing
from optim.recorder import Recorder
from optim.replay import Replayed
from optim.steering import Intervention, StartOptimizer, StopOptimizer
from optim.walltime import Walltime

Listener = Callable[[Announce], None]
"""Told of every decision of the manager, as it happens."""


_Key = tuple[int, int, bool]
"""Optimizer, call, and whether it is a validation."""


class _Deadline(NamedTuple):
    at_s: float
    do: Callable[
        [Session], None
    ]  # no bound method: a cycle would be collected in any thread, greenlets only in theirs


class Session:
    """A run that is being worked on.

    Args:
        manager: A fresh one.
        journal: Where everything is written, in order.
        clock: Seconds since the run began.
        listener: Told of every decision.

    Attributes:
        busy_s: How long losses took in this session, all together.
        workers: How many losses can be evaluated at once, as the driver knows it.
        halted: Why nothing more is given out; empty: it is.
    """

    def __init__(
        self,
        manager: Manager,
        journal: Journal,
        clock: Callable[[], float],
        listener: Listener = lambda announce: None,
    ) -> None:
        self.manager = manager
        self.clock = clock
        self._run = manager.run
        self.busy_s = 0.0
        self.workers = 1
        self.halted = ""
        self._recorder = Recorder(manager, journal, clock)
        self._listener = listener
        self._queue: OrderedDict[_Key, Submit] = OrderedDict()
        self._sent: dict[_Key, tuple[Submit, float]] = {}  # and when, by the clock
        self._spent_s = 0.0
        self._began_s = 0.0
        self._deadlines: list[_Deadline] = []
        self._walltime: Walltime | None = None
        self._interventions: set[str] = set()
        self._cancelled: deque[Dropped] = deque()
        self._dropped_before: list[Dropped] = []
        self._to_accept: list[PastAccepted] = []

    @property
    def finish(self) -> Finish | None:
        """Why and how the run ended; None while it goes on."""
        return self.manager.finish

    @property
    def pause(self) -> Pause | None:
        """Which time limit, or who, ended the session, and how; None: nothing did."""
        return self.manager.pause

    @property
    def is_over(self) -> bool:
        """Whether nothing more is given out, and nothing is to be tried again: it was halted or paused."""
        return bool(self.halted) or self.manager.pause is not None

    @property
    def failures(self) -> int:
        """How many evaluations failed, over all sessions."""
        return self._recorder.failures

    @property
    def in_flight(self) -> int:
        """How many submissions were taken and not handed back."""
        return len(self._sent)

    @property
    def waiting(self) -> int:
        """How many submissions could be taken, if the session does not end."""
        return len(self._queue)

    @property
    def next_deadline_s(self) -> float:
        """When `tick` should be called at the latest, by the session's clock; inf: never."""
        return self._deadlines[0].at_s if self._deadlines else math.inf

    @property
    def patience_s(self) -> float:
        """How long what is in flight may still be waited for, seconds; inf: as long as it takes."""
        return max(0.0, self._walltime.ends_s - self.clock()) if self._walltime else math.inf

    def standing(self) -> Standing:
        """How the run stands now; another thread may ask."""
        return Standing.of(self._run, self._spent_s, self.clock() - self._began_s)

    def take_over(self, replayed: Replayed) -> None:
        """Go on where a replay of the journal has brought the manager; before `begin`."""
        self._to_accept = [PastAccepted(optimizer) for optimizer in replayed.accepted]
        self._recorder.go_on(replayed.inputs, replayed.failures, replayed.unwritten)
        self._spent_s = replayed.spent_s
        self._interventions |= replayed.interventions
        for submit in replayed.outstanding:
            key = (submit.optimizer, submit.call, submit.validates > 0)
            if key in replayed.cancelled:
                self._dropped_before.append(Dropped(submit.optimizer, submit.call))
            else:
                self._queue[key] = submit

    def begin(self, text: str) -> None:
        """Start working; `text` says who does."""
        began_s = self._began_s = self.clock()
        allowances = (
            (condition.allowance_s(self._spent_s), place)
            for place, condition in enumerate(self.manager.strategy.exit_conditions)
        )
        for seconds, place in allowances:
            if seconds is not None:
                self._at(began_s + seconds, partial(Session._feed, event=TimeUp(place)))
        self._feed(SessionStart(), text)
        for past in self._to_accept:
            self._feed(past, text)
        for dropped in self._dropped_before:
            self._feed(dropped)
        self.tick()

    def tick(self) -> None:
        """Look at the clock: do what is due, as telling the manager which time limits have been reached."""
        while self._deadlines and self._deadlines[0].at_s <= self.clock():
            self._deadlines.pop(0).do(self)

    def every(self, seconds: float, do: Callable[[Session], None]) -> None:
        """Do something with this session now, and have `tick` do it again and again."""
        do(self)
        self._at(self.clock() + seconds, partial(Session.every, seconds=seconds, do=do))

    def end_before(self, walltime: Walltime) -> None:
        """Give out nothing that is not expected back within the walltime."""
        self._walltime = walltime

    def halt(self, reason: str) -> None:
        """Give out nothing more. It only sets a mark, so a signal handler may call it."""
        self.halted = reason

    def steer(self, intervention: Intervention) -> str:
        """Do what a person asks for, unless it was done before.

        Returns:
            Why it cannot be done; empty: it is done.
        """
        if intervention.id in self._interventions:
            return ""
        objection = self._objection(intervention)
        if not objection:
            self._interventions.add(intervention.id)
            self._feed(intervention)
        return objection

    def next(self) -> Submit | None:
        """Take the next submission, in the order asked; None: there is none now, or the session ends.

        Points that violate a constraint are not given out: their result is known, and recorded at once.
        """
        while self._queue and not self._is_ending():
            key, submit = self._queue.popitem(last=False)
            self._sent[key] = submit, self.clock()
            violation = self.manager.space.violation(submit.x)
            if not violation:
                return submit
            self.hand_back(
                Evaluated(
                    submit.optimizer,
                    submit.call,
                    Outcome.CONSTRAINT,
                    math.nan,
                    attempts=0,
                    text=violation,
                )
            )
            self.tick()
        return None

    def hand_back(self, result: Evaluated | Validated) -> None:
        """A submission that was taken is done.

        Raises:
            UnknownCallError: It was never taken, or was handed back before.
        """
        key = result.optimizer, result.call, isinstance(result, Validated)
        try:
            submit, submitted_s = self._sent.pop(key)
        except KeyError:
            raise UnknownCallError(
                f"call {result.call} of optimizer {result.optimizer} was not given out, or was handed back before"
            ) from None
        self._note_time(result, submitted_s)
        if isinstance(result, Evaluated):
            is_late = self._is_late(result.optimizer)
            commands = self.manager.handle(result)
            self._recorder.evaluation(result, submit, submitted_s, is_late)
        else:
            commands = self.manager.handle(result)
            self._recorder.validation(result, submit, submitted_s)
        self._obey(commands)
        self._drop_cancelled()

    def _is_ending(self) -> bool:
        if self._walltime and not self.halted:
            now_s = self.clock()
            _, oldest_s = next(iter(self._sent.values()), (None, now_s))
            self.halted = self._walltime.objection(now_s, oldest_s)
        return self.is_over

    def _objection(self, intervention: Intervention) -> str:
        run = self._run
        if self.finish:
            return f"the run has ended: {self.finish.reason}"
        if isinstance(intervention, StopOptimizer):
            number = intervention.optimizer
            if number > run.started:
                return f"there is no optimizer {number}; {run.started} were started"
            if not run.optimizers[number - 1].is_alive:
                return f"optimizer {number} has ended already"
        if isinstance(intervention, StartOptimizer):
            try:
                self.manager.space.to_unit(np.array(intervention.x))
            except SpaceError as error:
                return str(error)
        return ""

    def _at(self, seconds: float, do: Callable[[Session], None]) -> None:
        insort(self._deadlines, _Deadline(seconds, do), key=attrgetter("at_s"))

    def _feed(self, event: Event, by: str = "") -> None:
        self._enter(event, by)
        self._drop_cancelled()

    def _drop_cancelled(self) -> None:
        while self._cancelled:
            self._enter(self._cancelled.popleft())

    def _enter(self, event: Event, by: str = "") -> None:
        commands = self.manager.handle(event)
        self._recorder.event(event, by)
        self._obey(commands)

    def _obey(self, commands: Iterable[Command]) -> None:
        """Do what follows from an input, which is complete then."""
        for command in commands:
            if isinstance(command, Submit):
                self._queue[command.optimizer, command.call, command.validates > 0] = command
            elif isinstance(command, Announce):
                self._recorder.decision(command)
                self._listener(command)
            elif isinstance(command, Cancel) and self._unqueue(command):
                self._cancelled.append(Dropped(command.optimizer, command.call))
        self._recorder.sequence += 1

    def _unqueue(self, cancel: Cancel) -> bool:
        """Whether it was still in the queue."""
        try:
            del self._queue[cancel.optimizer, cancel.call, False]
        except KeyError:
            return False
        return True

    def _is_late(self, optimizer: int) -> bool:
        return optimizer != BASELINE and not self._run.optimizers[optimizer - 1].is_alive

    def _note_time(self, result: Evaluated | Validated, submitted_s: float) -> None:
        took_s = result.finished_s - result.started_s
        if took_s > 0:  # it is not nan
            self.busy_s += took_s
        if self._walltime:
            self._walltime.took(self.clock() - submitted_s)
