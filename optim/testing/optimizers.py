"""What holds for every optimizer, whatever its algorithm."""

from __future__ import annotations

import gc
import math
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from greenlet import greenlet

from optim.ask_tell import AskTell, Batch, EndKind, Point, Start
from optim.errors import OutOfOrderError
from optim.optimizers.base import Optimizer
from optim.options import Policy
from optim.testing.policies import PolicyConformance

Loss = Callable[[Point], float]

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
        calls: About how many evaluations show that two trajectories are the same.
        calls_until_hopeless: Within about so many infinite losses it gives up, or is closed.
    """

    calls = 40
    calls_until_hopeless = 2000

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
        living = optimizer.start(start if place is None else start._replace(x0=np.full(dimension, place)))
        for points, _, _ in _run(living, lambda x: -float(x.sum()), self.calls):
            assert points
            for point in points:
                assert len(point) == dimension
                assert all(0.0 <= coordinate <= 1.0 for coordinate in point)
        living.close()

    def test_a_point_belongs_to_whom_it_was_given(self, optimizer: Optimizer, dimension: int) -> None:
        """The algorithm does not change it later, and does not see what others do with it."""
        kept: list[tuple[Point, Point]] = []

        def keep(points: list[Point]) -> None:
            kept.extend((point, point.copy()) for point in points)

        def spoil(points: list[Point]) -> None:
            for point in points:
                if point.flags.writeable:
                    point[:] = math.nan

        untouched = _run(optimizer.start(_start(dimension)), bowl, self.calls, keep)
        spoiled = _run(optimizer.start(_start(dimension)), bowl, self.calls, spoil)
        assert untouched == spoiled
        assert all(point.dtype == np.float64 for point, _ in kept)
        assert all(np.array_equal(point, as_given) for point, as_given in kept)

    def test_it_leaves_its_starting_point_alone(self, optimizer: Optimizer, dimension: int) -> None:
        """`Start` is shared with whoever made it."""
        start = _start(dimension)
        x0 = start.x0.copy()
        _run(optimizer.start(start), bowl, self.calls)
        assert np.array_equal(start.x0, x0)

    def test_the_same_stream_gives_the_same_trajectory(self, optimizer: Optimizer, dimension: int) -> None:
        """Whatever the global random state is; and nothing draws from it."""
        trajectories = []
        for seed in (1, 2):
            np.random.seed(seed)
            random.seed(seed)
            state, other_state = repr(np.random.get_state()), random.getstate()
            trajectories.append(_run(optimizer.start(_start(dimension)), bowl, self.calls))
            assert repr(np.random.get_state()) == state
            assert random.getstate() == other_state
        assert trajectories[0] == trajectories[1]

    def test_lives_that_take_turns_do_not_notice_each_other(
        self, optimizer: Optimizer, dimension: int
    ) -> None:
        """Interleaved, each has the trajectory that it has alone."""
        alone = [_run(optimizer.start(_start(dimension, seed)), bowl, self.calls) for seed in range(3)]
        living = [optimizer.start(_start(dimension, seed)) for seed in range(3)]
        together = take_turns(living, bowl, self.calls)
        assert together == alone

    @pytest.mark.parametrize("turns", [*range(8), 15, 30])
    def test_closed_at_any_step_it_leaves_nothing_behind(
        self, optimizer: Optimizer, dimension: int, turns: int
    ) -> None:
        """Neither a suspended greenlet nor a thread; asked or told, and also when nobody closes it."""
        before = _left_behind()
        for is_closed in (True, False):
            living = optimizer.start(_start(dimension))
            for _ in range(turns):
                if living.end is None:
                    living.tell([bowl(point) for point in living.ask().points])
            if living.end is None:
                living.ask()
            if is_closed:
                living.close()
                living.close()
                with pytest.raises(OutOfOrderError):
                    living.ask()
            del living
        assert _left_behind() == before

    def test_without_one_finite_loss_it_never_converges(self, optimizer: Optimizer, dimension: int) -> None:
        """It gives up sooner or later, or can be closed."""
        living = optimizer.start(_start(dimension))
        _run(living, lambda _x: math.inf, self.calls_until_hopeless)
        living.close()
        assert living.end is None or living.end.kind is EndKind.GAVE_UP

    @pytest.mark.parametrize("seed", range(4))
    def test_infinite_losses_here_and_there_do_not_crash_it(
        self, optimizer: Optimizer, dimension: int, seed: int
    ) -> None:
        """Evaluations fail; an algorithm makes of it what it can."""
        dice = np.random.default_rng(seed)
        living = optimizer.start(_start(dimension, seed))
        _run(living, lambda x: math.inf if dice.random() < 0.3 else bowl(x), 5 * self.calls)
        living.close()
        assert living.end is None or living.end.kind is not EndKind.CRASHED, living.end

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


def bowl(x: Point) -> float:
    """A rippled bowl with its minimum inside the unit cube, dimensionless."""
    weights = np.arange(1, len(x) + 1)
    return float((weights * (x - 0.37) ** 2).sum() + 0.05 * np.cos(17.0 * x).sum())


def take_turns(living: list[AskTell], loss: Loss, calls: int) -> list[list[Told]]:
    """Drive several optimizers, one batch of each in turn, until each has had `calls` evaluations or ended."""
    told: list[list[Told]] = [[] for _ in living]
    going = set(range(len(living)))
    for number in cycle(range(len(living))):
        if not going:
            return told
        if number in going:
            told[number].append(_turn(living[number], loss))
            if living[number].end is not None or _count(told[number]) >= calls:
                living[number].close()
                going.discard(number)
    return told


def _run(
    living: AskTell, loss: Loss, calls: int, look: Callable[[list[Point]], None] | None = None
) -> list[Told]:
    told: list[Told] = []
    while living.end is None and _count(told) < calls:
        told.append(_turn(living, loss, look))
    living.close()
    return told


def _turn(living: AskTell, loss: Loss, look: Callable[[list[Point]], None] | None = None) -> Told:
    batch: Batch = living.ask()
    points = tuple(tuple(point.tolist()) for point in batch.points)
    losses = tuple(loss(point) for point in batch.points)
    if look is not None:
        look(list(batch.points))
    living.tell(losses)
    return Told(points, batch.probes, losses)


def _count(told: list[Told]) -> int:
    return sum(len(batch.losses) for batch in told)


def _start(dimension: int, seed: int = 0) -> Start:
    place, stream = np.random.SeedSequence(seed).spawn(2)
    return Start(np.random.default_rng(place).random(dimension), np.random.default_rng(stream))


def _left_behind() -> tuple[int, set[str]]:
    gc.collect()
    greenlets = sum(1 for thing in gc.get_objects() if type(thing) is greenlet and not thing.dead)
    return greenlets, {thread.name for thread in threading.enumerate()}
