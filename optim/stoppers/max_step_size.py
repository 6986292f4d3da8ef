"""Stop an optimizer that hardly moves."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field, NonNegativeFloat

from optim.stoppers.base import Stopper
from optim.verdict import NO, Verdict
from optim.views import OptimizerView, RunView


class MaxStepSize(Stopper):
    """Met when the mean length of the last `calls` - 1 steps is at most `max_relative_step_size` x sqrt(d).

    Lengths are Euclidean in the unit cube. Too few points: not met.

    Source: ParAMS, stopper `MaxStepSize`.
    """

    max_relative_step_size: NonNegativeFloat = 0.05
    """Largest mean step that counts as hardly moving, relative to the diagonal of the space."""
    number_of_function_calls: Annotated[int, Field(ge=2)]
    """How many of the latest points are looked at."""

    def judge(self, optimizer: OptimizerView, run: RunView) -> Verdict:
        """See the class."""
        calls = self.number_of_function_calls
        if optimizer.calls < calls:
            return NO
        steps = np.diff(optimizer.latest_points(calls), axis=0)
        mean = float(np.mean(np.linalg.norm(steps, axis=1)))
        limit = self.max_relative_step_size * math.sqrt(run.dimension)
        return Verdict(
            mean <= limit, "the last {} steps are {:.3g} long, at most {:.3g}", (calls - 1, mean, limit)
        )
