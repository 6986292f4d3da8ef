"""Nevergrad: parity with nevergrad, its settings, how its life ends, and what is said when the package is missing.

Invariants: every contract of an optimizer holds for an algorithm of each kind; each algorithm on the list is
repeatable, silent, starts no thread and leaves numpy's global stream as it was; points are those of a plain loop with
the same random numbers; the budget is the number of calls; it never converges.
"""

import importlib.util
import itertools
import math
import sys
import threading

import numpy as np
import pytest
from pydantic import ValidationError

from optim.ask_tell import EndKind, Start
from optim.optimizers.nevergrad import ALGORITHMS, REFUSED, Nevergrad
from optim.testing.optimizers import OptimizerConformance, bowl, take_turns

FAMILIES = ("OnePlusOne", "CMA", "CMAstd", "DE", "LhsDE", "PSO", "ES", "EDA", "IsoEMNA", "TBPSA")
"""One algorithm of each kind, to be run until after its first generation; others are the same with other settings."""

needs_nevergrad = pytest.mark.skipif(
    importlib.util.find_spec("nevergrad") is None, reason="the optional package nevergrad is not installed"
)


@needs_nevergrad
class TestConformance(OptimizerConformance):
    turns = 6
    turns_until_hopeless = 20

    @pytest.fixture(params=[("OnePlusOne", 1), ("LhsDE", 3)], ids=lambda param: param[0])
    def optimizer(self, request):
        algorithm, num_workers = request.param
        return Nevergrad(algorithm=algorithm, num_workers=num_workers, budget=100)


def start(seed=0, dimension=3):
    return Start(np.random.default_rng(seed).random(dimension), np.random.default_rng(seed + 100))


def life(optimizer, loss=bowl, turns=400, seed=0):
    living = optimizer.start(start(seed))
    (told,) = take_turns([living], loss, turns)
    living.close()
    return told, living.end


def often_infinite():
    calls = itertools.count(1)
    return lambda x: bowl(x) if next(calls) % 3 else math.inf


def global_random_state():
    _, keys, *rest = np.random.get_state()
    return keys.tolist(), rest


def plain(algorithm, seed, calls):
    """Points of a loop as nevergrad's documentation has it."""
    import nevergrad as ng

    x0, rng = start(seed)
    space = ng.p.Array(init=x0, lower=0, upper=1)
    space.random_state = np.random.RandomState(rng.integers(2**32, dtype=np.uint32))
    optimizer = ng.optimizers.registry[algorithm](space, budget=calls)
    optimizer.suggest(x0)
    points = []
    for _ in range(calls):
        candidate = optimizer.ask()
        points.append((tuple(candidate.value.tolist()),))
        optimizer.tell(candidate, bowl(candidate.value))
    return points


@needs_nevergrad
@pytest.mark.parametrize("algorithm", ["OnePlusOne", "TwoPointsDE", "PSO"])
def test_lives_that_take_turns_are_plain_loops_with_the_same_random_numbers(algorithm):
    living = [Nevergrad(algorithm=algorithm, budget=40).start(start(seed)) for seed in range(2)]
    for seed, told in enumerate(take_turns(living, bowl, 40)):
        assert [batch.points for batch in told] == plain(algorithm, seed, 40)


@needs_nevergrad
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_on_the_list_is_repeatable_and_leaves_the_process_alone(algorithm, capfd):
    budget = 45 if algorithm in FAMILIES else 5
    threads = set(threading.enumerate())
    lives = []
    for seed in range(2):
        np.random.seed(seed)
        before = global_random_state()
        told, end = life(Nevergrad(algorithm=algorithm, budget=budget), often_infinite())
        assert global_random_state() == before
        assert end == (EndKind.GAVE_UP, f"budget = {budget}")
        lives.append(told)
    assert lives[0] == lives[1]
    assert set(threading.enumerate()) == threads
    assert capfd.readouterr() == ("", "")


@needs_nevergrad
@pytest.mark.parametrize("algorithm", ["OnePlusOne", "CMA"])
def test_it_walks_downhill(algorithm):
    told, _ = life(Nevergrad(algorithm=algorithm, budget=100), seed=2)
    assert min(min(batch.losses) for batch in told) < 0.3 * told[0].losses[0]


@needs_nevergrad
def test_the_budget_is_the_number_of_calls_also_when_batches_do_not_fit():
    told, end = life(Nevergrad(algorithm="DE", budget=10, num_workers=4))
    assert [len(batch.points) for batch in told] == [4, 4, 2]
    assert end == (EndKind.GAVE_UP, "budget = 10")


@needs_nevergrad
def test_an_infinite_world_is_giving_up():
    _, end = life(Nevergrad(budget=10), lambda _x: math.inf)
    assert end == (EndKind.GAVE_UP, "every loss was infinite (budget = 10)")


@needs_nevergrad
def test_settings_change_what_the_algorithm_does():
    plain_points, _ = life(Nevergrad(budget=20))
    cauchy_points, _ = life(Nevergrad(budget=20, settings={"mutation": "cauchy"}))
    assert plain_points[0] == cauchy_points[0]
    assert plain_points[1] != cauchy_points[1]
    assert cauchy_points == life(Nevergrad(budget=20, algorithm="CauchyOnePlusOne"))[0]


@needs_nevergrad
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"algorithm": "OnePlusOn"}, "unknown algorithm 'OnePlusOn'; did you mean 'OnePlusOne'"),
        (
            {"algorithm": "NGOpt"},
            "'NGOpt' cannot be given: it picks other algorithms, some in threads; name one",
        ),
        ({"algorithm": "Cobyla"}, "'Cobyla' cannot be given: take the optimizer Scipy"),
        ({"settings": {"mutatio": 1}}, "unknown OnePlusOne setting 'mutatio'; did you mean 'mutation'"),
        ({"settings": {"mutation": "nonsense"}}, "nevergrad refuses the settings .*nonsense"),
        ({"algorithm": "DE", "settings": {"high_speed": True}}, "'high_speed' cannot be given"),
        (
            {"algorithm": "ECMA", "settings": {"inopts": {}}},
            "'inopts' cannot be given: take the optimizer CMAES",
        ),
        ({"algorithm": "EDA", "settings": {"mu": 1}}, "unknown EDA setting 'mu'; allowed: none"),
        ({"budget": 0}, "greater than 0"),
        ({"num_workers": 0}, "greater than 0"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_hint(given, message):
    with pytest.raises(ValidationError, match=message):
        Nevergrad(**given)


@needs_nevergrad
def test_every_algorithm_that_is_named_is_one_of_nevergrad():
    import nevergrad as ng

    assert {*ALGORITHMS, *REFUSED} <= set(ng.optimizers.registry)
    assert not {*ALGORITHMS} & {*REFUSED}


@pytest.mark.parametrize("given", [{}, {"algorithm": "PSO", "settings": {"popsize": 9}}])
def test_the_missing_package_is_named_with_what_to_do(given, monkeypatch):
    monkeypatch.setitem(sys.modules, "nevergrad", None)
    with pytest.raises(ValidationError, match=r"pip install 'shoal\[nevergrad\]'") as caught:
        Nevergrad(**given)
    assert [error["loc"] for error in caught.value.errors()] == [("algorithm",)]
