"""What a rule may have to know of the other settings, to see whether it goes with them."""

from __future__ import annotations

from typing import NamedTuple


class Surroundings(NamedTuple):
    """The rest of a strategy, seen by one of its rules.

    Attributes:
        titles: Types and labels of the optimizer blocks.
        max_optimizers: How many optimizers may be started; None: any number.
        has_stoppers: Whether anything stops optimizers.
        has_validation: Whether there is a validation loss.
    """

    titles: tuple[str, ...]
    max_optimizers: int | None
    has_stoppers: bool
    has_validation: bool

    def too_few_starts(self, needed: int) -> str:
        """Why a rule never holds that needs so many optimizers; empty: it may hold."""
        if self.max_optimizers is None or self.max_optimizers >= needed:
            return ""
        return (
            f"it needs {needed} optimizers, and control_optimizer_spawning lets {self.max_optimizers} start"
        )

    @property
    def no_stoppers(self) -> str:
        """Why a rule about stopped optimizers never holds; empty: it may hold."""
        return "" if self.has_stoppers else "there are no stoppers"

    @property
    def no_validation(self) -> str:
        """Why a rule about the validation loss cannot work; empty: it can."""
        return "" if self.has_validation else "it needs a validation loss: add a [validation] block"
