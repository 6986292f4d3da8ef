"""Runs made by hand, to try policies on: each optimizer's points and losses are simply listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from optim.ask_tell import Batch, End, EndKind, Start, Steps
from optim.member import Member
from optim.optimizers.base import Optimizer
from optim.run_state import RunState

Points = Annotated[tuple[tuple[float, ...], ...], Field(strict=False)]


class Scripted(Optimizer):
    """An optimizer that asks for listed points, one at a time, and then converges."""

    points: Points = ()
    """In the unit cube, after the starting point."""
    warm_up_calls: int = 0
    """What `warm_up` says."""

    def steps(self, start: Start) -> Steps:
        """See the class."""
        for point in (start.x0, *map(np.array, self.points)):
            yield Batch((point,))
        return End(EndKind.CONVERGED, "the script is over")

    def warm_up(self, dimension: int) -> int:
        """As set."""
        return self.warm_up_calls


class Track(NamedTuple):
    """What one optimizer of a hand-made run did.

    Attributes:
        losses: In the order told.
        points: In the unit cube, one for each loss; by default all at the origin of a plane.
        is_alive: Whether it still runs.
        warm_up: How many calls it needs before stoppers judge it.
        generator: The type of what gave its starting point.
    """

    losses: Sequence[float]
    points: Sequence[Sequence[float]] = ()
    is_alive: bool = True
    warm_up: int = 0
    generator: str = ""


def hand_made_run(*tracks: Track, dimension: int = 2) -> RunState:
    """A run in which each optimizer has done what its track says, one after the other."""
    run = RunState(dimension)
    for number, track in enumerate(tracks, start=1):
        points = [np.array(point, dtype=float) for point in track.points] or [
            np.zeros(dimension) for _ in track.losses
        ]
        first = points[0] if points else np.zeros(dimension)
        block = Scripted(
            points=tuple(tuple(map(float, point)) for point in (*points[1:], first)),
            warm_up_calls=track.warm_up,
        )
        living = block.start(Start(first, np.random.default_rng(0)))
        member = Member(number, block, living, dimension, track.generator, run.evaluations)
        run.add(member)
        for loss in track.losses:
            (point,) = member.ask().points
            run.record(number, loss, point, point)
            member.take(member.asked, loss, point)
            member.tell_next()
            run.move(member, point)
        if not track.is_alive:
            member.close()
            run.bury(member)
    return run
