"""Ending before somebody else ends it: what is sent near the end of a batch job must come back in time."""

from __future__ import annotations

from collections import deque

REMEMBERED = 100
"""The longest of so many latest evaluations is what the next one is expected to take."""


class Walltime:
    """The end of a session, by its clock.

    An evaluation is expected to take as long as the longest of the latest ones took from being handed out to coming
    back, and no less than the one that is out now for the longest time.

    Args:
        ends_s: When the session must be over.
    """

    def __init__(self, ends_s: float) -> None:
        self.ends_s = ends_s
        self._latest: deque[float] = deque(maxlen=REMEMBERED)

    def took(self, seconds: float) -> None:
        """An evaluation has come back."""
        self._latest.append(seconds)

    def objection(self, now_s: float, out_since_s: float) -> str:
        """Why nothing more should be handed out now; empty: it may.

        Args:
            now_s: The time.
            out_since_s: When the oldest evaluation that is out was handed out; the time, if there is none.
        """
        expected_s = max(now_s - out_since_s, max(self._latest, default=0.0))
        left_s = self.ends_s - now_s
        if expected_s < left_s:
            return ""
        return f"walltime: evaluations take up to {expected_s:.3g} s, and {max(left_s, 0.0):.3g} s are left"
