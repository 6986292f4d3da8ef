"""What can come of one evaluation of the loss."""

from __future__ import annotations

import enum


class Outcome(enum.IntEnum):
    """How an evaluation ended; every one but `OK` gives its optimizer a loss of +inf.

    The values are what the store holds; they never change.
    """

    OK = 0
    NONFINITE = 1
    CONSTRAINT = 2
    EXCEPTION = 3
    TIMEOUT = 4
    WORKER_LOST = 5
    CANCELLED = 6

    @property
    def label(self) -> str:
        """The word that people read: `ok`, `nonfinite`, ..."""
        return self.name.lower()
