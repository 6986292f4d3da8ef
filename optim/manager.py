"""The manager: events in, commands out, and nothing else.

It starts optimizers, records every loss, stops those that the stoppers condemn, starts others, and ends the run.
It knows no clock, no worker and no file, and draws random numbers only by key: the order of its events is the
whole truth, so feeding it the same events again gives the same run.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from optim.ask_tell import EndKind, Start
from optim.combination import Combination, Judgement
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
    SessionStart,
    Submit,
)
from optim.outcome import Outcome
from optim.places import Asked, Places
from optim.randomness import Streams
from optim.run_state import RunState
from optim.space import Space
from optim.strategy import Strategy
from optim.verdict import NO, Verdict
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
    """

    def __init__(self, strategy: Strategy, space: Space, seed: int) -> None:
        self.strategy = strategy
        self.space = space
        self._streams = Streams(seed)
        self._state = RunState(space.dimension)
        self._initial = space.to_unit(space.initial)
        self._stopping = Combination(strategy.stopper_boolean_combination, len(strategy.stoppers))
        self._exiting = Combination(
            strategy.exit_condition_boolean_combination, len(strategy.exit_conditions)
        )
        self._places = Places(self._hard_cap())
        self._hungry: list[Member] = []
        self._ends_without_loss = 0
        self._failure = ""
        self._commands: list[Command] = []
        self.finish: Finish | None = None

    @property
    def run(self) -> RunView:
        """The run so far, read-only."""
        return self._state

    @property
    def alive(self) -> int:
        """How many optimizers are alive."""
        return self._state.alive

    def handle(self, event: Event) -> list[Command]:
        """Take the next event.

        Raises:
            UnknownCallError: The event speaks of a point that was never asked, or already came back.
        """
        self._commands = []
        if isinstance(event, Evaluated):
            self._evaluated(event)
        elif isinstance(event, Dropped):
            self._places.leave(event.optimizer, event.call)
        elif isinstance(event, SessionStart):
            self._session_start()
        if self.finish is None:
            self._send_waiting()
            self._go_on()
        return self._commands

    def exit_lines(self) -> list[str]:
        """The exit conditions as they stand now, one to a line."""
        return self._exit_lines(self._exiting.judge(self._exit_verdict))

    # Events

    def _session_start(self) -> None:
        is_first = not self._state.evaluations and not self._state.started and not self._places.out()
        if is_first and self.strategy.baseline:
            self._send(Asked(BASELINE, 1, self._initial, self.space.initial, is_probe=False))

    def _evaluated(self, event: Evaluated) -> None:
        asked = self._places.leave(event.optimizer, event.call)
        loss = event.loss if event.outcome is Outcome.OK else np.inf
        if event.outcome is not Outcome.OK:
            self._failure = event.text or event.outcome.label
        self._state.record(event.optimizer, loss, asked.x, asked.point)
        if event.optimizer == BASELINE:
            self._judge_baseline(event)
            return
        member = self._state.optimizers[event.optimizer - 1]
        if not member.is_alive:
            return
        member.take(event.call, loss)
        if self.finish is None:
            self._tell(member)

    def _judge_baseline(self, event: Evaluated) -> None:
        if event.outcome is not Outcome.OK and self.strategy.baseline != "tolerate":
            self._end_run(
                Finish(
                    f"the loss at the initial values is not finite ({self._failure}); mend it, or set"
                    ' baseline = "tolerate"',
                    failed=True,
                )
            )

    def _tell(self, member: Member) -> None:
        while (told := member.tell_next()) is not None:
            if not told.is_probe:
                self._state.move(member)
            end = member.living.end
            if end is not None:
                kind = EventKind(end.kind)
                if end.kind is EndKind.CONVERGED and member.best_loss == np.inf:
                    kind = EventKind.GAVE_UP
                self._end(member, kind, end.reason)
                return
            if not told.is_probe and self._is_stopped(member):
                return
            if told.is_last:
                self._hungry.append(member)
                return

    def _is_stopped(self, member: Member) -> bool:
        strategy = self.strategy
        if not strategy.stoppers or member.calls % strategy.check_stopper_interval:
            return False
        best = self._state.best
        is_owner = best is not None and best.optimizer == member.number
        if is_owner and not strategy.apply_stoppers_to_best_optimizer:
            return False

        def verdict(rule: int) -> Verdict:
            stopper = strategy.stoppers[rule]
            if stopper.needs_warm_up and not member.is_warm:
                return NO
            return stopper.judge(member, self._state)

        judgement = self._stopping.judge(verdict)
        if judgement.met:
            self._end(member, EventKind.STOPPED, self._stop_reason(judgement))
        return judgement.met

    # What follows from an event: exit conditions, spawning, ask

    def _go_on(self) -> None:
        while not self._is_over() and self._may_spawn():
            self._spawn()
        hungry, self._hungry = self._hungry, []
        if self.finish is None:
            for member in hungry:
                self._ask(member)

    def _is_over(self) -> bool:
        if self.finish is not None:
            return True
        judgement = self._exiting.judge(self._exit_verdict)
        if judgement.met:
            met = [
                f"{condition.printed}: {verdict}"
                for condition, verdict in zip(self.strategy.exit_conditions, judgement.verdicts, strict=True)
                if verdict is not None and verdict.met
            ]
            self._end_run(Finish("; ".join(met), conditions=tuple(self._exit_lines(judgement))))
        elif self._ends_without_loss >= MAX_ENDS_WITHOUT_LOSS:
            self._end_run(
                Finish(
                    f"{MAX_ENDS_WITHOUT_LOSS} optimizers in a row ended without one finite loss; the last"
                    f" failure: {self._failure or 'none was evaluated'}",
                    failed=True,
                )
            )
        elif not self._state.alive and not self._spawning_is_open():
            self._end_run(Finish(NOBODY_LEFT, conditions=tuple(self._exit_lines(judgement))))
        return self.finish is not None

    def _spawning_is_open(self) -> bool:
        limits = self.strategy.control_optimizer_spawning
        return (limits.max_evaluations is None or self._state.evaluations < limits.max_evaluations) and (
            limits.max_optimizers is None or self._state.started < limits.max_optimizers
        )

    def _may_spawn(self) -> bool:
        waits_for_baseline = (BASELINE, 1) in self._places
        return (
            not waits_for_baseline
            and self._state.alive < self.strategy.parallel_optimizers
            and self._spawning_is_open()
            and self._places.is_free(self._state.evaluations)
        )

    def _spawn(self) -> None:
        strategy, state = self.strategy, self._state
        number = state.started + 1
        at = strategy.optimizer_selector.select(
            len(strategy.optimizers), state, self._streams.stream("selector", number)
        )
        block = strategy.optimizers[at]
        point = strategy.generator.point(self._initial, state, self._streams.stream("generator", number))
        living = block.start(Start(point, self._streams.stream("optimizer", number)))
        member = Member(number, block, living, self.space.dimension)
        state.add(member)
        x = self.space.to_physical(point)
        generator = strategy.generator.type_name()
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.space.named(x).items())
        data = {
            "type": block.type_name(),
            "label": block.title,
            "settings": block.model_dump(mode="json"),
            "generator": generator,
            "x0": x.tolist(),
        }
        self._commands.append(
            Announce(EventKind.SPAWN, number, f"{block.title} starts at {values} ({generator})", data)
        )
        if living.end is not None:
            self._end(member, EventKind(living.end.kind), living.end.reason)
        self._hungry.append(member)

    def _ask(self, member: Member) -> None:
        if not member.is_alive:
            return
        for call, point, is_probe in member.ask():
            self._send(Asked(member.number, call, point, self.space.to_physical(point), is_probe))

    # Submissions

    def _hard_cap(self) -> int | None:
        caps = [
            condition.budget
            for number, condition in enumerate(self.strategy.exit_conditions)
            if condition.budget is not None and self._exiting.holds_with(frozenset({number}))
        ]
        return min(caps, default=None)

    def _send(self, asked: Asked) -> None:
        if self._places.enter(asked, self._state.evaluations):
            self._submit(asked)

    def _send_waiting(self) -> None:
        optimizers = self._state.optimizers
        for asked in self._places.refill(self._state.evaluations, lambda of: optimizers[of - 1].is_alive):
            self._submit(asked)

    def _submit(self, asked: Asked) -> None:
        self._commands.append(Submit(asked.optimizer, asked.call, asked.x, asked.is_probe))

    # Ends

    def _end(self, member: Member, kind: EventKind, reason: str) -> None:
        member.close()
        self._state.bury(member)
        if kind is EventKind.CONVERGED:
            self._state.converged += 1
        elif kind is EventKind.STOPPED:
            self._state.stopped += 1
        self._ends_without_loss = self._ends_without_loss + 1 if member.best_loss == np.inf else 0
        self._commands.append(Announce(kind, member.number, reason))
        self._cancel(self._places.out(member.number))

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

    def _exit_verdict(self, rule: int) -> Verdict:
        return self.strategy.exit_conditions[rule].judge(self._state)

    def _exit_lines(self, judgement: Judgement) -> list[str]:
        names = [condition.printed for condition in self.strategy.exit_conditions]
        return self._exiting.lines(names, judgement.verdicts)

    def _stop_reason(self, judgement: Judgement) -> str:
        met = [
            f"{stopper.type_name()}: {verdict}"
            for stopper, verdict in zip(self.strategy.stoppers, judgement.verdicts, strict=True)
            if verdict is not None and verdict.met
        ]
        return "; ".join(met)
