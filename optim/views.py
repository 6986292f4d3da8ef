"""What policies may see: read-only views of the run and of its optimizers.

Losses and points here are those *told*, in the order of the optimizer's calls and without its probes, so that
they do not depend on the order in which results came back.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from optim.descent import Descent


class Best(NamedTuple):
    """The lowest finite loss of a run so far, and where it was seen first.

    Attributes:
        loss: Dimensionless.
        optimizer: Its owner; 0: the baseline, which is no optimizer.
        evaluation: Global number of that evaluation.
        x: Physical units of all parameters.
        point: The same in the unit cube, shape (dimension,).
    """

    loss: float
    optimizer: int
    evaluation: int
    x: NDArray[np.float64]
    point: NDArray[np.float64]


class Starts(NamedTuple):
    """What a generator has started.

    Attributes:
        number: How many optimizers.
        latest_at: How many evaluations the run had when the latest was started; -1: there is none.
    """

    number: int = 0
    latest_at: int = -1


class LossesView(Protocol):
    """Losses in the order in which they arrived; inf where one was not finite."""

    def __len__(self) -> int:
        """How many there are."""

    def lowest_until(self, count: int) -> float:
        """The lowest of the first `count` (1 <= count <= len); inf: none of them was finite."""


class OptimizerView(Protocol):
    """One optimizer, alive or dead."""

    @property
    def number(self) -> int:
        """Its number in the run, from 1."""

    @property
    def type(self) -> str:
        """The type of its block."""

    @property
    def title(self) -> str:
        """The label of its block."""

    @property
    def is_alive(self) -> bool:
        """False once it has converged, given up, crashed or been stopped."""

    @property
    def is_warm(self) -> bool:
        """Whether it has had its first look round: a simplex, a generation, one gradient."""

    @property
    def started_at(self) -> int:
        """How many evaluations the run had when it was started."""

    @property
    def calls(self) -> int:
        """How many losses it was told: n."""

    @property
    def latest_loss(self) -> float:
        """f_n; needs n >= 1."""

    @property
    def latest_point(self) -> Sequence[float]:
        """x_n in the unit cube; needs n >= 1."""

    @property
    def best_loss(self) -> float:
        """The lowest finite loss it has seen; inf: none."""

    @property
    def best_point(self) -> NDArray[np.float64] | None:
        """Where it saw that, in the unit cube; None: nowhere."""

    @property
    def validations(self) -> LossesView:
        """The validation losses of its bests."""

    def latest_losses(self, count: int) -> Sequence[float]:
        """The last `count` losses, oldest first (all, when there are fewer)."""

    def latest_points(self, count: int) -> NDArray[np.float64]:
        """The last `count` points in the unit cube, oldest first, shape (at most count, dimension)."""

    @property
    def losses(self) -> LossesView:
        """All losses that it was told."""


class RunView(Protocol):
    """The whole run."""

    @property
    def dimension(self) -> int:
        """Number of parameters: d."""

    @property
    def evaluations(self) -> int:
        """How many results were recorded."""

    @property
    def started(self) -> int:
        """How many optimizers were started."""

    def starts(self, generator: str) -> Starts:
        """The same for one type of generator; what people start by hand, none has started."""

    @property
    def converged(self) -> int:
        """How many optimizers converged by themselves."""

    @property
    def stopped(self) -> int:
        """How many optimizers stoppers stopped."""

    @property
    def stopped_before(self) -> Sequence[int]:
        """For each convergence, in order, how many optimizers had been stopped until then."""

    @property
    def best(self) -> Best | None:
        """The lowest finite loss so far."""

    @property
    def descent(self) -> Descent:
        """How the lowest finite loss came down, thinned out."""

    @property
    def optimizers(self) -> Sequence[OptimizerView]:
        """All that ever ran, by number: optimizer k is at k - 1."""

    @property
    def anchors(self) -> NDArray[np.float64]:
        """Where each optimizer stands, in the unit cube, shape (started, dimension).

        The latest point of one that lives, the best point of one that is dead; nan where there is none.
        """

    def anchor(self, optimizer: int) -> Sequence[float]:
        """Where one optimizer stands, by its number; as in `anchors`."""

    @property
    def validations(self) -> LossesView:
        """All validation losses."""

    @property
    def times_up(self) -> Set[str]:
        """The time limits that have been reached in this session, as they are printed."""

    def draw(self, purpose: str, *numbers: int) -> float:
        """A uniform random number in [0, 1): the same whenever it is asked for with the same key.

        Args:
            purpose: What it is for: of a rule, as it is printed.
            numbers: What else tells it from others: of a stopper, the optimizer's number and its call.
        """
