"""What holds for every optimizer, whatever its algorithm."""

from __future__ import annotations

import gc
import math
import random
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from greenlet import greenlet

from optim.ask_tell import AskTell, EndKind, Point, Start
from optim.errors import OutOfOrderError
from optim.optimizers.base import Optimizer
from optim.options import Policy
from optim.testing.policies import PolicyConformance

Loss = Callable[[Point], float]
Look = Callable[[Sequence[Point]], None]

SAME_POINT = 1e-9
"""Distance in the unit cube up to which two points are one that was rounded differently."""


class Told(NamedTuple):
    """One batch and what came of it, kept as it was then."""

    points: tuple[tuple[float, ...], ...]
    probes: bool
    losses: tuple[float, ...]


class OptimizerConformance(PolicyConformance):
    """Give it a fixture `optimizer`. Class attributes bound how much is run.

    Attributes:
        turns: So many batches show that two trajectories are the same.
        turns_until_hopeless: After so many batches of infinite losses it need not have given up, but is closed.
    """

    turns = 15
    turns_until_hopeless = 500

    @pytest.fixture
    def policy(self, optimizer: Optimizer) -> Policy:
        """An optimizer is a policy."""
        return optimizer

    @pytest.fixture(params=[2, 6], ids="{}-d".format)
    def dimension(self, request: pytest.FixtureRequest) -> int:
        """Number of parameters."""
        dimension: int = request.param
        return dimension

    @pytest.fixture(autouse=True)
    def silence(
        self, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        """Whatever is done with it, an optimizer prints nothing, warns of nothing and writes no file."""
        monkeypatch.chdir(tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
        assert capfd.readouterr() == ("", "")
        assert not list(tmp_path.iterdir())

    def test_the_first_batch_holds_the_starting_point(self, optimizer: Optimizer, dimension: int) -> None:
        """So that every start is evaluated, wherever it comes from."""
        for seed in range(5):
            start = _start(dimension, seed)
            living = optimizer.start(start)
            points = living.ask().points
            living.close()
            assert min(np.abs(point - start.x0).max() for point in points) <= SAME_POINT

    @pytest.mark.parametrize(
        "place", [0.0, 1.0, 0.999, None], ids=["origin", "far corner", "near it", "inside"]
    )
    def test_every_point_is_a_point_of_the_unit_cube(
        self, optimizer: Optimizer, dimension: int, place: float | None
    ) -> None:
        """Also when it starts on the faces, and when the loss slopes towards them."""
        start = _start(dimension)
        if place is not None:
            start = start._replace(x0=np.full(dimension, place))
        for points, _, _ in self._run(optimizer, start, lambda x: -float(x.sum())):
            assert points
            for point in points:
                assert len(point) == dimension
                assert all(0.0 <= coordinate <= 1.0 for coordinate in point)

    def test_a_point_belongs_to_whom_it_was_given(self, optimizer: Optimizer, dimension: int) -> None:
        """The algorithm does not change it later, and does not see what others do with it."""
        kept: list[tuple[Point, Point]] = []

        def keep(points: Sequence[Point]) -> None:
            kept.extend((point, point.copy()) for point in points)

        def spoil(points: Sequence[Point]) -> None:
            for point in points:
                if point.flags.writeable:
                    point[:] = math.nan

        untouched = self._run(optimizer, _start(dimension), look=keep)
        assert self._run(optimizer, _start(dimension), look=spoil) == untouched
        assert all(point.dtype == np.float64 for point, _ in kept)
        assert all(np.array_equal(point, as_given) for point, as_given in kept)

    def test_it_leaves_its_starting_point_alone(self, optimizer: Optimizer, dimension: int) -> None:
        """`Start` is shared with whoever made it."""
        start = _start(dimension)
        x0 = start.x0.copy()
        self._run(optimizer, start)
        assert np.array_equal(start.x0, x0)

    def test_the_same_stream_gives_the_same_trajectory(self, optimizer: Optimizer, dimension: int) -> None:
        """Whatever numpy's global random state is; and nothing draws from it."""
        trajectories = []
        for seed in (1, 2):
            np.random.seed(seed)
            random.seed(seed)
            state = _global_random_state()
            trajectories.append(self._run(optimizer, _start(dimension)))
            assert _global_random_state() == state
        assert trajectories[0] == trajectories[1]

    def test_lives_that_take_turns_do_not_notice_each_other(
        self, optimizer: Optimizer, dimension: int
    ) -> None:
        """Interleaved, each has the trajectory that it has alone."""
        alone = [self._run(optimizer, _start(dimension, seed)) for seed in range(3)]
        living = [optimizer.start(_start(dimension, seed)) for seed in range(3)]
        together = take_turns(living, bowl, self.turns)
        for one in living:
            one.close()
        assert together == alone

    def test_stopped_at_any_step_it_leaves_nothing_behind(self, optimizer: Optimizer) -> None:
        """Neither a suspended greenlet nor a thread: asked or told last, closed or only forgotten."""
        before = _suspended_greenlets(), set(threading.enumerate())
        for turns in (*range(5), self.turns):
            for is_asked, is_closed in product((True, False), repeat=2):
                living = optimizer.start(_start(3))
                take_turns([living], bowl, turns)
                if is_asked and living.end is None:
                    living.ask()
                if is_closed:
                    living.close()
                    living.close()
                    with pytest.raises(OutOfOrderError):
                        living.ask()
                del living
        if _suspended_greenlets() != before[0]:
            gc.collect()  # slow, and only what is part of a cycle needs it
        assert (_suspended_greenlets(), set(threading.enumerate())) == before

    def test_without_one_finite_loss_it_never_converges(self, optimizer: Optimizer, dimension: int) -> None:
        """It gives up sooner or later, or can be closed."""
        living = optimizer.start(_start(dimension))
        take_turns([living], lambda _x: math.inf, self.turns_until_hopeless)
        living.close()
        assert living.end is None or living.end.kind is EndKind.GAVE_UP, living.end

    def test_infinite_losses_here_and_there_do_not_crash_it(
        self, optimizer: Optimizer, dimension: int
    ) -> None:
        """Evaluations fail; an algorithm makes of it what it can."""
        for seed in range(3):
            self._run(optimizer, _start(dimension, seed), _often_infinite(seed))

    def test_asking_and_telling_go_in_turns(self, optimizer: Optimizer, dimension: int) -> None:
        """A whole batch is told, once, and only after it was asked."""
        living = optimizer.start(_start(dimension))
        with pytest.raises(OutOfOrderError):
            living.tell([1.0])
        points = living.ask().points
        with pytest.raises(OutOfOrderError):
            living.ask()
        with pytest.raises(ValueError, match="expected"):
            living.tell([1.0] * (len(points) + 1))
        living.tell([1.0] * len(points))
        living.close()

    def test_its_warm_up_is_a_number_of_calls(self, optimizer: Optimizer, dimension: int) -> None:
        """At least one."""
        assert isinstance(optimizer.warm_up(dimension), int)
        assert optimizer.warm_up(dimension) >= 1

    def test_it_has_a_title(self, optimizer: Optimizer) -> None:
        """Its label, if it has one."""
        assert optimizer.title
        assert optimizer.model_copy(update={"label": "mine"}).title == "mine"

    def _run(
        self, optimizer: Optimizer, start: Start, loss: Loss | None = None, look: Look | None = None
    ) -> list[Told]:
        living = optimizer.start(start)
        (told,) = take_turns([living], loss or bowl, self.turns, look)
        living.close()
        assert living.end is None or living.end.kind is not EndKind.CRASHED, living.end
        return told


def bowl(x: Point) -> float:
    """A rippled bowl with its minimum inside the unit cube, dimensionless."""
    weights = np.arange(1, len(x) + 1)
    return float((weights * (x - 0.37) ** 2).sum() + 0.05 * np.cos(17.0 * x).sum())


def take_turns(
    living: Sequence[AskTell], loss: Loss, turns: int, look: Look | None = None
) -> list[list[Told]]:
    """Drive several optimizers, one batch of each in turn, for so many turns, or until each has ended.

    Args:
        living: Each is left as it then stands.
        loss: Of a point; dimensionless.
        turns: Batches of each.
        look: Sees the points of each batch before their losses are told.

    Returns:
        What each was told, in order.
    """
    told: list[list[Told]] = [[] for _ in living]
    for _ in range(turns):
        for one, its in zip(living, told, strict=True):
            if one.end is None:
                batch = one.ask()
                points = tuple(tuple(point.tolist()) for point in batch.points)
                losses = tuple(loss(point) for point in batch.points)
                if look is not None:
                    look(batch.points)
                one.tell(losses)
                its.append(Told(points, batch.probes, losses))
    return told


def _start(dimension: int, seed: int = 0) -> Start:
    place, stream = np.random.SeedSequence(seed).spawn(2)
    return Start(np.random.default_rng(place).random(dimension), np.random.default_rng(stream))


def _often_infinite(seed: int) -> Loss:
    dice = np.random.default_rng(seed)
    return lambda x: math.inf if dice.random() < 0.3 else bowl(x)


def _global_random_state() -> tuple[bytes, object]:
    # numpy's only: other threads of a test session (Dask's, Prefect's) draw from Python's whenever they like
    _, keys, position, *_ = np.random.get_state(legacy=True)
    return np.asarray(keys).tobytes(), position


def _suspended_greenlets() -> int:
    return sum(1 for thing in gc.get_objects() if type(thing) is greenlet and not thing.dead)
