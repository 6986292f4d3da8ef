"""Adaptive rate Monte Carlo: a random walk that is let uphill as often as it should be."""

from __future__ import annotations

import math
import sys
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from optim.ask_tell import Batch, End, EndKind, Point, Start, Steps
from optim.optimizers.base import Optimizer


class AdaptiveRateMonteCarlo(Optimizer):
    """Adaptive rate Monte Carlo (ARMC), one point at a time.

    1. A trial moves one parameter, drawn at random, by (r - 1) of its range, with r uniform in `move_range`; a
       move across a bound is reflected at it. (In physical units the parameter itself would be multiplied by r; in
       the unit cube a product would never leave 0.)
    2. The loss of the point that the walk stands on is raised by phi, and the trial is accepted if its own loss
       is lower. So the longer the walk stands, the further uphill it may go.
    3. After each super-iteration, phi *= gamma ** sign(acceptance_target - acceptance rate).

    Non-finite losses are rejected, except that the walk roams freely, and leaves phi alone, until it has seen a
    finite one. It never converges: it gives up after the last super-iteration.

    Source: Cosseddu & Infante, J. Chem. Theory Comput. 13, 297 (2017); the rules are those that Auto-FOX
    documents, with the first trial judged like any other.
    """

    may_converge: ClassVar[bool] = False

    phi: PositiveFloat = 1.0
    """By how much a loss may rise in a step, at first; in units of the loss."""

    gamma: float = Field(default=2.0, gt=1)
    """phi is multiplied or divided by it."""

    acceptance_target: float = Field(default=0.25, gt=0, lt=1)
    """The share of trials that should be accepted."""

    super_iterations: PositiveInt = 1000
    """How many times phi is adapted before the end."""

    sub_iterations: PositiveInt = 100
    """Trials between two changes of phi."""

    move_range: Annotated[tuple[float, float], Field(strict=False)] = (0.9, 1.1)
    """The least and the largest factor of a move; 1 is no move, [0.9, 1.1] is up to a tenth of the range."""

    @field_validator("move_range")
    @classmethod
    def _check_move_range(cls, move_range: tuple[float, float]) -> tuple[float, float]:
        least, largest = move_range
        if not 0.0 <= least < 1.0 < largest <= 2.0:
            raise ValueError(
                f"move_range must go from below 1 to above 1, within [0, 2], got {[*move_range]}"
            )
        return move_range

    def warm_up(self, dimension: int) -> int:
        """The starting point, and a move for each parameter."""
        return dimension + 1

    def steps(self, start: Start) -> Steps:
        """Walk, and adapt phi."""
        phi = self.phi
        point = start.x0.copy()
        (loss,) = yield Batch([point.copy()])
        has_finite_loss = math.isfinite(loss)
        for _ in range(self.super_iterations):
            accepted = 0
            for _ in range(self.sub_iterations):
                trial = self._move(point, start.rng)
                (trial_loss,) = yield Batch([trial.copy()])
                loss += phi
                if trial_loss < loss or not has_finite_loss:
                    point, loss = trial, trial_loss
                    has_finite_loss = has_finite_loss or math.isfinite(loss)
                    accepted += 1
            if has_finite_loss:
                phi = self._adapted(phi, accepted / self.sub_iterations)
        reason = f"super_iterations = {self.super_iterations}"
        return End(EndKind.GAVE_UP, reason if has_finite_loss else f"every loss was infinite ({reason})")

    def _move(self, point: Point, rng: np.random.Generator) -> Point:
        trial = point.copy()
        axis = rng.integers(len(point))
        trial[axis] = _reflected(trial[axis] + rng.uniform(*self.move_range) - 1.0)
        return trial

    def _adapted(self, phi: float, acceptance_rate: float) -> float:
        phi *= self.gamma ** float(np.sign(self.acceptance_target - acceptance_rate))
        return min(max(phi, sys.float_info.min), sys.float_info.max)  # from 0 or inf it would never come back


def _reflected(coordinate: float) -> float:
    """In [0, 1], for one in [-1, 2]."""
    return 1.0 - abs(1.0 - abs(coordinate))
