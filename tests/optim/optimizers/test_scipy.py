"""Scipy: the settings of a block, and how its life ends.

Invariants: every contract of an optimizer holds for every algorithm; a wrong name is refused where it is given, with
the nearest right one, and together with all other faults; settings reach SciPy; it has converged only if SciPy says so
and a loss was finite; the starting point is evaluated also where SciPy does not; finite differences are probes.
"""

import math
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from optim.ask_tell import EndKind, Start
from optim.optimizers.scipy import GLOBAL, LOCAL, Scipy
from optim.testing.optimizers import OptimizerConformance, bowl, take_turns

ALL = (*LOCAL, *GLOBAL)


class TestConformance(OptimizerConformance):
    @pytest.fixture(params=ALL)
    def optimizer(self, request):
        return Scipy(algorithm=request.param)


def start(dimension=3, seed=0):
    rng = np.random.default_rng(seed)
    return Start(rng.random(dimension), rng)


def life(optimizer, loss=bowl, dimension=3, turns=3000):
    living = optimizer.start(start(dimension))
    (told,) = take_turns([living], loss, turns)
    living.close()
    return told, living.end


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"algorithm": "nelder-mead"}, "unknown algorithm 'nelder-mead'; did you mean 'Nelder-Mead'"),
        (
            {"settings": {"xtol": 1e-3}},
            "unknown Nelder-Mead setting 'xtol'; did you mean 'xatol'.*adaptive, fatol",
        ),
        (
            {"settings": {"disp": True}},
            "the Nelder-Mead setting 'disp' cannot be given: shoal keeps its own record",
        ),
        ({"algorithm": "direct", "settings": {"bounds": [0, 2]}}, "'bounds' cannot be given: shoal sets it"),
        (
            {"algorithm": "COBYLA", "settings": {"tol": 1.0}},
            "'tol' cannot be given: give `tolerance` instead",
        ),
        ({"algorithm": "shgo", "tolerance": 1.0}, "shgo has no tolerance"),
        ({"tolerance": 0.0}, "greater than 0"),
        ({"algorithm": "shgo", "settings": {"options": {"maxtime": 9}}}, "a clock would break a replay"),
        ({"algorithm": "shgo", "settings": {"minimizer_kwargs": {}}}, "SciPy drops most of it"),
        (
            {"algorithm": "basinhopping", "settings": {"minimizer_kwargs": {"method": "Powel"}}},
            "unknown local method 'Powel'; did you mean 'Powell'",
        ),
        (
            {"algorithm": "dual_annealing", "settings": {"minimizer_kwargs": {"options": {"gtoll": 1}}}},
            "unknown L-BFGS-B setting 'gtoll'; did you mean 'gtol'",
        ),
    ],
)
def test_a_wrong_setting_is_refused_with_a_hint(given, message):
    with pytest.raises(ValidationError, match=message):
        Scipy(**given)


def test_all_faults_of_a_block_are_told_at_once():
    with pytest.raises(ValidationError) as caught:
        Scipy(algorithm="direct", tolerance=1e-3, settings={"maxfunn": 3, "callback": 1}, colour="red")
    text = str(caught.value)
    assert caught.value.error_count() == 3
    assert all(fault in text for fault in ("no tolerance", "maxfunn", "callback", "colour"))


@pytest.mark.parametrize("algorithm", [a for a in ALL if a in LOCAL or a == "differential_evolution"])
def test_a_looser_tolerance_ends_earlier(algorithm):
    settings = {"popsize": 4, "polish": False} if algorithm == "differential_evolution" else {}
    loose, _ = life(Scipy(algorithm=algorithm, tolerance=0.5, settings=settings))
    tight, _ = life(Scipy(algorithm=algorithm, tolerance=1e-6, settings=settings))
    assert len(loose) < len(tight)


def test_settings_reach_scipy():
    told, end = life(Scipy(settings={"maxfev": 7}))
    assert len(told) == 7
    assert end.kind is EndKind.GAVE_UP
    assert end.reason == "Maximum number of function evaluations has been exceeded."


def test_a_local_method_of_ones_own_is_used():
    told, _ = life(
        Scipy(algorithm="basinhopping", settings={"niter": 1, "minimizer_kwargs": {"method": "Nelder-Mead"}})
    )
    assert not any(batch.probes for batch in told)
    told, _ = life(Scipy(algorithm="basinhopping", settings={"niter": 1}))
    assert any(batch.probes for batch in told)


def test_a_budget_of_nothing_is_giving_up_without_a_word_on_losses():
    told, end = life(Scipy(settings={"maxfev": 0}))
    assert told == []
    assert end.kind is EndKind.GAVE_UP
    assert end.reason.startswith("nothing was evaluated (")


def test_success_is_convergence_in_the_words_of_scipy():
    _, end = life(Scipy())
    assert end == (EndKind.CONVERGED, "Optimization terminated successfully.")


def test_success_without_a_finite_loss_is_giving_up():
    _, end = life(Scipy(algorithm="COBYLA"), lambda _x: math.inf)
    assert end.kind is EndKind.GAVE_UP
    assert end.reason.startswith("every loss was infinite (Return from COBYLA")


@pytest.mark.parametrize("algorithm", ["Powell", "dual_annealing"])
def test_scipy_raising_between_infinite_losses_is_giving_up(algorithm):
    _, end = life(Scipy(algorithm=algorithm), lambda _x: math.inf)
    assert end.kind is EndKind.GAVE_UP


def test_an_exception_of_scipys_is_a_crash():
    _, end = life(Scipy(settings={"initial_simplex": [[0.0, 1.0]]}))
    assert end.kind is EndKind.CRASHED
    assert "ValueError: `initial_simplex` should be an array of shape" in end.reason


def test_trust_constr_does_not_iterate_on_nothing():
    first = []

    def loss(x):
        first.append(x)
        return 1.0 if len(first) == 1 else math.inf

    _, end = life(Scipy(algorithm="trust-constr"), loss)
    assert end.kind is EndKind.GAVE_UP
    assert "without an evaluation" in end.reason


@pytest.mark.parametrize("algorithm", ["CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", "trust-constr"])
def test_finite_differences_are_one_batch_of_probes(algorithm):
    told, _ = life(Scipy(algorithm=algorithm), dimension=4)
    assert [(len(batch.points), batch.probes) for batch in told[:2]] == [(1, False), (4, True)]


def test_a_population_is_one_batch_of_steps():
    told, _ = life(
        Scipy(algorithm="differential_evolution", settings={"maxiter": 2, "polish": False}), dimension=4
    )
    assert [(len(batch.points), batch.probes) for batch in told] == [(60, False)] * 3


@pytest.mark.parametrize("algorithm", ["direct", "shgo"])
def test_a_start_that_scipy_does_not_know_goes_along_with_its_first_points(algorithm):
    told, _ = life(Scipy(algorithm=algorithm), turns=1)
    assert len(told[0].points) > 1
    assert told[0].points[0] == tuple(start().x0)


@pytest.mark.parametrize("algorithm", ["CG", "BFGS"])
def test_a_method_without_bounds_sees_the_loss_mirrored(algorithm):
    told, end = life(Scipy(algorithm=algorithm), lambda x: float(((x - 0.02) ** 2 * 50).sum() - 60 * x[0]))
    points = np.array([point for batch in told for point in batch.points])
    assert points.min() >= 0.0
    assert points.max() <= 1.0
    assert end.kind is not EndKind.CRASHED


@pytest.mark.parametrize(
    ("algorithm", "settings", "calls"),
    [
        ("Nelder-Mead", {}, 7),
        ("Powell", {}, 7),
        ("COBYLA", {}, 7),
        ("COBYQA", {}, 13),
        ("BFGS", {}, 2),
        ("trust-constr", {}, 2),
        ("differential_evolution", {}, 90),
        ("differential_evolution", {"popsize": 3, "init": "sobol"}, 32),
        ("differential_evolution", {"init": [[0.5] * 6] * 8}, 8),
        ("dual_annealing", {}, 13),
        ("direct", {}, 14),
        ("shgo", {}, 66),
        ("shgo", {"sampling_method": "halton", "n": 40}, 41),
        ("basinhopping", {}, 2),
        ("basinhopping", {"minimizer_kwargs": {"method": "COBYQA"}}, 13),
    ],
)
def test_its_warm_up_is_its_first_look_round(algorithm, settings, calls):
    assert Scipy(algorithm=algorithm, settings=settings).warm_up(6) == calls


@pytest.mark.parametrize(
    "settings",
    [{}, {"init": "sobol", "popsize": 3}, {"init": [[0.1, 0.2, 0.3]] * 7}],
    ids=["default", "sobol", "own"],
)
def test_the_warm_up_of_an_evolution_is_its_first_generation(settings):
    optimizer = Scipy(algorithm="differential_evolution", settings=settings)
    told, _ = life(optimizer, turns=1)
    assert len(told[0].points) == optimizer.warm_up(3)


def test_its_title_is_the_algorithm():
    assert Scipy(algorithm="TNC").title == "TNC"
    assert Scipy(algorithm="TNC", label="newton").title == "newton"


def test_importing_it_loads_no_heavy_library():
    code = (
        "import sys, optim.optimizers.scipy as s, optim.optimizers.cmaes as c; s.Scipy(), c.CMAES();"
        "print([name for name in ('scipy.optimize', 'cma', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
