"""RandomSampling, SobolSampling and GridSampling: lists of points, handed out block by block.

Invariants: every contract of an optimizer holds for each; the starting point comes first and is no part of the list;
the list is complete and in the order documented, made block by block as it is asked for; random and Sobol points are
those of NumPy and SciPy with the same random numbers; it has converged when the list is done, unless no loss was
finite; what is too large is refused.
"""

import itertools
import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import qmc

from optim.ask_tell import EndKind, Start
from optim.errors import DimensionError, ShoalError
from optim.optimizers.grid_sampling import MOST_POINTS, GridSampling
from optim.optimizers.random_sampling import RandomSampling
from optim.optimizers.sampling import BLOCK
from optim.optimizers.sobol_sampling import MOST_DIMENSIONS, SobolSampling
from optim.testing.optimizers import OptimizerConformance, bowl, take_turns

SAMPLINGS = (
    RandomSampling(number_of_samples=200),
    SobolSampling(number_of_samples=200),
    GridSampling(points_per_axis=3),
)


class TestConformance(OptimizerConformance):
    @pytest.fixture(params=SAMPLINGS, ids=lambda sampling: sampling.title)
    def optimizer(self, request):
        return request.param


def start(dimension=2):
    return Start(np.full(dimension, 0.123), np.random.default_rng(5))


def life(optimizer, dimension=2, loss=bowl):
    living = optimizer.start(start(dimension))
    (told,) = take_turns([living], loss, 10_000)
    return [batch.points for batch in told], living.end


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda sampling: sampling.title)
def test_the_starting_point_comes_first_and_blocks_are_bounded(sampling):
    batches, _ = life(sampling, dimension=5)
    assert batches[0][0] == (0.123,) * 5
    sizes = [len(points) for points in batches]
    assert sizes[0] == 1 + BLOCK
    assert set(sizes[1:-1]) == {BLOCK}
    assert sum(sizes) == 1 + (3**5 if isinstance(sampling, GridSampling) else 200)


@pytest.mark.parametrize("number", [1, BLOCK, BLOCK + 1, 150])
def test_random_points_are_those_of_the_stream_whatever_the_blocks(number):
    batches, _ = life(RandomSampling(number_of_samples=number))
    assert sum(batches, ())[1:] == tuple(map(tuple, start().rng.random((number, 2)).tolist()))


@pytest.mark.parametrize("number", [1, BLOCK, 150])
def test_sobol_points_are_the_first_of_the_scrambled_sequence_and_scipy_has_no_warning(number):
    batches, _ = life(SobolSampling(number_of_samples=number))
    expected = qmc.Sobol(2, scramble=True, rng=start().rng).random(256)[:number]
    assert sum(batches, ())[1:] == tuple(map(tuple, expected.tolist()))


def test_two_sobol_samplings_are_scrambled_differently():
    sampling = SobolSampling(number_of_samples=8)
    streams = (np.random.default_rng(seed) for seed in range(2))
    one, other = (sampling.start(Start(np.zeros(2), stream)).ask().points for stream in streams)
    assert not np.isin(np.array(one[1:]), np.array(other[1:])).any()


@pytest.mark.parametrize(("count", "dimension"), [(2, 7), (3, 4), (5, 1), (10, 2), (1, 70)])
def test_a_grid_has_every_combination_once_and_the_last_parameter_changes_fastest(count, dimension):
    batches, _ = life(GridSampling(points_per_axis=count), dimension)
    axis = np.linspace(0.0, 1.0, count).tolist() if count > 1 else [0.5]
    assert sum(batches, ())[1:] == tuple(itertools.product(axis, repeat=dimension))


def test_only_a_grid_is_deterministic():
    assert [sampling.is_deterministic for sampling in SAMPLINGS] == [False, False, True]


def test_a_large_grid_is_made_as_it_is_asked_for():
    living = GridSampling(points_per_axis=MOST_POINTS).start(start(dimension=1))
    assert len(living.ask().points) == 1 + BLOCK
    living.close()


@pytest.mark.parametrize(
    ("sampling", "what"),
    list(zip(SAMPLINGS, ("200 random points", "200 Sobol points", "9 grid points"), strict=True)),
    ids=["random", "Sobol", "grid"],
)
def test_it_converges_when_the_list_is_done_and_gives_up_when_all_was_in_vain(sampling, what):
    assert life(sampling)[1] == (EndKind.CONVERGED, f"all of {what} were evaluated")
    assert life(sampling, loss=lambda _x: math.inf)[1] == (
        EndKind.GAVE_UP,
        f"every loss was infinite (all of {what})",
    )


def test_one_finite_loss_is_enough_also_in_an_early_block():
    losses = itertools.chain([math.inf, 1.0], itertools.repeat(math.inf))
    assert (
        life(RandomSampling(number_of_samples=200), loss=lambda _x: next(losses))[1].kind is EndKind.CONVERGED
    )


def test_a_grid_that_nobody_can_mean_is_refused():
    assert GridSampling(points_per_axis=10).fault(7) == ""
    with pytest.raises(DimensionError, match=r"10\^8 points in 8 parameters, more than 10000000") as caught:
        GridSampling(points_per_axis=10).start(start(dimension=8))
    assert isinstance(caught.value, ShoalError)


def test_more_parameters_than_sobol_sequences_have_are_refused():
    assert MOST_DIMENSIONS == qmc.Sobol.MAXDIM
    assert SobolSampling(number_of_samples=1).fault(MOST_DIMENSIONS) == ""
    with pytest.raises(DimensionError, match="at most 21201 parameters, not 21202"):
        SobolSampling(number_of_samples=1).start(start(dimension=MOST_DIMENSIONS + 1))


@pytest.mark.parametrize(
    ("policy", "given", "message"),
    [
        (RandomSampling, {"number_of_samples": 0}, "greater than 0"),
        (RandomSampling, {}, "Field required"),
        (SobolSampling, {"number_of_samples": 2**30 + 1}, "less than or equal to 1073741824"),
        (GridSampling, {"points_per_axis": 0}, "greater than 0"),
    ],
)
def test_a_wrong_setting_is_refused(policy, given, message):
    with pytest.raises(ValidationError, match=message):
        policy(**given)
