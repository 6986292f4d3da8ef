"""Scipy against plain calls of SciPy.

Invariants: the points, in order, their losses, the message, and the result are bit for bit those of the plain call:
alone, interleaved with others of the same method or of all, with or without a `workers` map, and up to wherever it was
stopped.
"""

import warnings

import numpy as np
import pytest
import scipy.optimize

from optim.ask_tell import Start
from optim.optimizers.scipy import GLOBAL, LOCAL, Scipy
from optim.optimizers.scipy_bridge import Objective, SuspendableCall, pass_by_cobyqa_lock
from optim.testing.optimizers import bowl, take_turns

ALL = (*LOCAL, *GLOBAL)
PARALLEL = ("CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", "trust-constr", "differential_evolution", "shgo")
SETTINGS = {
    "differential_evolution": {"maxiter": 4, "popsize": 5},
    "dual_annealing": {"maxiter": 12},
    "basinhopping": {"niter": 2},
    "direct": {"maxfun": 60},
    "shgo": {"n": 20, "sampling_method": "halton"},
    "COBYQA": {"maxfev": 40},
    "trust-constr": {"maxiter": 30},
}
DIMENSION = 3
BOUNDS = [(0.0, 1.0)] * DIMENSION


def start(seed):
    return Start(np.random.default_rng(seed).random(DIMENSION), np.random.default_rng(seed + 100))


def optimizer(algorithm):
    return Scipy(algorithm=algorithm, settings=SETTINGS.get(algorithm, {}))


def call_scipy(algorithm, fun, seed, workers=None):
    """The call as SciPy's documentation has it, made without the adapter."""
    x0, rng = start(seed)
    settings = SETTINGS.get(algorithm, {})
    parallel = {} if workers is None else {"workers": workers}
    match algorithm:
        case "CG" | "BFGS":
            return scipy.optimize.minimize(fun, x0, method=algorithm, options=settings | parallel)
        case "basinhopping":
            local = {"method": "L-BFGS-B", "bounds": BOUNDS}
            return scipy.optimize.basinhopping(fun, x0, rng=rng, minimizer_kwargs=local, **settings)
        case "differential_evolution":
            return scipy.optimize.differential_evolution(
                fun, BOUNDS, x0=x0, rng=rng, updating="deferred", **settings, **parallel
            )
        case "dual_annealing":
            return scipy.optimize.dual_annealing(fun, BOUNDS, x0=x0, rng=rng, **settings)
        case "direct":
            return scipy.optimize.direct(fun, BOUNDS, **settings)
        case "shgo":
            return scipy.optimize.shgo(fun, BOUNDS, **settings, **parallel)
        case _:
            return scipy.optimize.minimize(
                fun, x0, method=algorithm, bounds=BOUNDS, options=settings | parallel
            )


def plain(algorithm, seed, workers=None):
    """Every point and loss of a plain call, and its result."""
    log = []

    def fun(x):
        x = np.mod(x, 2.0) if ((x < 0) | (x > 1)).any() else np.array(x)
        x = np.where(x > 1.0, 2.0 - x, x)
        log.append((tuple(x.tolist()), bowl(x)))
        return log[-1][1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return log, call_scipy(algorithm, fun, seed, workers)


def as_log(told):
    return [pair for batch in told for pair in zip(batch.points, batch.losses, strict=True)]


def assert_equal_but_for_the_start(told, log, seed):
    mine = as_log(told)
    if len(mine) > len(log) or mine[0] != log[0]:
        assert mine[0][0] == tuple(start(seed).x0.tolist())
        mine = mine[1:]
    assert mine == log[: len(mine)]
    return len(mine) == len(log)


@pytest.mark.parametrize("algorithm", ALL)
def test_alone_it_is_the_plain_call(algorithm):
    log, result = plain(algorithm, 0)
    living = optimizer(algorithm).start(start(0))
    (told,) = take_turns([living], bowl, 10_000)
    assert assert_equal_but_for_the_start(told, log, 0)
    message = result.message if isinstance(result.message, str) else ", ".join(result.message)
    assert living.end.reason == message
    assert (living.end.kind == "converged") == result.success


@pytest.mark.parametrize("algorithm", ALL)
def test_four_of_a_method_that_take_turns_are_four_plain_calls(algorithm):
    living = [optimizer(algorithm).start(start(seed)) for seed in range(4)]
    for seed, told in enumerate(take_turns(living, bowl, 10_000)):
        assert assert_equal_but_for_the_start(told, plain(algorithm, seed)[0], seed)


def test_all_methods_that_take_turns_are_their_plain_calls():
    living = [optimizer(algorithm).start(start(1)) for algorithm in ALL]
    for algorithm, told in zip(ALL, take_turns(living, bowl, 10_000), strict=True):
        assert assert_equal_but_for_the_start(told, plain(algorithm, 1)[0], 1)


@pytest.mark.parametrize("algorithm", ALL)
def test_stopped_in_the_middle_it_is_the_beginning_of_the_plain_call_and_disturbs_no_other(algorithm):
    log, _ = plain(algorithm, 2)
    living = [optimizer(algorithm).start(start(2)) for _ in range(3)]
    first = take_turns(living, bowl, 5)
    living[1].close()
    rest = take_turns([living[0], living[2]], bowl, 10_000)
    for told in first:
        assert_equal_but_for_the_start(told, log, 2)
    for told in (first[0] + rest[0], first[2] + rest[1]):
        assert assert_equal_but_for_the_start(told, log, 2)


@pytest.mark.parametrize("algorithm", PARALLEL)
def test_a_workers_map_changes_nothing_in_the_plain_call_either(algorithm):
    alone, parallel = plain(algorithm, 0), plain(algorithm, 0, workers=map)
    assert alone[0] == parallel[0]


@pytest.mark.parametrize(
    ("algorithm", "with_workers"),
    [*((algorithm, False) for algorithm in ALL), *((algorithm, True) for algorithm in PARALLEL)],
)
def test_the_result_is_that_of_the_plain_call(algorithm, with_workers):
    _, result = plain(algorithm, 3)
    pass_by_cobyqa_lock()
    objective = Objective(maps_probes=True)
    call = SuspendableCall(
        lambda: call_scipy(algorithm, objective, 3, objective.map if with_workers else None)
    )
    batch = call.resume(None)
    while batch is not None:
        batch = call.resume([bowl(point) for point in batch.points])
    assert np.array_equal(call.result.x, result.x)
    assert call.result.fun == result.fun
    assert call.result.nfev == result.nfev
