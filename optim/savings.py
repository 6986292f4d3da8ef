"""What stoppers saved: how long optimizers ran that were stopped, against those that ended by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from optim.journal import EventKind

NATURAL_ENDS = frozenset({EventKind.CONVERGED, EventKind.GAVE_UP})
"""The ends that an optimizer comes to by itself."""


class Lengths(NamedTuple):
    """How long the optimizers of one label ran, in calls.

    Attributes:
        stopped: How many a stopper ended.
        stopped_calls: Calls of those, in all.
        ended: How many ended by themselves.
        ended_calls: Calls of those, in all.
    """

    stopped: int = 0
    stopped_calls: int = 0
    ended: int = 0
    ended_calls: int = 0

    @property
    def saved(self) -> float | None:
        """The calls that the stopped ones would have made besides, had they run as long as the others on average.

        Negative where they ran longer; None: there is nothing to compare.
        """
        if not self.stopped or not self.ended:
            return None
        return self.stopped * self.ended_calls / self.ended - self.stopped_calls


def lengths_by_label(optimizers: Iterable[tuple[str, str, int]]) -> dict[str, Lengths]:
    """Add up how long optimizers ran, for each label by itself: a simplex is no measure for a population.

    Args:
        optimizers: Of each its label, how it ended, and its number of calls. Ends that neither a stopper nor
            the optimizer itself chose (exit, crash, by hand) do not count, nor do optimizers that are alive.
    """
    by_label: dict[str, Lengths] = {}
    for label, end, calls in optimizers:
        lengths = by_label.get(label, Lengths())
        if end == EventKind.STOPPED:
            lengths = lengths._replace(
                stopped=lengths.stopped + 1, stopped_calls=lengths.stopped_calls + calls
            )
        elif end in NATURAL_ENDS:
            lengths = lengths._replace(ended=lengths.ended + 1, ended_calls=lengths.ended_calls + calls)
        by_label[label] = lengths
    return by_label
