"""The manager, driven by hand and by random orders of events.

Invariants, whatever order results come in: never more alive than allowed; evaluations and what is
outstanding never exceed the budget; each call is submitted once, numbered from 1 without a gap; a
cancelled point was outstanding; nothing is started in a pause, and nothing is submitted once the run has
ended; each validation is of an evaluated point; the same events give the same commands; the run ends.
"""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optim.ask_tell import Batch, End, EndKind
from optim.errors import UnknownCallError
from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.exit_conditions.time_limit import TimeLimit
from optim.generators.random import Random
from optim.journal import EventKind
from optim.manager import MAX_ENDS_WITHOUT_LOSS, Manager
from optim.messages import (
    Announce,
    Cancel,
    Dropped,
    Evaluated,
    Finish,
    SessionStart,
    SettingsChanged,
    Submit,
    TimeUp,
    Validated,
)
from optim.optimizers.base import Optimizer
from optim.outcome import Outcome
from optim.selectors.chain import Chain
from optim.space import Parameter, Space
from optim.steering import StartOptimizer, StopRun
from optim.stoppers.base import Stopper
from optim.stoppers.current_function_value_unmoving import CurrentFunctionValueUnmoving
from optim.stoppers.max_function_calls import MaxFunctionCalls
from optim.stoppers.validation_loss_unmoving import ValidationLossUnmoving
from optim.strategy import Strategy
from optim.verdict import Verdict

SPACE = Space([Parameter(name=name, initial=0.0, lower=-1.0, upper=3.0) for name in "ab"])
WISH = {"id": "1" * 32, "by": "ada", "at": datetime(2026, 1, 2, tzinfo=UTC)}


class Wanderer(Optimizer):
    """Asks for random batches, and ends as told."""

    batch: int = 1
    generations: int = 5
    end: str = "converged"
    probes: bool = False
    first_look: int = 0

    def steps(self, start):
        if self.end == "crashed":
            raise RuntimeError("lost its way")
        for generation in range(self.generations):
            points = start.rng.random((self.batch, len(start.x0)))
            losses = yield Batch(tuple(points), probes=self.probes and generation % 2 == 1)
            assert len(losses) == self.batch
        return End(EndKind(self.end), "the walk is over")

    def warm_up(self, dimension):
        return self.first_look


class AtCall(Stopper):
    """Stops everybody at a call."""

    call: int

    def judge(self, optimizer, run):
        return Verdict(optimizer.calls >= self.call, "call {}", (optimizer.calls,))


LATE = "AtCall(call=9) = "


class ByHand:
    """A driver that keeps what is outstanding, for tests to answer as they like."""

    def __init__(self, seed=1, **strategy):
        strategy.setdefault("baseline", False)
        strategy.setdefault("generator", Random())
        strategy.setdefault("optimizers", [Wanderer()])
        strategy.setdefault("exit_conditions", [MaxTotalFunctionCalls(max=10_000)])
        self.strategy = Strategy(**strategy)
        self.manager = Manager(self.strategy, SPACE, seed)
        self.outstanding = {}
        self.validating = {}
        self.cancelled = []
        self.announced = []
        self.log = []
        self.finish = None
        self.feed(SessionStart())

    @property
    def run(self):
        return self.manager.run

    def feed(self, event):
        commands = self.manager.handle(event)
        self.log.append((event, commands))
        for command in commands:
            if isinstance(command, Submit):
                waiting = self.validating if command.validates else self.outstanding
                key = (command.optimizer, command.call)
                assert key not in waiting
                waiting[key] = command
            elif isinstance(command, Cancel):
                assert tuple(command) in self.outstanding
                self.cancelled.append(tuple(command))
            elif isinstance(command, Announce):
                self.announced.append(command)
            elif isinstance(command, Finish):
                self.finish = command
        return commands

    def answer(self, optimizer, call, loss=1.0, outcome=Outcome.OK, text=""):
        del self.outstanding[optimizer, call]
        return self.feed(Evaluated(optimizer, call, outcome, loss, text=text))

    def answer_first(self, loss=1.0, **how):
        return self.answer(*next(iter(self.outstanding)), loss=loss, **how)

    def validate(self, optimizer, call, loss=1.0, outcome=Outcome.OK):
        del self.validating[optimizer, call]
        return self.feed(Validated(optimizer, call, outcome, loss))

    def drop(self, optimizer, call):
        del self.outstanding[optimizer, call]
        return self.feed(Dropped(optimizer, call))

    def finish_in_order(self, loss=lambda x: float(np.sum(x**2))):
        while self.outstanding and not self.finish:
            key = next(iter(self.outstanding))
            self.answer(*key, loss=loss(self.outstanding[key].x))
        return self

    def kinds(self, optimizer):
        return [announce.kind for announce in self.announced if announce.optimizer == optimizer]


BLOCKS = st.builds(
    Wanderer,
    batch=st.integers(1, 4),
    generations=st.integers(0, 4),
    end=st.sampled_from(["converged", "gave up", "crashed"]),
    probes=st.booleans(),
)
LIMITS = st.none() | st.integers(1, 12)


OUTCOMES = st.sampled_from([*[Outcome.OK] * 3, Outcome.NONFINITE, Outcome.EXCEPTION, Outcome.CONSTRAINT])
LOSSES = st.floats(-10, 10)


def any_event(hand, data):
    """Feed something that may happen next, and give the commands that follow."""
    waiting = [*sorted(hand.outstanding), *((*key, "validation") for key in sorted(hand.validating))]
    happens = data.draw(st.sampled_from([*waiting, "time up", "session start"]))
    if happens == "time up":
        return hand.feed(TimeUp(2))
    if happens == "session start":
        return hand.feed(SessionStart())
    if len(happens) == 3:
        return hand.validate(*happens[:2], loss=data.draw(LOSSES), outcome=data.draw(OUTCOMES))
    if happens in hand.cancelled and data.draw(st.booleans()):
        return hand.drop(*happens)
    return hand.answer(*happens, loss=data.draw(LOSSES), outcome=data.draw(OUTCOMES))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_order_of_events_keeps_the_books(data):
    budget, parallel = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 4))
    hand = ByHand(
        parallel_optimizers=parallel,
        optimizers=data.draw(st.lists(BLOCKS, min_size=1, max_size=3)),
        stoppers=[AtCall(call=5), ValidationLossUnmoving(number_of_validations=2)],
        control_optimizer_spawning={
            "max_evaluations": data.draw(LIMITS),
            "max_optimizers": data.draw(LIMITS),
        },
        exit_conditions=[
            MaxTotalFunctionCalls(max=budget),
            MaxOptimizersConverged(max=4),
            TimeLimit(seconds=60),
        ],
        validation={"problem": "elsewhere:loss", "every": data.draw(st.integers(1, 3))},
        baseline=data.draw(st.sampled_from([False, "tolerate"])),
    )
    while hand.outstanding or hand.validating or not hand.finish:
        assert hand.outstanding or hand.finish or hand.manager.pause
        assert hand.manager.alive <= parallel
        assert hand.run.evaluations + len(hand.outstanding) <= budget
        had_ended, was_paused = hand.finish, hand.manager.pause
        commands = any_event(hand, data)
        assert not (had_ended and commands)
        if was_paused and hand.manager.pause:
            assert not any(is_start(command) for command in commands)
    assert hand.finish
    check_submissions(hand)
    starts = [announce.optimizer for announce in hand.announced if announce.kind is EventKind.SPAWN]
    assert starts == list(range(1, len(starts) + 1))
    for number in starts:
        assert len(hand.kinds(number)) == 2
    again = Manager(hand.strategy, SPACE, 1)
    assert [repr(again.handle(event)) for event, _ in hand.log] == [
        repr(commands) for _, commands in hand.log
    ]


def check_submissions(hand):
    """Calls are numbered without a gap; a validation is of a point that was evaluated, at most once."""
    asked, evaluated, validated = {}, [], []
    for event, commands in hand.log:
        if isinstance(event, Evaluated):
            evaluated.append((event.optimizer, event.call))
        for command in commands:
            if isinstance(command, Submit) and command.validates:
                assert evaluated[command.validates - 1] == (command.optimizer, command.call)
                validated.append(command.validates)
            elif isinstance(command, Submit):
                assert command.call == asked.get(command.optimizer, 0) + 1
                asked[command.optimizer] = command.call
    assert len(set(validated)) == len(validated)
    assert len(hand.run.validations) <= len(validated)


def is_start(command):
    return isinstance(command, Announce) and command.kind is EventKind.SPAWN


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(6)))
def test_losses_are_told_in_the_order_asked(order):
    hand = ByHand(optimizers=[Wanderer(batch=6, generations=1)])
    keys = list(hand.outstanding)
    optimizer = hand.run.optimizers[0]
    for at in order:
        hand.answer(*keys[at], loss=float(at + 1))
    assert list(optimizer.latest_losses(10)) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_as_many_optimizers_live_as_may_live_in_parallel():
    hand = ByHand(parallel_optimizers=3)
    assert hand.manager.alive == 3
    assert sorted(hand.outstanding) == [(1, 1), (2, 1), (3, 1)]


def test_one_that_converged_is_counted_and_replaced():
    hand = ByHand(optimizers=[Wanderer(generations=2)])
    hand.answer_first()
    hand.answer_first()
    assert hand.kinds(1) == [EventKind.SPAWN, EventKind.CONVERGED]
    assert (hand.run.converged, hand.run.stopped, hand.manager.alive) == (1, 0, 1)
    assert list(hand.outstanding) == [(2, 1)]


@pytest.mark.parametrize(
    ("end", "loss", "kind"),
    [
        ("converged", 1.0, EventKind.CONVERGED),
        ("converged", math.inf, EventKind.GAVE_UP),
        ("gave up", 1.0, EventKind.GAVE_UP),
    ],
)
def test_only_one_that_saw_a_finite_loss_has_converged(end, loss, kind):
    hand = ByHand(optimizers=[Wanderer(generations=1, end=end)])
    hand.answer_first(loss=loss, outcome=Outcome.OK if loss < math.inf else Outcome.NONFINITE)
    assert hand.kinds(1)[-1] is kind


def test_one_that_ends_before_its_first_point_has_not_converged():
    hand = ByHand(optimizers=[Wanderer(generations=0), Wanderer()])
    assert hand.kinds(1) == [EventKind.SPAWN, EventKind.GAVE_UP]
    assert hand.run.converged == 0


def test_one_that_crashed_keeps_its_traceback_and_the_run_goes_on():
    hand = ByHand(optimizers=[Wanderer(end="crashed"), Wanderer()])
    assert hand.kinds(1)[-1] is EventKind.CRASHED
    assert "RuntimeError: lost its way" in hand.announced[1].text
    assert list(hand.outstanding) == [(2, 1)]


def test_a_stopped_one_is_closed_its_points_cancelled_and_late_results_not_told():
    hand = ByHand(
        optimizers=[Wanderer(batch=4)], stoppers=[AtCall(call=2)], apply_stoppers_to_best_optimizer=True
    )
    hand.answer(1, 1)
    hand.answer(1, 2)
    assert hand.kinds(1)[-1] is EventKind.STOPPED
    assert hand.announced[1].text == "AtCall: call 2"
    assert hand.cancelled == [(1, 3), (1, 4)]
    hand.drop(1, 3)
    hand.answer(1, 4, loss=0.5)
    assert hand.run.evaluations == 3
    assert hand.run.optimizers[0].calls == 2
    assert hand.run.best.loss == 0.5


@pytest.mark.parametrize(
    ("combination", "reason", "lines"),
    [
        (
            None,
            "AtCall: call 2",
            ["AtCall(call=2) = True |", "MaxFunctionCalls(max=2) = None |", LATE + "None"],
        ),
        (
            "1 & 2",
            "AtCall: call 2; MaxFunctionCalls: 2 calls of 2",
            ["AtCall(call=2) = True &", "MaxFunctionCalls(max=2) = True"],
        ),
        (
            "3 & 1 | 2",
            "MaxFunctionCalls: 2 calls of 2",
            [LATE + "False &", "AtCall(call=2) = None |", "MaxFunctionCalls(max=2) = True"],
        ),
        (
            "(3 | 2) & 1",
            "AtCall: call 2; MaxFunctionCalls: 2 calls of 2",
            [f"({LATE}False |", "MaxFunctionCalls(max=2) = True) &", "AtCall(call=2) = True"],
        ),
    ],
)
def test_a_stop_says_which_rules_were_met_and_how_all_stood(combination, reason, lines):
    hand = ByHand(
        stoppers=[AtCall(call=2), MaxFunctionCalls(max=2), AtCall(call=9)],
        stopper_boolean_combination=combination,
        apply_stoppers_to_best_optimizer=True,
    )
    hand.answer(1, 1)
    hand.answer(1, 2)
    (stop,) = (announce for announce in hand.announced if announce.kind is EventKind.STOPPED)
    assert stop.text == reason
    assert stop.data == {"verdicts": "\n".join(lines)}


def test_a_rule_that_waits_for_the_first_look_round_stands_at_no():
    hand = ByHand(
        optimizers=[Wanderer(first_look=3)],
        stoppers=[AtCall(call=1), MaxFunctionCalls(max=1)],
        apply_stoppers_to_best_optimizer=True,
    )
    hand.answer(1, 1)
    assert hand.announced[1].data["verdicts"] == "AtCall(call=1) = False |\nMaxFunctionCalls(max=1) = True"


def test_the_owner_of_the_best_is_exempt_unless_told_otherwise():
    exempt = ByHand(stoppers=[AtCall(call=1)], parallel_optimizers=2)
    exempt.answer(1, 1, loss=1.0)
    exempt.answer(2, 1, loss=2.0)
    assert exempt.kinds(1) == [EventKind.SPAWN]
    assert exempt.kinds(2)[-1] is EventKind.STOPPED
    strict = ByHand(stoppers=[AtCall(call=1)], apply_stoppers_to_best_optimizer=True)
    strict.answer(1, 1)
    assert strict.kinds(1)[-1] is EventKind.STOPPED


def test_stoppers_are_asked_at_their_interval_only():
    hand = ByHand(stoppers=[AtCall(call=1)], check_stopper_interval=3, apply_stoppers_to_best_optimizer=True)
    for _ in range(3):
        assert hand.kinds(1) == [EventKind.SPAWN]
        hand.answer_first()
    assert hand.kinds(1)[-1] is EventKind.STOPPED


def test_nobody_is_judged_before_its_first_look_round():
    hand = ByHand(
        optimizers=[Wanderer(first_look=4)], stoppers=[AtCall(call=1)], apply_stoppers_to_best_optimizer=True
    )
    for _ in range(4):
        assert hand.kinds(1) == [EventKind.SPAWN]
        hand.answer_first()
    assert hand.kinds(1)[-1] is EventKind.STOPPED


def test_probes_are_counted_but_are_no_steps():
    hand = ByHand(optimizers=[Wanderer(batch=2, generations=3, probes=True)])
    for _ in range(4):
        hand.answer_first()
    assert (hand.run.evaluations, hand.run.optimizers[0].calls) == (4, 2)
    assert [submit.is_probe for submit in hand.outstanding.values()] == [False, False]


def test_a_generation_that_no_longer_fits_sends_its_first_points():
    hand = ByHand(optimizers=[Wanderer(batch=4)], exit_conditions=[MaxTotalFunctionCalls(max=6)])
    for _ in range(4):
        hand.answer_first()
    assert sorted(hand.outstanding) == [(1, 5), (1, 6)]
    hand.finish_in_order()
    assert hand.run.evaluations == 6
    assert hand.finish.reason == "MaxTotalFunctionCalls(fmax=6): 6 evaluations of 6"


def test_a_budget_that_cannot_end_the_run_alone_is_no_cap():
    hand = ByHand(
        optimizers=[Wanderer(generations=100)],
        exit_conditions=[MaxTotalFunctionCalls(max=3), MaxOptimizersConverged(max=1)],
        exit_condition_boolean_combination="1 & 2",
    )
    hand.finish_in_order()
    assert hand.run.evaluations == 100


def test_a_dropped_point_gives_its_place_back():
    hand = ByHand(
        optimizers=[Wanderer(batch=4)],
        stoppers=[AtCall(call=1)],
        apply_stoppers_to_best_optimizer=True,
        exit_conditions=[MaxTotalFunctionCalls(max=5)],
    )
    hand.answer(1, 1)
    assert sorted(hand.outstanding) == [(1, 2), (1, 3), (1, 4), (2, 1)]
    hand.drop(1, 3)
    assert (2, 2) in hand.outstanding


def test_the_end_suspends_who_lives_and_prints_the_conditions():
    hand = ByHand(
        parallel_optimizers=2,
        exit_conditions=[MaxTotalFunctionCalls(max=2500), MaxOptimizersConverged(max=1)],
        optimizers=[Wanderer(generations=1), Wanderer()],
    )
    hand.answer(1, 1)
    assert hand.finish.conditions == (
        "MaxTotalFunctionCalls(fmax=2500) = False |",
        "MaxOptimizersConverged(nconv=1) = True",
    )
    assert hand.kinds(2)[-1] is EventKind.EXIT
    assert hand.run.optimizers[1].is_alive
    assert hand.cancelled == [(2, 1)]
    assert hand.answer(2, 1, loss=0.1) == []
    assert hand.run.best.loss == 0.1


def test_spawning_stops_at_its_limits_and_the_run_ends_when_nobody_is_left():
    hand = ByHand(
        parallel_optimizers=2,
        optimizers=[Wanderer(generations=3)],
        control_optimizer_spawning={"max_evaluations": 6},
    ).finish_in_order()
    assert hand.run.started == 2 + 1
    assert hand.finish.reason == "No optimizers alive, spawning stopped."
    few = ByHand(control_optimizer_spawning={"max_optimizers": 4}).finish_in_order()
    assert few.run.started == 4


def test_chain_changes_the_type_by_evaluations():
    hand = ByHand(
        optimizers=[Wanderer(generations=3), Wanderer(generations=4, label="late")],
        optimizer_selector=Chain(thresholds=[6]),
        exit_conditions=[MaxTotalFunctionCalls(max=14)],
    ).finish_in_order()
    assert [optimizer.title for optimizer in hand.run.optimizers] == ["Wanderer", "Wanderer", "late", "late"]


def test_the_baseline_comes_first_and_is_nobodys():
    hand = ByHand(baseline=True, parallel_optimizers=2)
    assert list(hand.outstanding) == [(0, 1)]
    assert hand.outstanding[0, 1].x.tolist() == SPACE.initial.tolist()
    hand.answer(0, 1, loss=7.0)
    assert sorted(hand.outstanding) == [(1, 1), (2, 1)]
    assert hand.run.best.optimizer == 0


def test_a_baseline_that_is_not_finite_ends_the_run_unless_tolerated():
    hand = ByHand(baseline=True)
    hand.answer(0, 1, loss=math.nan, outcome=Outcome.EXCEPTION, text="ValueError: no such file")
    assert hand.finish.failed
    assert "ValueError: no such file" in hand.finish.reason
    tolerant = ByHand(baseline="tolerate")
    tolerant.answer(0, 1, loss=math.nan, outcome=Outcome.NONFINITE)
    assert tolerant.finish is None


def test_a_baseline_that_comes_back_after_the_end_decides_nothing():
    hand = ByHand(baseline=True)
    hand.feed(StopRun(**WISH))
    hand.answer(0, 1, loss=math.nan, outcome=Outcome.EXCEPTION)
    assert hand.manager.finish == Finish("stopped by ada")
    assert hand.kinds(-1) == [EventKind.EXIT]


def test_a_baseline_that_was_dropped_at_the_end_is_asked_once_more_when_the_run_goes_on():
    hand = ByHand(baseline=True)
    hand.feed(StopRun(**WISH))
    hand.drop(0, 1)
    hand.feed(SessionStart())
    assert not hand.outstanding
    hand.feed(SettingsChanged(hand.strategy))
    hand.feed(SessionStart())
    assert list(hand.outstanding) == [(0, 1)]


def test_a_start_by_hand_waits_for_the_baseline():
    hand = ByHand(baseline=True)
    hand.feed(StartOptimizer(**WISH, x=(1.0, 1.0)))
    assert list(hand.outstanding) == [(0, 1)]
    hand.answer(0, 1)
    assert sorted(hand.outstanding) == [(1, 1)]
    assert "(by hand)" in hand.announced[0].text


def test_a_run_in_which_nothing_works_fails():
    hand = ByHand(optimizers=[Wanderer(generations=2)])
    while not hand.finish:
        hand.answer_first(outcome=Outcome.EXCEPTION, loss=math.nan, text="OSError: no licence")
    assert hand.finish.failed
    assert hand.run.started == MAX_ENDS_WITHOUT_LOSS
    assert "OSError: no licence" in hand.finish.reason


def test_optimizers_that_all_crash_at_once_fail_the_run():
    hand = ByHand(optimizers=[Wanderer(end="crashed")])
    assert hand.finish.failed
    assert not hand.outstanding


@pytest.mark.parametrize(
    "event", [Evaluated(1, 2, Outcome.OK, 1.0), Evaluated(9, 1, Outcome.OK, 1.0), Dropped(1, 9)]
)
def test_a_result_that_nobody_waits_for_is_refused(event):
    hand = ByHand()
    with pytest.raises(UnknownCallError, match="not outstanding"):
        hand.feed(event)
    hand.answer(1, 1)
    with pytest.raises(UnknownCallError, match="has already arrived"):
        hand.feed(Evaluated(1, 1, Outcome.OK, 1.0))


def test_an_optimizer_does_not_depend_on_who_runs_beside_it():
    alone = ByHand(parallel_optimizers=1, seed=3)
    crowd = ByHand(parallel_optimizers=5, seed=3)
    assert crowd.outstanding[1, 1].x.tolist() == alone.outstanding[1, 1].x.tolist()


def test_other_seeds_give_other_points():
    assert ByHand(seed=1).outstanding[1, 1].x.tolist() != ByHand(seed=2).outstanding[1, 1].x.tolist()


def test_unmoving_optimizers_make_room_for_others():
    hand = ByHand(
        parallel_optimizers=2,
        optimizers=[Wanderer(generations=50)],
        stoppers=[CurrentFunctionValueUnmoving(number_of_function_calls=3, tolerance=0.0)],
        exit_conditions=[MaxTotalFunctionCalls(max=40)],
    )
    hand.answer(1, 1, loss=0.0)
    while not hand.finish:
        hand.answer_first(loss=5.0)
    assert hand.run.stopped > 5
