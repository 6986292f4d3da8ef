"""The manager's books: what was recorded, who ran, and what is best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optim.ask_tell import Point
from optim.descent import Descent
from optim.losses import Losses
from optim.member import Member
from optim.randomness import Streams
from optim.views import Best, Starts


class RunState:
    """Counts and trajectories of a run; satisfies `RunView`.

    Args:
        dimension: Of the unit cube.
        streams: Of the run's random numbers.
    """

    def __init__(self, dimension: int, streams: Streams | None = None) -> None:
        self.dimension = dimension
        self._streams = streams or Streams(0)
        self.evaluations = 0
        self.stopped = 0
        self.stopped_before: list[int] = []
        self.alive = 0
        self.best: Best | None = None
        self.descent = Descent()
        self.optimizers: list[Member] = []
        self.validations = Losses()
        self.times_up: set[str] = set()
        self._anchors = np.full((8, dimension), np.nan)
        self._starts: dict[str, Starts] = {}

    @property
    def started(self) -> int:
        """How many optimizers were started."""
        return len(self.optimizers)

    def starts(self, generator: str) -> Starts:
        """What that type of generator has started."""
        return self._starts.get(generator, Starts())

    @property
    def converged(self) -> int:
        """How many optimizers converged by themselves."""
        return len(self.stopped_before)

    @property
    def anchors(self) -> NDArray[np.float64]:
        """Where each optimizer stands; see `RunView`."""
        return self._anchors[: len(self.optimizers)]

    def anchor(self, optimizer: int) -> Sequence[float]:
        """Where one optimizer stands; see `RunView`."""
        anchor: list[float] = self._anchors[optimizer - 1].tolist()
        return anchor

    def add(self, member: Member) -> None:
        """A new optimizer lives."""
        self.optimizers.append(member)
        self.alive += 1
        self._starts[member.generator] = Starts(self.starts(member.generator).number + 1, member.started_at)
        if len(self.optimizers) > len(self._anchors):
            self._anchors = np.concatenate([self._anchors, np.full_like(self._anchors, np.nan)])

    def draw(self, purpose: str, *numbers: int) -> float:
        """A random number by its key; see `RunView`."""
        return self._streams.stream(purpose, *numbers).random()

    def record(self, optimizer: int, loss: float, x: NDArray[np.float64], point: Point) -> bool:
        """Count a result; `loss` is inf for every outcome but `ok`.

        Returns:
            Whether it is a new best of its optimizer; of the baseline, whether it is finite.
        """
        self.evaluations += 1
        if loss == np.inf:
            return False
        if self.best is None or loss < self.best.loss:
            self.best = Best(loss, optimizer, self.evaluations, x, point)
            self.descent.add(self.evaluations, loss)
        if not optimizer:
            return True
        member = self.optimizers[optimizer - 1]
        if not loss < member.best_loss:
            return False
        member.bests += 1
        member.best_loss = loss
        member.best_point = point
        if not member.is_alive:
            self._anchors[optimizer - 1] = point
        return True

    def record_validation(self, optimizer: int, loss: float) -> None:
        """Keep a validation loss; inf where there was no finite number."""
        self.validations.add(loss)
        if optimizer:
            self.optimizers[optimizer - 1].validations.add(loss)

    def move(self, member: Member, point: Point) -> None:
        """`member` was told a loss: it stands there."""
        self._anchors[member.number - 1] = point

    def bury(self, member: Member) -> None:
        """`member` is dead: it stands at its best point."""
        self.alive -= 1
        self._anchors[member.number - 1] = np.nan if member.best_point is None else member.best_point
