"""CMAES: parity with pycma, its settings, and how its life ends.

Invariants: every contract of an optimizer holds for each sampler; points and stops are bit for bit those of a plain
loop that is fed the same random numbers, also interleaved; numpy's global stream is never touched; only pycma's
tolerances are convergence, and only where the last generation had a finite loss; one parameter is refused; pycma
loads no matplotlib.
"""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from optim.ask_tell import EndKind, Start
from optim.errors import DimensionError, ShoalError
from optim.optimizers.cmaes import CMAES, _import_cma, _silence
from optim.testing.optimizers import OptimizerConformance, bowl, take_turns

SAMPLERS = ("full", "vd", "vkd")
DIMENSION = 4


class TestConformance(OptimizerConformance):
    @pytest.fixture(params=SAMPLERS)
    def optimizer(self, request):
        return CMAES(sampler=request.param)


def start(seed=0, dimension=DIMENSION):
    return Start(np.random.default_rng(seed).random(dimension), np.random.default_rng(seed + 100))


def life(optimizer, loss=bowl, turns=400, dimension=DIMENSION):
    living = optimizer.start(start(dimension=dimension))
    (told,) = take_turns([living], loss, turns)
    living.close()
    return told, living.end


def plain(sampler, seed):
    """Points of a loop as pycma's documentation has it, and its stops; the sampler's options by pycma's own means."""
    cma = _import_cma()
    x0, rng = start(seed)
    options = {
        "bounds": [0, 1],
        "seed": math.nan,
        "verbose": -9,
        "randn": lambda *shape: rng.standard_normal(shape),
    }
    restricted = cma.restricted_gaussian_sampler
    if sampler == "vd":
        options = restricted.GaussVDSampler.extend_cma_options(options)
    if sampler == "vkd":
        options = restricted.GaussVkDSampler.extend_cma_options(options)
    if sampler != "full":
        options["CMA_sampler_options"] = {"randn": options["randn"]}
    with _silence(), np.errstate(all="ignore"):
        strategy = cma.CMAEvolutionStrategy(x0, 0.3, options)
        generations = []
        while not strategy.stop() and len(generations) < 60:
            points = strategy.ask()
            generations.append(tuple(tuple(point.tolist()) for point in points))
            strategy.tell(points, [bowl(point) for point in points])
        return generations, dict(strategy.stop())


def generations_of(told, seed):
    x0 = tuple(start(seed).x0.tolist())
    assert told[0].points[0] == x0
    return [told[0].points[1:], *(batch.points for batch in told[1:])]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_lives_that_take_turns_are_plain_loops_with_the_same_random_numbers(sampler):
    living = [CMAES(sampler=sampler).start(start(seed)) for seed in range(3)]
    for seed, told in enumerate(take_turns(living, bowl, 60)):
        expected, stops = plain(sampler, seed)
        assert generations_of(told, seed) == expected
        if stops:
            assert living[seed].end.reason == ", ".join(f"{name} = {value}" for name, value in stops.items())


def test_samplers_that_take_turns_do_not_disturb_each_other():
    living = [CMAES(sampler=sampler).start(start(1)) for sampler in SAMPLERS]
    for sampler, told in zip(SAMPLERS, take_turns(living, bowl, 30), strict=True):
        assert generations_of(told, 1) == plain(sampler, 1)[0][:30]


def test_the_self_test_of_many_parameters_does_not_touch_the_global_stream():
    np.random.seed(0)
    before = np.random.get_state()[1].tolist(), np.random.get_state()[2]
    life(CMAES(popsize=6), turns=6, dimension=301)
    assert (np.random.get_state()[1].tolist(), np.random.get_state()[2]) == before


def test_one_parameter_is_refused_at_the_start():
    with pytest.raises(DimensionError, match="at least two parameters") as caught:
        CMAES().start(start(dimension=1))
    assert isinstance(caught.value, ShoalError)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"settings": {"tolfunn": 1.0}}, "unknown pycma option 'tolfunn'; did you mean 'tolfun'"),
        ({"settings": {"timeout": 1.0}}, "'timeout' cannot be given: it would break a replay"),
        ({"settings": {"seed": 1}}, "'seed' cannot be given: it would break a replay"),
        ({"settings": {"popsize": 9}}, "'popsize' cannot be given: shoal sets it"),
        ({"settings": {"verb_log": 1}}, "'verb_log' cannot be given"),
        (
            {"sampler": "vd", "settings": {"CMA_active": True}},
            "'CMA_active' cannot be given: the sampler sets it",
        ),
        ({"sampler": "vkd", "popsize": 3}, "the sampler 'vkd' needs a popsize of at least 4, not 3"),
        ({"popsize": 1}, "greater than or equal to 2"),
        ({"sigma0": 0.0}, "greater than 0"),
        ({"sampler": "dense"}, "'full', 'vd' or 'vkd'"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_hint(given, message):
    with pytest.raises(ValidationError, match=message):
        CMAES(**given)


def test_every_option_of_pycma_that_prints_or_writes_is_refused():
    for name in _import_cma().CMAOptions.defaults():
        if name.startswith("verb"):
            with pytest.raises(ValidationError, match="cannot be given"):
                CMAES(settings={name: 1})


def test_a_tolerance_of_pycma_is_convergence():
    _, end = life(CMAES(settings={"tolfun": 1e-3}))
    assert end.kind is EndKind.CONVERGED
    assert end.reason == "tolfun = 0.001"


def test_a_small_step_is_convergence():
    _, end = life(CMAES(min_sigma=0.05))
    assert end == (EndKind.CONVERGED, "min_sigma = 0.05")


def test_a_limit_is_giving_up():
    told, end = life(CMAES(settings={"maxiter": 3}))
    assert len(told) == 3
    assert end == (EndKind.GAVE_UP, "maxiter = 3")


def test_a_flat_infinity_is_giving_up_also_after_finite_losses():
    calls = []

    def loss(x):
        calls.append(x)
        return bowl(x) if len(calls) < 30 else math.inf

    _, end = life(CMAES(), loss)
    assert end.kind is EndKind.GAVE_UP
    assert end.reason.startswith("every loss of the last generation was infinite (")


@pytest.mark.parametrize("popsize", [None, 2, 5, 17])
@pytest.mark.parametrize("dimension", [2, 7])
def test_the_first_batch_is_the_start_and_a_generation_and_so_is_the_warm_up(popsize, dimension):
    optimizer = CMAES(popsize=popsize)
    told, _ = life(optimizer, turns=2, dimension=dimension)
    size = popsize or 4 + math.floor(3 * math.log(dimension))
    assert [len(batch.points) for batch in told] == [1 + size, size]
    assert optimizer.warm_up(dimension) == 1 + size


@pytest.mark.parametrize("load", ["import matplotlib", "thread.start(); thread.join()"])
def test_pycma_does_not_load_matplotlib_which_others_can(load, tmp_path):
    (tmp_path / "matplotlib.py").write_text("loaded = True")
    (tmp_path / "other.py").write_text(
        "import sys, threading, importlib\n"
        "thread = threading.Thread(target=importlib.import_module, args=['matplotlib'])\n"
    )
    script = (
        "import sys; from optim.optimizers.cmaes import _import_cma, _NoMatplotlib; _import_cma();"
        "assert 'matplotlib' not in sys.modules; from other import thread;"
        f"{'sys.meta_path.insert(0, _NoMatplotlib());' if 'thread' in load else ''} {load};"
        "assert sys.modules['matplotlib'].loaded"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": paths}, check=True)
