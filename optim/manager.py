"""The manager: events in, commands out, and nothing else.

It starts optimizers, records every loss, stops those that the stoppers condemn, starts others, and ends the run.
It knows no clock, no worker and no file, and draws random numbers only by key: the order of its events is the
whole truth, so feeding it the same events again gives the same run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from optim.ask_tell import End, EndKind, Point
from optim.errors import UnknownCallError
from optim.exiting import Exiting
from optim.journal import EventKind
from optim.member import Member
from optim.messages import (
    BASELINE,
    Announce,
    Cancel,
    Command,
    Dropped,
    Evaluated,
    Event,
    Finish,
    Pause,
    SessionStart,
    SettingsChanged,
    Submit,
    TimeUp,
    Validated,
)
from optim.outcome import Outcome
from optim.past import Past
from optim.places import Places
from optim.randomness import Streams
from optim.run_state import RunState
from optim.space import Space
from optim.spawning import Spawner
from optim.steering import PauseRun, StartOptimizer, StopOptimizer, StopRun
from optim.stopping import Stopping
from optim.strategy import Strategy
from optim.views import RunView

MAX_ENDS_WITHOUT_LOSS = 20
"""So many optimizers in a row that end without one finite loss fail the run."""

NOBODY_LEFT = "No optimizers alive, spawning stopped."
"""Why a run ends that none of its exit conditions ended."""


class Manager:
    """The sans-I/O core of a run.

    Args:
        strategy: What to obey.
        space: The parameters.
        seed: Of every random number in the run; not negative.
        pasts: Of those optimizers, by number, that do not repeat themselves in a replay.

    Attributes:
        pasts: As given.
    """

    def __init__(
        self,
        strategy: Strategy,
        space: Space,
        seed: int,
        pasts: Mapping[int, Past] = MappingProxyType({}),
    ) -> None:
        self.space = space
        self.seed = seed
        self.pasts = pasts
        self._streams = Streams(seed)
        self._state = RunState(space.dimension, self._streams)
        self._places = Places()
        self._obey(strategy)
        self._validated: dict[tuple[int, int], int] = {}
        self._hungry: list[Member] = []
        self._starts: deque[Point] = deque()
        self._dropped: list[Submit] = []
        self._ends_without_loss = 0
        self._failure = ""
        self._commands: list[Command] = []
        self.finish: Finish | None = None
        self.pause: Pause | None = None

    def _obey(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self._spawner = Spawner(strategy, self.space, self._streams, self.pasts)
        self._stopping = Stopping(strategy)
        self._exiting = Exiting(strategy)
        self._places.limit(self._exiting.budget)

    @property
    def run(self) -> RunView:
        """The run so far, read-only."""
        return self._state

    @property
    def alive(self) -> int:
        """How many optimizers are alive."""
        return self._state.alive

    def asked(self, optimizer: int) -> int:
        """How many evaluations an optimizer has asked for, those that wait included; the baseline is one."""
        return 1 if optimizer == BASELINE else self._state.optimizers[optimizer - 1].asked

    def handle(self, event: Event) -> list[Command]:
        """Take the next event.

        Raises:
            UnknownCallError: The event speaks of a point that was never asked, or already came back.
        """
        self._commands = []
        if isinstance(event, Evaluated):
            self._evaluated(event)
        elif isinstance(event, Validated):
            self._take_validation(event)
        elif isinstance(event, Dropped):
            self._take_dropped(event)
        elif isinstance(event, TimeUp):
            self._state.times_up.add(self.strategy.exit_conditions[event.condition].printed)
        elif isinstance(event, SessionStart):
            self._session_start()
        elif isinstance(event, SettingsChanged):
            self._change_settings(event.strategy)
        elif isinstance(event, StopOptimizer):
            member = self._state.optimizers[event.optimizer - 1]
            self._end(member, EventKind.BY_HAND, f"stopped by {event.by}")
        elif isinstance(event, StopRun):
            self._end_run(Finish(f"stopped by {event.by}"))
        elif isinstance(event, PauseRun):
            self._pause(Pause(f"paused by {event.by}"))
        elif isinstance(event, StartOptimizer):
            self._starts.append(self.space.to_unit(np.array(event.x)))
        if self.finish is None:
            self._commands += self._places.refill(self._state.evaluations, self._is_wanted)
            self._go_on()
        return self._commands

    def exit_lines(self) -> list[str]:
        """The exit conditions as they stand now, one to a line."""
        return self._exiting.lines(self._state)

    # Events

    def _session_start(self) -> None:
        self._state.times_up.clear()
        self.pause = None
        is_first = not self._state.evaluations and not self._state.started and not self._places.out()
        if is_first and self.strategy.baseline and self.finish is None:
            self._send(Submit(BASELINE, 1, self.space.initial, self.space.initial_point))

    def _evaluated(self, event: Evaluated) -> None:
        asked = self._places.leave(event.optimizer, event.call)
        if event.x is not None:
            asked = asked._replace(point=self.space.to_unit(event.x), x=event.x)
        loss = event.loss
        if event.outcome is not Outcome.OK:
            loss = np.inf
            self._failure = event.text or event.outcome.label
        if self._state.record(event.optimizer, loss, asked.x, asked.point):
            self._validate(asked)
        if event.optimizer == BASELINE:
            self._judge_baseline(event)
            return
        member = self._state.optimizers[event.optimizer - 1]
        if not member.is_alive:
            return
        member.take(event.call, loss, asked.point)
        if self.finish is None:
            self._tell(member)

    def _validate(self, best: Submit) -> None:
        """Ask for the validation loss at an optimizer's new best, if it is the turn of this one."""
        validation = self.strategy.validation
        if validation is None or self.finish is not None:
            return
        is_baseline = best.optimizer == BASELINE
        if is_baseline or self._state.optimizers[best.optimizer - 1].bests % validation.every == 0:
            self._validated[best.optimizer, best.call] = evaluation = self._state.evaluations
            self._commands.append(best._replace(is_probe=False, validates=evaluation))

    def _take_validation(self, event: Validated) -> None:
        if self._validated.pop((event.optimizer, event.call), None) is None:
            raise UnknownCallError(
                f"no validation of call {event.call} of optimizer {event.optimizer} is outstanding"
            )
        self._state.record_validation(event.optimizer, event.loss if event.outcome is Outcome.OK else np.inf)

    def _take_dropped(self, event: Dropped) -> None:
        asked = self._places.leave(event.optimizer, event.call)
        if not self._is_wanted(event.optimizer):
            return
        if self.finish is None:  # the run goes on again, and its owner still waits for it
            self._places.put_back([asked])
        else:
            self._dropped.append(asked)

    def _is_wanted(self, optimizer: int) -> bool:
        return optimizer == BASELINE or self._state.optimizers[optimizer - 1].is_alive

    def _change_settings(self, strategy: Strategy) -> None:
        self._obey(strategy)
        if self.finish is not None:
            self._reopen()

    def _reopen(self) -> None:
        """The run had ended, and goes on: with whoever was suspended, where each stood."""
        self.finish = None
        self._ends_without_loss = 0
        self._places.put_back(self._dropped)
        self._dropped = []
        for member in self._state.optimizers:
            if member.is_alive:
                self._commands.append(Announce(EventKind.GOES_ON, member.number, "the settings were changed"))
                self._tell(member)

    def _judge_baseline(self, event: Evaluated) -> None:
        if self.finish is None and event.outcome is not Outcome.OK and self.strategy.baseline != "tolerate":
            self._end_run(
                Finish(
                    f"the loss at the initial values is not finite ({self._failure}); mend it, or set"
                    ' baseline = "tolerate"',
                    failed=True,
                )
            )

    def _tell(self, member: Member) -> None:
        while (point := member.tell_next()) is not None:
            if not member.is_probing:
                self._state.move(member, point)
            if member.living.end is not None:
                self._end_by_itself(member, member.living.end)
                return
            if not member.is_probing and self._is_stopped(member):
                return
            if member.is_hungry:
                self._hungry.append(member)
                return

    def _is_stopped(self, member: Member) -> bool:
        stopped = self._stopping.judge(member, self._state)
        if stopped is not None:
            self._end(member, EventKind.STOPPED, stopped.reason, {"verdicts": stopped.verdicts})
        return stopped is not None

    # What follows from an event: exit conditions, spawning, ask

    def _go_on(self) -> None:
        while not self._is_over() and self._may_spawn():
            self._spawn(self._starts.popleft() if self._starts else None)
        if self.finish is None:
            hungry, self._hungry = self._hungry, []
            for member in hungry:
                self._ask(member)

    def _is_over(self) -> bool:
        if self.finish is not None:
            return True
        end = self._exiting.judge(self._state)
        if isinstance(end, Finish):
            self._end_run(end)
        elif end is not None:
            if self.pause is None:
                self._pause(end)
        elif self._ends_without_loss >= MAX_ENDS_WITHOUT_LOSS:
            self._end_run(
                Finish(
                    f"{MAX_ENDS_WITHOUT_LOSS} optimizers in a row ended without one finite loss; the last"
                    f" failure: {self._failure or 'none was evaluated'}",
                    failed=True,
                )
            )
        elif not (self._state.alive or self._starts or self._spawner.is_open(self._state)):
            self._end_run(Finish(NOBODY_LEFT, conditions=tuple(self.exit_lines())))
        return self.finish is not None

    def _pause(self, pause: Pause) -> None:
        self.pause = pause
        self._commands.append(pause)

    def _may_spawn(self) -> bool:
        is_baseline_out = (BASELINE, 1) in self._places
        if self._starts:  # what a person wants, no limit forbids
            return not is_baseline_out
        return (
            self._state.alive < self.strategy.parallel_optimizers
            and not is_baseline_out
            and self.pause is None
            and self._spawner.is_open(self._state)
            and self._places.is_free(self._state.evaluations)
        )

    def _spawn(self, point: Point | None = None) -> None:
        member, announce = self._spawner.spawn(self._state, point)
        self._state.add(member)
        self._commands.append(announce)
        if member.living.end is not None:
            self._end_by_itself(member, member.living.end)
        self._hungry.append(member)

    def _ask(self, member: Member) -> None:
        if not member.is_alive:
            return
        batch = member.ask()
        for call, point in enumerate(batch.points, member.first_call):
            self._send(Submit(member.number, call, self.space.to_physical(point), point, batch.probes))

    # Submissions

    def _send(self, submit: Submit) -> None:
        if self._places.enter(submit, self._state.evaluations):
            self._commands.append(submit)

    # Ends

    def _end_by_itself(self, member: Member, end: End) -> None:
        kind = EventKind(end.kind)
        if end.kind is EndKind.CONVERGED and member.best_loss == np.inf:
            kind = EventKind.GAVE_UP
        self._end(member, kind, end.reason)

    def _end(
        self, member: Member, kind: EventKind, reason: str, data: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        member.close()
        self._state.bury(member)
        if kind is EventKind.CONVERGED:
            self._state.stopped_before.append(self._state.stopped)
        elif kind is EventKind.STOPPED:
            self._state.stopped += 1
        if kind is not EventKind.BY_HAND:
            self._ends_without_loss = self._ends_without_loss + 1 if member.best_loss == np.inf else 0
        self._commands.append(Announce(kind, member.number, reason, data))
        self._cancel(self._places.out_of(member.number, member.latest_calls))

    def _end_run(self, finish: Finish) -> None:
        """What lives is suspended, not destroyed: a larger budget could go on from here."""
        self.finish = finish
        for member in self._state.optimizers:
            if member.is_alive:
                self._commands.append(Announce(EventKind.EXIT, member.number, finish.reason))
        self._commands.append(Announce(EventKind.EXIT, -1, finish.reason))
        self._cancel(self._places.out())
        self._commands.append(finish)

    def _cancel(self, keys: Iterable[tuple[int, int]]) -> None:
        self._commands += [Cancel(*key) for key in keys]
