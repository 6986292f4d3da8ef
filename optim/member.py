"""One optimizer of a run: the living algorithm, its trajectory, and what it still waits for."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from optim.ask_tell import AskTell, Batch, Point
from optim.losses import Losses
from optim.optimizers.base import Optimizer


class Told(NamedTuple):
    """A loss that was just added to the trajectory, and whether it completed its batch."""

    is_probe: bool
    is_last: bool


class Member:
    """An optimizer by number; satisfies `OptimizerView`.

    Results may come back in any order; they are told in the order asked, so that the trajectory does not
    depend on timing.

    Args:
        number: From 1.
        block: The settings that it was started from.
        living: The started algorithm.
        dimension: Of the unit cube.
        started_at: How many evaluations the run had when it was started.
    """

    def __init__(
        self, number: int, block: Optimizer, living: AskTell, dimension: int, started_at: int = 0
    ) -> None:
        self.number = number
        self.type = block.type_name()
        self.title = block.title
        self.started_at = started_at
        self.living = living
        self.is_alive = True
        self.calls = 0
        self.latest_loss = float("nan")
        self.best_loss = float("inf")
        self.best_point: Point | None = None
        self.bests = 0
        self.validations = Losses()
        self._warm_up = block.warm_up(len(block.parameters) or dimension)
        self._dimension = dimension
        self.losses = Losses()
        self._points = array("d")
        self._asked = 0
        self._batch = Batch(())
        self._first_call = 1
        self._results: list[float | None] = []
        self._evaluated: list[Point] = []
        self._told = 0

    @property
    def asked(self) -> int:
        """How many evaluations it has asked for: the last call of its latest batch."""
        return self._asked

    @property
    def is_warm(self) -> bool:
        """Whether it has had its first look round."""
        return self.calls >= self._warm_up

    @property
    def latest_point(self) -> Sequence[float]:
        """The point told last, in the unit cube."""
        return self._points[-self._dimension :]

    def latest_losses(self, count: int) -> Sequence[float]:
        """The losses told last, oldest first."""
        return self.losses.latest(count)

    def latest_points(self, count: int) -> NDArray[np.float64]:
        """The points told last, oldest first, shape (at most count, dimension)."""
        return np.array(self._points[-count * self._dimension :]).reshape(-1, self._dimension)

    def ask(self) -> Iterator[tuple[int, Point, bool]]:
        """The next batch: call number, point in the unit cube and whether it is a probe."""
        self._batch = self.living.ask()
        self._first_call = self._asked + 1
        self._asked += len(self._batch.points)
        self._results = [None] * len(self._batch.points)
        self._evaluated = list(self._batch.points)
        self._told = 0
        for offset, point in enumerate(self._batch.points):
            yield self._first_call + offset, point, self._batch.probes

    def take(self, call: int, loss: float, point: Point) -> None:
        """Keep the result of a call until those before it are there too.

        Args:
            call: Its number.
            loss: inf for every outcome but `ok`.
            point: Where it was evaluated, in the unit cube.
        """
        self._results[call - self._first_call] = loss
        self._evaluated[call - self._first_call] = point

    def tell_next(self) -> Told | None:
        """Add the next loss to the trajectory, if it is there; hands over the batch with its last one."""
        at = self._told
        if at == len(self._results):
            return None
        loss = self._results[at]
        if loss is None:
            return None
        self._told = at + 1
        is_probe = self._batch.probes
        if not is_probe:
            self.calls += 1
            self.latest_loss = loss
            self.losses.add(loss)
            self._points.frombytes(self._evaluated[at].tobytes())
        is_last = self._told == len(self._results)
        if is_last:
            results = cast(list[float], self._results)  # complete: they are told in order to the end
            self.living.tell(results, self._evaluated)
        return Told(is_probe, is_last)

    def close(self) -> None:
        """End the algorithm where it stands."""
        self.is_alive = False
        self.living.close()
