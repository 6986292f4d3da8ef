"""Incumbent: the best as a start, once.

Invariants: a best of an optimizer is used by the first start after it and by no other; every other start is random;
the baseline is no optimizer's best.
"""

import numpy as np
import pytest

from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.incumbent import Incumbent
from optim.in_process import drive
from optim.journal import EventKind
from optim.optimizers.random_sampling import RandomSampling
from optim.run_state import RunState
from optim.space import Parameter, Space
from optim.strategy import Strategy
from optim.testing.hand_made import Track, hand_made_run
from optim.testing.starts import GeneratorConformance
from optim.views import Starts

SPACE = Space(Parameter(name=name, initial=0.5, lower=0.0, upper=1.0) for name in "ab")
BEST = [0.25, 0.75]


class TestConformance(GeneratorConformance):
    @pytest.fixture
    def generator(self):
        return Incumbent()


def start_in(run, seed=0):
    return Incumbent().point(SPACE, run, np.random.default_rng(seed)).tolist()


def random_point(seed=0):
    return np.random.default_rng(seed).random(2).tolist()


@pytest.mark.parametrize(
    "run",
    [RunState(2), hand_made_run(Track([np.inf] * 3)), hand_made_run(Track([]))],
    ids=["empty", "all non-finite", "nothing yet"],
)
def test_without_a_best_starts_are_random(run):
    assert start_in(run) == random_point()


@pytest.mark.parametrize("is_alive", [True, False])
@pytest.mark.parametrize("loss", [1.0, 0.0, -3.0])
def test_a_new_best_is_a_start_whoever_saw_it(is_alive, loss):
    assert start_in(hand_made_run(Track([loss], [BEST], is_alive))) == BEST


@pytest.mark.parametrize(("started_at", "is_used"), [(0, False), (1, False), (2, True), (3, True)])
def test_a_best_is_used_by_the_first_start_after_it_only(monkeypatch, started_at, is_used):
    run = hand_made_run(Track([5.0, 1.0], [[0.5, 0.5], BEST]))
    monkeypatch.setattr(run, "starts", {"Incumbent": Starts(1, started_at)}.get)
    assert start_in(run) == (random_point() if is_used else BEST)


@pytest.mark.parametrize("generator", ["by hand", "Random"])
def test_what_others_have_started_uses_no_best(generator):
    run = hand_made_run(
        Track([5.0, 1.0], [[0.5, 0.5], BEST], generator="Incumbent"), Track([9.0], generator=generator)
    )
    assert start_in(run) == BEST


def test_a_tie_is_no_improvement():
    run = hand_made_run(Track([1.0], [BEST]), Track([1.0], [[0.5, 0.5]], generator="Incumbent"))
    assert start_in(run) == random_point()


def test_the_baseline_is_nobodys_best():
    run = hand_made_run(Track([2.0], [BEST]))
    run.record(0, 1.0, np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    assert start_in(run) == random_point()


def test_in_a_run_each_best_is_one_start_at_most(begun):
    strategy = Strategy(
        parallel_optimizers=3,
        generator=Incumbent(),
        optimizers=[RandomSampling(number_of_samples=4)],
        exit_conditions=[MaxTotalFunctionCalls(max=150)],
    )
    session, rows = begun(strategy, SPACE, seed=2)
    drive(session, lambda x: float(((x - 0.37) ** 2).sum()))
    spawns = rows.of_kind(EventKind.SPAWN)
    assert len(spawns) > 20
    used = []
    for number, spawn in enumerate(spawns, start=1):
        seen = rows.evaluations[: spawn.evaluation]
        best = min(seen, key=lambda row: row.loss)
        start = next(row.x.tolist() for row in rows.evaluations if (row.optimizer, row.call) == (number, 1))
        if best.optimizer and best.sequence not in used:
            used.append(best.sequence)
            assert start == best.x.tolist()
        else:
            assert start not in [row.x.tolist() for row in seen]
    assert len(used) > 2
