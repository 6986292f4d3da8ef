"""What a benchmark hands back."""

from __future__ import annotations

from typing import NamedTuple


class Measurement(NamedTuple):
    """How fast one way of evaluating is.

    Attributes:
        name: What was measured.
        evaluations: How many, in each round.
        rates: Evaluations per second, one for each round.
        reference: What it is compared with; empty: nothing.
        wanted: The least it should reach, as a multiple of the reference.
    """

    name: str
    evaluations: int
    rates: list[float]
    reference: str = ""
    wanted: float | None = None
