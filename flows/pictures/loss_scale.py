"""How losses are laid out on an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SPAN = 100.0
"""Losses that differ by such a factor are shown on a logarithmic axis."""
FLOOR = 1e-12
"""What is nearer to the lowest loss than this part of the whole span is drawn there, on an axis above the lowest."""


@dataclass(frozen=True, slots=True)
class LossScale:
    """An axis for losses.

    Attributes:
        kind: Linear; logarithmic; or logarithmic above the lowest loss.
        lowest: The lowest loss.
        floor: Where the lowest loss itself is drawn, on an axis above it.
    """

    kind: Literal["linear", "log", "log above lowest"] = "linear"
    lowest: float = 0.0
    floor: float = 0.0

    @classmethod
    def of(cls, losses: NDArray[np.float64]) -> LossScale:
        """Choose the axis that losses call for.

        * All positive, and the highest at least 100 times the lowest: logarithmic.
        * Otherwise, if the highest is at least 100 times as far above the lowest as half of the losses are (most are
          crowded at the bottom, and some tower above), and there are losses that are zero or negative: logarithmic, of
          the loss minus the lowest loss. The lowest itself, which has no logarithm then, is drawn at the bottom.
        * Else linear.

        Args:
            losses: Shape (n,); those that are not finite do not count.
        """
        finite = losses[np.isfinite(losses)]
        if not finite.size:
            return cls()
        lowest, highest = float(finite.min()), float(finite.max())
        if lowest > 0:
            return cls("log" if highest / lowest >= SPAN else "linear", lowest)
        with np.errstate(over="ignore"):
            above = finite - lowest
        positive = above[above > 0]
        if not positive.size or not np.isfinite(above).all() or above.max() < SPAN * np.median(positive):
            return cls("linear", lowest)
        return cls("log above lowest", lowest, max(float(positive.min()) / 2, FLOOR * float(above.max())))

    @property
    def is_log(self) -> bool:
        """The axis is logarithmic."""
        return self.kind != "linear"

    @property
    def is_shifted(self) -> bool:
        """The axis shows how far a loss is above the lowest, not the loss."""
        return self.kind == "log above lowest" and self.lowest != 0

    def title(self, what: str = "loss") -> str:
        """What the axis shows."""
        return f"{what} above the lowest loss, {self.lowest:.6g}" if self.is_shifted else what

    def place(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where losses are on the axis; nan: nowhere."""
        if self.kind == "linear":
            return np.where(np.isfinite(losses), losses, np.nan)
        if self.kind == "log":
            return np.where(np.isfinite(losses) & (losses > 0), losses, np.nan)
        with np.errstate(over="ignore", invalid="ignore"):
            above = np.where(np.isfinite(losses), losses - self.lowest, np.nan)
        return np.where(np.isnan(above), np.nan, np.maximum(above, self.floor))
