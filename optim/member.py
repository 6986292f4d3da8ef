"""One optimizer of a run: the living algorithm, its trajectory, and what it still waits for."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.ask_tell import AskTell, Batch, Point
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
        dimension: Number of parameters.
    """

    def __init__(self, number: int, block: Optimizer, living: AskTell, dimension: int) -> None:
        self.number = number
        self.type = block.type_name()
        self.title = block.title
        self.living = living
        self.is_alive = True
        self.calls = 0
        self.latest_loss = float("nan")
        self.best_loss = float("inf")
        self.best_point: Point | None = None
        self._warm_up = block.warm_up(dimension)
        self._dimension = dimension
        self._losses = array("d")
        self._lowest = array("d")
        self._points = array("d")
        self._asked = 0
        self._batch = Batch(())
        self._first_call = 1
        self._results: list[float | None] = []
        self._told = 0

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
        return self._losses[-count:]

    def latest_points(self, count: int) -> NDArray[np.float64]:
        """The points told last, oldest first, shape (at most count, dimension)."""
        return np.array(self._points[-count * self._dimension :]).reshape(-1, self._dimension)

    def lowest_loss_until(self, call: int) -> float:
        """The lowest of the first `call` losses told; inf: none of them was finite."""
        return self._lowest[call - 1]

    def ask(self) -> Iterator[tuple[int, Point, bool]]:
        """The next batch: call number, point in the unit cube and whether it is a probe."""
        self._batch = self.living.ask()
        self._first_call = self._asked + 1
        self._asked += len(self._batch.points)
        self._results = [None] * len(self._batch.points)
        self._told = 0
        for offset, point in enumerate(self._batch.points):
            yield self._first_call + offset, point, self._batch.probes

    def take(self, call: int, loss: float) -> None:
        """Keep the result of a call until those before it are there too."""
        self._results[call - self._first_call] = loss

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
            self._losses.append(loss)
            self._lowest.append(min(loss, self._lowest[-1]) if self._lowest else loss)
            self._points.frombytes(self._batch.points[at].tobytes())
        is_last = self._told == len(self._results)
        if is_last:
            self.living.tell(self._results)  # type: ignore[arg-type]  # complete: told in order to the end
        return Told(is_probe, is_last)

    def close(self) -> None:
        """End the algorithm where it stands."""
        self.is_alive = False
        self.living.close()
