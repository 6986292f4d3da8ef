"""TimeAnnealing and ValueAnnealing: stoppers that draw.

Invariants: over many optimizers and calls the share of stops is the stated chance; where the chance is nought or one
there is no luck; a draw depends on seed, rule, optimizer and call, and on nothing else that is asked or set.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.in_process import drive
from optim.journal import EventKind
from optim.manager import Manager
from optim.optimizers.random_sampling import RandomSampling
from optim.randomness import Streams
from optim.run_state import RunState
from optim.session import Session
from optim.space import Parameter, Space
from optim.stoppers.max_function_calls import MaxFunctionCalls
from optim.stoppers.time_annealing import TimeAnnealing
from optim.stoppers.value_annealing import ValueAnnealing
from optim.strategy import Strategy
from optim.testing.conditions import StopperConformance
from optim.testing.hand_made import Track, hand_made_run

INF = math.inf
DRAWS = 1000
FEW = range(2, 52)


class TestTimeAnnealing(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return TimeAnnealing()


class TestValueAnnealing(StopperConformance):
    @pytest.fixture
    def stopper(self):
        return ValueAnnealing()


def run_with(best_loss, *owners, owner=1, seed=7):
    """A view of a run with a best, and what a stopper needs to draw."""
    best = None if best_loss is None else SimpleNamespace(loss=best_loss, optimizer=owner)
    return SimpleNamespace(best=best, optimizers=owners, draw=RunState(2, Streams(seed)).draw)


def stops(stopper, run, numbers=range(2, DRAWS + 2), calls=10, best_loss=INF):
    """How many of so many optimizers are stopped."""
    losses = SimpleNamespace(lowest_until=lambda count: best_loss)
    optimizers = (SimpleNamespace(number=at, calls=calls, losses=losses, is_alive=True) for at in numbers)
    return sum(stopper.judge(optimizer, run).met for optimizer in optimizers)


def about(chance):
    """So many stops, within five standard deviations of their number."""
    return pytest.approx(DRAWS * chance, abs=5 * math.sqrt(DRAWS * chance * (1 - chance)))


def owner(calls, is_alive=True, number=1):
    return SimpleNamespace(number=number, calls=calls, is_alive=is_alive)


@pytest.mark.parametrize(
    ("critical", "owners_calls", "calls"),
    [(1.0, 1, 2), (1.0, 90, 100), (0.5, 1, 10), (0.5, 49, 100), (2.0, 3, 2), (2.0, 1, 1), (2.0, 1, 100)],
)
def test_the_chance_falls_with_the_ratio_of_calls(critical, owners_calls, calls):
    run = run_with(0.1, owner(owners_calls))
    chance = 1 - owners_calls / calls / critical
    assert stops(TimeAnnealing(critical_ratio=critical), run, calls=calls) == about(chance)


@pytest.mark.parametrize(
    ("critical", "owners_calls", "calls"),
    [(1.0, 10, 10), (1.0, 11, 10), (0.5, 5, 10), (2.0, 20, 10), (2.0, 21, 10)],
)
def test_from_the_critical_ratio_on_nobody_is_stopped(critical, owners_calls, calls):
    run = run_with(0.1, owner(owners_calls))
    assert stops(TimeAnnealing(critical_ratio=critical), run, FEW, calls) == 0


@pytest.mark.parametrize(
    "run",
    [run_with(None), run_with(0.1, owner=0), run_with(0.1, owner(1, is_alive=False))],
    ids=["no best", "the baseline is best", "the owner is dead"],
)
def test_without_a_living_owner_time_anneals_nobody(run):
    assert stops(TimeAnnealing(), run, FEW, calls=1000) == 0


def test_time_says_its_numbers():
    run = hand_made_run(Track([0.1]), Track([1.0] * 1000))
    assert str(TimeAnnealing().judge(run.optimizers[1], run)).startswith(
        "1000 calls against 1 of optimizer 1, the best's owner: drew "
    )


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("best", "twice"), [(1.0, 2.0), (1e-9, 2e-9), (-4.0, 0.0), (1e200, 2e200)])
def test_at_twice_the_best_the_chance_is_the_critical_one(chance, best, twice):
    run = run_with(best)
    assert stops(ValueAnnealing(critical_stop_chance=chance), run, best_loss=twice) == about(chance)


@pytest.mark.parametrize(("best", "other", "ratio"), [(1.0, 1.5, 0.5), (1.0, 4.0, 3.0), (-4.0, -2.0, 0.5)])
def test_the_chance_rises_with_the_distance_in_loss(best, other, ratio):
    chance = 1 - (1 - 0.3) ** ratio
    stopped = stops(ValueAnnealing(critical_stop_chance=0.3), run_with(best), best_loss=other)
    assert stopped == about(chance)


@pytest.mark.parametrize("chance", [1e-9, 0.5, 1.0])
@pytest.mark.parametrize("best", [1.0, -1.0, 1e-308])
def test_one_without_a_finite_loss_is_always_stopped(chance, best):
    assert stops(ValueAnnealing(critical_stop_chance=chance), run_with(best), FEW) == len(FEW)


def test_at_a_critical_chance_of_one_whoever_is_worse_is_stopped():
    assert stops(ValueAnnealing(critical_stop_chance=1.0), run_with(1.0), FEW, best_loss=1.0 + 1e-12) == len(
        FEW
    )
    assert stops(ValueAnnealing(critical_stop_chance=1.0), run_with(1.0), FEW, best_loss=1.0) == 0


@pytest.mark.parametrize(
    ("run", "numbers"),
    [(run_with(None), FEW), (run_with(0.0), FEW), (run_with(1.0), [1])],
    ids=["no best", "a best of zero", "the owner of the best"],
)
def test_value_anneals_nobody(run, numbers):
    assert stops(ValueAnnealing(critical_stop_chance=1.0), run, numbers) == 0


def test_the_baseline_may_be_what_others_are_compared_with():
    assert stops(ValueAnnealing(critical_stop_chance=1.0), run_with(1.0, owner=0), FEW, best_loss=2.0) == len(
        FEW
    )


def test_value_says_its_numbers():
    run = hand_made_run(Track([1.0]), Track([INF]))
    text = str(ValueAnnealing().judge(run.optimizers[1], run))
    assert text.startswith("its best inf against 1 gave a chance of 1; drew 0.")


def test_a_loss_that_was_not_told_yet_does_not_count():
    run = hand_made_run(Track([0.1]), Track([0.9]))
    run.record(2, 0.2, np.zeros(2), np.zeros(2))
    assert str(ValueAnnealing().judge(run.optimizers[1], run)).startswith("its best 0.9 against 0.1")


@pytest.mark.parametrize("chance", [0.0, 1.1, -0.5])
def test_a_chance_is_a_chance(chance):
    with pytest.raises(ValueError, match="critical_stop_chance"):
        ValueAnnealing(critical_stop_chance=chance)


def test_each_call_has_a_draw_of_its_own():
    calls = range(2, 2 * DRAWS + 2, 2)
    value = [stops(ValueAnnealing(), run_with(1.0), [2], count, best_loss=2.0) for count in calls]
    time = [stops(TimeAnnealing(), run_with(0.1, owner(count // 2)), [2], count) for count in calls]
    assert sum(value) == about(0.5)
    assert sum(time) == about(0.5)
    assert value != time


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1), (12, 0)])
def test_a_draw_is_the_same_whenever_it_is_asked_for(numbers):
    state = RunState(2, Streams(3))
    first = state.draw("rule", *numbers)
    others = {
        first,
        state.draw("other rule", *numbers),
        state.draw("rule", numbers[0], numbers[1] + 1),
        state.draw("rule", numbers[0] + 1, numbers[1]),
        state.draw("rule", numbers[0]),
        RunState(2, Streams(4)).draw("rule", *numbers),
    }
    assert len(others) == 6
    assert RunState(2, Streams(3)).draw("rule", *numbers) == first


SPACE = Space([Parameter(name=name, initial=0.5, lower=0.0, upper=1.0) for name in "ab"])
VALUE = ValueAnnealing(critical_stop_chance=0.01)
TIME = TimeAnnealing(critical_ratio=0.9)
NEVER = MaxFunctionCalls(max=10**6)


def stopped_at(stoppers, combination):
    """Who is stopped when, in a run with many stops."""
    events = []
    strategy = Strategy(
        parallel_optimizers=4,
        generator=Random(),
        optimizers=[RandomSampling(number_of_samples=40)],
        stoppers=stoppers,
        stopper_boolean_combination=combination,
        exit_conditions=[MaxTotalFunctionCalls(max=300)],
    )
    journal = SimpleNamespace(add_evaluation=lambda row: None, add_event=events.append)
    session = Session(Manager(strategy, SPACE, 11), journal, lambda: 0.0)
    session.begin("the tests")
    drive(session, lambda x: float(1 + 50 * (x**2).sum()))
    return [(row.optimizer, row.evaluation) for row in events if row.kind is EventKind.STOPPED]


def test_neither_another_rule_nor_laziness_nor_the_order_shifts_a_draw():
    alone = stopped_at([VALUE], None)
    assert len(alone) > 5
    assert stopped_at([TIME, NEVER, VALUE], "3") == alone
    assert stopped_at([NEVER, TIME, VALUE], "1 & 2 | 3") == alone
    assert stopped_at([VALUE, TIME, NEVER], "(2 & 3) | 1 | (1 & 2)") == alone
    assert stopped_at([VALUE, TIME, NEVER], "2 & 3 & 1 | 1 & (1 | 2)") == alone
    assert stopped_at([TIME], None) != alone
