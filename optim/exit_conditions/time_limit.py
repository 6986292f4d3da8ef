"""End the session when its time is used up."""

from __future__ import annotations

from optim.exit_conditions.timed import Timed


class TimeLimit(Timed):
    """Met when this session has worked for `seconds`; a session that resumes the run has as much again.

    Source: ParAMS, exit condition `TimeLimit`.
    """

    def allowance_s(self, spent_s: float) -> float | None:
        """All of it."""
        return self.seconds
