"""One optimizer of a run: the living algorithm, its trajectory, and what it still waits for."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optim.ask_tell import Answers, AskTell, Batch, Point
from optim.losses import Losses
from optim.optimizers.base import Optimizer


class Member:
    """An optimizer by number; satisfies `OptimizerView`.

    Results may come back in any order; they are told in the order asked, so that the trajectory does not
    depend on timing.

    Args:
        number: From 1.
        block: The settings that it was started from.
        living: The started algorithm.
        dimension: Of the unit cube.
        generator: What gave its starting point.
        started_at: How many evaluations the run had when it was started.

    Attributes:
        asked: How many evaluations it has asked for: the last call of its latest batch.
        first_call: The first call of that batch.
        is_probing: Whether that batch consists of finite differences.
        is_hungry: Whether all of that batch was told, so that it should be asked for the next one.
    """

    def __init__(
        self,
        number: int,
        block: Optimizer,
        living: AskTell,
        dimension: int,
        generator: str = "",
        started_at: int = 0,
    ) -> None:
        self.number = number
        self.type = block.type_name()
        self.title = block.title
        self.generator = generator
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
        self.asked = 0
        self.first_call = 1
        self.is_probing = False
        self.is_hungry = True
        self._answers = Answers((), ())
        self._is_back = bytearray()
        self._told = 0

    @property
    def is_warm(self) -> bool:
        """Whether it has had its first look round."""
        return self.calls >= self._warm_up

    @property
    def latest_calls(self) -> range:
        """The numbers of the calls of its latest batch; those before have all come back."""
        return range(self.first_call, self.asked + 1)

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

    def ask(self) -> Batch:
        """The next batch; its calls are numbered from `first_call`."""
        batch = self.living.ask()
        count = len(batch.points)
        self.first_call = self.asked + 1
        self.asked += count
        self.is_probing = batch.probes
        self.is_hungry = False
        self._answers = Answers([0.0] * count, batch.points)
        self._is_back = bytearray(count)
        self._told = 0
        return batch

    def take(self, call: int, loss: float, point: Point) -> None:
        """Keep the result of a call until those before it are there too.

        Args:
            call: Its number.
            loss: inf for every outcome but `ok`.
            point: Where it was evaluated, in the unit cube.
        """
        at = call - self.first_call
        self._is_back[at] = True
        self._answers[at] = loss
        self._answers.points[at] = point

    def tell_next(self) -> Point | None:
        """Add the next loss to the trajectory, if it is there; the algorithm is told a batch with its last one.

        Returns:
            Where the loss was, in the unit cube; None: there is none that could be told.
        """
        at, answers = self._told, self._answers
        if at == len(answers) or not self._is_back[at]:
            return None
        self._told = at + 1
        loss, point = answers[at], answers.points[at]
        if not self.is_probing:
            self.calls += 1
            self.latest_loss = loss
            self.losses.add(loss)
            self._points.frombytes(point.tobytes())
        if self._told == len(answers):
            self.is_hungry = True
            self.living.tell(answers)
        return point

    def close(self) -> None:
        """End the algorithm where it stands."""
        self.is_alive = False
        self.living.close()
