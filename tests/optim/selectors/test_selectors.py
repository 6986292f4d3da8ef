"""Selectors.

Invariants: `Cycle` takes blocks in turn; `Chain` moves on when a threshold has been reached, several at once if need
be; `Random` takes each with the same chance.
"""

import numpy as np
import pytest
from pydantic import ValidationError

from optim.run_state import RunState
from optim.selectors.chain import Chain
from optim.selectors.cycle import Cycle
from optim.selectors.random import Random
from optim.testing.hand_made import Track, hand_made_run
from optim.testing.starts import SelectorConformance


class TestCycle(SelectorConformance):
    @pytest.fixture
    def selector(self):
        return Cycle()


class TestChain(SelectorConformance):
    @pytest.fixture
    def selector(self):
        return Chain(thresholds=[10, 20])


class TestRandom(SelectorConformance):
    @pytest.fixture
    def selector(self):
        return Random()


def test_random_takes_each_block_equally_often():
    streams = np.random.SeedSequence(7).spawn(3000)
    taken = [Random().select(3, RunState(2), np.random.default_rng(seed)) for seed in streams]
    assert np.bincount(taken) == pytest.approx([1000] * 3, rel=0.1)


@pytest.mark.parametrize(("started", "expected"), [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1)])
def test_cycle_takes_each_in_turn(started, expected):
    run = hand_made_run(*[Track([1.0])] * started)
    assert Cycle().select(3, run, np.random.default_rng(0)) == expected


@pytest.mark.parametrize(
    ("evaluations", "expected"), [(0, 0), (499, 0), (500, 1), (501, 1), (899, 1), (900, 2)]
)
def test_chain_moves_on_at_its_thresholds(evaluations, expected):
    run = RunState(2)
    run.evaluations = evaluations
    assert Chain(thresholds=[500, 900]).select(3, run, np.random.default_rng(0)) == expected


def test_chain_needs_one_threshold_fewer_than_blocks():
    assert Chain(thresholds=[500]).fault(3) == "a Chain of 3 optimizers needs 2 thresholds, got 1"


@pytest.mark.parametrize("thresholds", [[5, 5], [9, 5], [0], [-1], ["many"]])
def test_chain_refuses_thresholds_that_do_not_ascend(thresholds):
    with pytest.raises(ValidationError):
        Chain(thresholds=thresholds)
