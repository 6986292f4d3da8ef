"""End the session when the time of all sessions is used up."""

from __future__ import annotations

from optim.exit_conditions.timed import Timed


class TimeLimitThroughRestarts(Timed):
    """Met when all sessions together have worked for `seconds`.

    Source: ParAMS, exit condition `TimeLimitThroughRestarts`.
    """

    def allowance_s(self, spent_s: float) -> float | None:
        """What earlier sessions have left."""
        return max(0.0, self.seconds - spent_s)
