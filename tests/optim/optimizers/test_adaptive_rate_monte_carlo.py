"""AdaptiveRateMonteCarlo: its moves, what it accepts, how phi is adapted, and how it ends.

Invariants: every contract of an optimizer holds; a trial differs from the point that the walk stands on in one
parameter, by no more than the move range, reflected at the bounds; a trial is accepted when its loss is below that of
the standing point plus phi for each trial since it was reached; phi follows the acceptance rate by factors of gamma
and can always come back; no infinite loss is accepted once there was a finite one; it never converges.
"""

import itertools
import math

import numpy as np
import pytest
from pydantic import ValidationError

from optim.ask_tell import EndKind, Start
from optim.optimizers.adaptive_rate_monte_carlo import AdaptiveRateMonteCarlo
from optim.testing.optimizers import OptimizerConformance, bowl, take_turns

INF = math.inf


class TestConformance(OptimizerConformance):
    turns = 40
    turns_until_hopeless = 100

    @pytest.fixture(params=[50, 5], ids="{} sub-iterations".format)
    def optimizer(self, request):
        return AdaptiveRateMonteCarlo(phi=0.1, super_iterations=100, sub_iterations=request.param)


def walk(optimizer, losses, x0=(0.5,) * 8):
    """Every point that it asks for while there are losses, and its end."""
    losses = list(losses)
    remaining = iter(losses)
    living = optimizer.start(Start(np.array(x0), np.random.default_rng(3)))
    (told,) = take_turns([living], lambda _x: next(remaining), len(losses))
    living.close()
    assert {len(batch.points) for batch in told} == {1}
    return np.array([batch.points[0] for batch in told]), living.end


def steps(points, verdicts):
    """How each trial differs from the point that the walk must stand on by then, if those verdicts are right."""
    standing = points[0]
    for trial, is_accepted in zip(points[1:], verdicts, strict=True):
        yield trial - standing
        standing = trial if is_accepted else standing


def are_right(verdicts, points):
    """Whether each trial moves one parameter; with a wrong verdict the next ones move two."""
    return all(np.count_nonzero(step) == 1 for step in steps(points, verdicts))


def test_the_loss_that_a_trial_must_beat_rises_by_phi_with_each_trial():
    losses = [10.0, 10.5, 11.5, 12.0, 13.0, 14.0, 14.5, INF, 99.0, 14.0, 15.0, 3.0, INF]
    verdicts = [True, False, True, False, False, True, False, False, True, False, True, False]
    points, _ = walk(AdaptiveRateMonteCarlo(phi=1.0), losses)
    assert are_right(verdicts, points)
    for place in range(len(verdicts) - 1):
        wrong = [verdict != (place == number) for number, verdict in enumerate(verdicts)]
        assert not are_right(wrong, points)


def test_phi_is_adapted_towards_the_acceptance_target():
    optimizer = AdaptiveRateMonteCarlo(phi=1.0, gamma=2.0, acceptance_target=0.25, sub_iterations=4)
    tried_and_accepted = [
        *((INF, False), (INF, False), (INF, False), (INF, False)),  # 0 + 4 x 1; too few: phi = 2
        *((5.5, True), (INF, False), (INF, False), (INF, False)),  # below 6; to 11.5; as many as wanted
        *(
            (13.25, True),
            (15.25, False),
            (0.0, True),
            (INF, False),
        ),  # below 13.5, not 15.25; too many: phi = 1
        *((3.5, False), (3.75, True), (4.75, False), (INF, False)),  # below 4, not 3, not 4.75
    ]
    losses, verdicts = zip(*tried_and_accepted, strict=True)
    points, _ = walk(optimizer, [0.0, *losses])
    assert are_right(verdicts, points)


def test_phi_comes_back_from_where_numbers_end():
    optimizer = AdaptiveRateMonteCarlo(super_iterations=1200, sub_iterations=1)
    points, _ = walk(optimizer, [0.0] * 1201)
    assert are_right([True] * 1200, points)
    falling = [*range(1200, 0, -1), *[1e9] * 1100]
    points, _ = walk(AdaptiveRateMonteCarlo(super_iterations=2300, sub_iterations=1), falling)
    assert not are_right([True] * 1199 + [False] * 1100, points)


@pytest.mark.parametrize("move_range", [(0.9, 1.1), (0.8, 1.05)])
def test_a_move_is_a_factor_less_one_of_the_range(move_range):
    points, _ = walk(AdaptiveRateMonteCarlo(move_range=move_range), [0.0] + [INF] * 300)
    moves = (points[1:] - points[0]).sum(axis=1) + 1.0
    assert move_range[0] <= moves.min() < move_range[0] + 0.01
    assert move_range[1] - 0.01 < moves.max() <= move_range[1]


def test_every_parameter_moves_and_bounds_reflect():
    optimizer = AdaptiveRateMonteCarlo(move_range=[0.0, 2.0])
    points, _ = walk(optimizer, -np.arange(500.0), x0=(0.0, 1.0, 0.5))
    assert np.all((points[1:] - points[:-1] != 0.0).any(axis=0))
    assert np.count_nonzero((points == 0.0) | (points == 1.0), axis=0).tolist()[2] == 0
    assert points.min() >= 0.0
    assert points.max() <= 1.0


def test_it_roams_until_it_sees_a_finite_loss_and_never_goes_back():
    losses = [INF, INF, INF, 7.0, INF, 8.5, INF]
    points, _ = walk(AdaptiveRateMonteCarlo(phi=1.0), losses)
    assert are_right([True, True, True, False, True, False], points)


def test_phi_waits_for_the_first_finite_loss():
    optimizer = AdaptiveRateMonteCarlo(phi=1.0, sub_iterations=2)
    points, _ = walk(optimizer, [INF] * 21 + [1.0, 1.5, 3.0])
    assert are_right([True] * 22 + [False], points)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [(1.0, "super_iterations = 3"), (INF, "every loss was infinite (super_iterations = 3)")],
)
def test_the_last_super_iteration_is_giving_up(loss, reason):
    optimizer = AdaptiveRateMonteCarlo(super_iterations=3, sub_iterations=5)
    points, end = walk(optimizer, [loss] * 16)
    assert len(points) == 16
    assert end == (EndKind.GAVE_UP, reason)


def test_it_walks_downhill():
    living = AdaptiveRateMonteCarlo(phi=0.01, sub_iterations=20).start(
        Start(np.full(3, 0.95), np.random.default_rng(1))
    )
    (told,) = take_turns([living], bowl, 600)
    losses = list(itertools.chain.from_iterable(batch.losses for batch in told))
    assert min(losses) < 0.1 * losses[0]
    assert np.median(losses[-100:]) < 0.3 * losses[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"phi": 0.0}, "greater than 0"),
        ({"gamma": 1.0}, "greater than 1"),
        ({"acceptance_target": 1.0}, "less than 1"),
        ({"super_iterations": 0}, "greater than 0"),
        ({"sub_iterations": 0}, "greater than 0"),
        ({"move_range": [1.0, 1.1]}, r"from below 1 to above 1, within \[0, 2\], got \[1.0, 1.1\]"),
        ({"move_range": [0.9, 2.5]}, r"within \[0, 2\]"),
        ({"move_range": [1.1, 0.9]}, "from below 1"),
        ({"move_range": [0.9]}, "move_range"),
    ],
)
def test_a_wrong_setting_is_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        AdaptiveRateMonteCarlo(**given)
