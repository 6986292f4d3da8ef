"""What policies may see: read-only views of the run and of its optimizers.

Losses and points here are those *told*, in the order of the optimizer's calls and without its probes, so that
they do not depend on the order in which results came back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Best(NamedTuple):
    """The lowest finite loss of a run so far, and where it was seen first.

    Attributes:
        loss: Dimensionless.
        optimizer: Its owner; 0: the baseline, which is no optimizer.
        evaluation: Global number of that evaluation.
        x: Physical units, shape (dimension,).
    """

    loss: float
    optimizer: int
    evaluation: int
    x: NDArray[np.float64]


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

    def latest_losses(self, count: int) -> Sequence[float]:
        """The last `count` losses, oldest first (all, when there are fewer)."""

    def latest_points(self, count: int) -> NDArray[np.float64]:
        """The last `count` points in the unit cube, oldest first, shape (at most count, dimension)."""

    def lowest_loss_until(self, call: int) -> float:
        """The lowest of its first `call` losses (1 <= call <= n); inf: none of them was finite."""


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

    @property
    def converged(self) -> int:
        """How many optimizers converged by themselves."""

    @property
    def stopped(self) -> int:
        """How many optimizers stoppers stopped."""

    @property
    def best(self) -> Best | None:
        """The lowest finite loss so far."""

    @property
    def optimizers(self) -> Sequence[OptimizerView]:
        """All that ever ran, by number: optimizer k is at k - 1."""

    @property
    def anchors(self) -> NDArray[np.float64]:
        """Where each optimizer stands, in the unit cube, shape (started, dimension).

        The latest point of one that lives, the best point of one that is dead; nan where there is none.
        """
