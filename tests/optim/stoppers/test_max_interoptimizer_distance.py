"""MaxInteroptimizerDistance(max_relative_distance, compare_all_optimizers).

Invariants: at most the distance counts, relative to sqrt(d); the living stand at their latest point, the
dead at their best; nobody is compared with itself or the baseline.
"""

import math

import pytest

from optim.stoppers.max_interoptimizer_distance import MaxInteroptimizerDistance
from optim.testing.conditions import StopperConformance
from optim.testing.hand_made import Track, hand_made_run


class TestConformance(StopperConformance):
    @pytest.fixture(params=[False, True], ids=["owner of the best", "all"])
    def stopper(self, request):
        return MaxInteroptimizerDistance(max_relative_distance=0.01, compare_all_optimizers=request.param)


def is_met(*tracks, distance=0.1, every=False, of=1, dimension=2):
    run = hand_made_run(*tracks, dimension=dimension)
    stopper = MaxInteroptimizerDistance(max_relative_distance=distance, compare_all_optimizers=every)
    return stopper.judge(run.optimizers[of - 1], run).met


@pytest.mark.parametrize(("distance", "expected"), [(0.24, False), (0.25, True), (0.26, True)])
def test_at_most_the_distance_counts(distance, expected):
    assert is_met(Track([2.0], [[0.5]]), Track([1.0], [[0.25]]), distance=distance, dimension=1) is expected


def test_the_distance_is_relative_to_the_diagonal():
    far = [0.0] * 100
    near = [0.1 - 1e-9] * 100
    assert is_met(Track([2.0], [near]), Track([1.0], [far]), distance=0.1, dimension=100)
    beyond = [0.1 + 1e-9] * 100
    assert not is_met(Track([2.0], [beyond]), Track([1.0], [far]), distance=0.1, dimension=100)


def test_a_living_owner_stands_at_its_latest_point():
    owner = Track([0.1, 5.0], [[0.0, 0.0], [0.9, 0.9]])
    assert not is_met(Track([2.0], [[0.0, 0.0]]), owner)
    assert is_met(Track([2.0], [[0.9, 0.9]]), owner)


def test_a_dead_owner_stands_at_its_best_point():
    owner = Track([0.1, 5.0], [[0.0, 0.0], [0.9, 0.9]], is_alive=False)
    assert is_met(Track([2.0], [[0.0, 0.0]]), owner)
    assert not is_met(Track([2.0], [[0.9, 0.9]]), owner)


def test_only_the_owner_counts_unless_all_are_compared():
    tracks = (Track([2.0], [[0.5, 0.5]]), Track([3.0], [[0.5, 0.5]]), Track([0.1], [[0.0, 0.0]]))
    assert not is_met(*tracks)
    assert is_met(*tracks, every=True)


def test_the_dead_without_a_finite_loss_are_nowhere():
    tracks = (Track([2.0], [[0.5, 0.5]]), Track([math.inf], [[0.5, 0.5]], is_alive=False))
    assert not is_met(*tracks, every=True)


@pytest.mark.parametrize("every", [False, True])
def test_nobody_is_too_close_to_itself(every):
    assert not is_met(Track([1.0], [[0.5, 0.5]]), every=every, distance=1.0)


def test_nobody_is_too_close_to_the_baseline():
    run = hand_made_run(Track([2.0], [[0.5, 0.5]]))
    run.record(0, 0.1, run.anchors[0], run.anchors[0])
    assert not MaxInteroptimizerDistance(max_relative_distance=1.0).judge(run.optimizers[0], run).met


def test_it_says_its_numbers():
    run = hand_made_run(Track([2.0], [[0.5, 0.5]]), Track([1.0], [[0.5, 0.5]]))
    verdict = MaxInteroptimizerDistance(max_relative_distance=0.01).judge(run.optimizers[0], run)
    assert str(verdict) == "at a distance of 0 from optimizer 2, at most 0.0141"
