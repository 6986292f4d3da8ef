"""How fast a run goes lately, from now and then a look at its counters."""

from __future__ import annotations

from typing import NamedTuple

LEAST_EVALUATIONS = 20
LEAST_S = 5.0
"""Lately is as short as has both in it."""
LEAST_STEADY = 10
"""From fewer evaluations nobody can tell how fast they will come."""
SPACING_S = 0.5
MOST_LOOKS = 256
"""Of more looks, every second one is forgotten."""


class Rates(NamedTuple):
    """How fast a run goes lately.

    Attributes:
        since_s: When that began, by the run's clock.
        took_s: How long it has lasted; 0: nobody can tell.
        evaluations: How many there were.
        busy_s: How long their losses took, all together.
    """

    since_s: float = 0.0
    took_s: float = 0.0
    evaluations: int = 0
    busy_s: float = 0.0

    @property
    def per_s(self) -> float | None:
        """Evaluations each second; None: nobody can tell."""
        return self.evaluations / self.took_s if self.took_s else None

    @property
    def busy(self) -> float | None:
        """How many losses are evaluated at once, on average; None: nobody can tell."""
        return self.busy_s / self.took_s if self.took_s else None

    @property
    def steady_per_s(self) -> float | None:
        """Evaluations each second, as far as the future may be told from it; None: it may not."""
        return self.per_s if self.evaluations >= LEAST_STEADY and self.took_s >= LEAST_S else None


class _Look(NamedTuple):
    at_s: float
    evaluations: int
    busy_s: float


class Recent:
    """Remembers looks at the counters of a session."""

    def __init__(self) -> None:
        self._looks: list[_Look] = []

    def note(self, at_s: float, evaluations: int, busy_s: float) -> None:
        """A look; of those that come in rapid succession, the first counts.

        Args:
            at_s: The run's clock.
            evaluations: How many there were.
            busy_s: How long their losses took, all together.
        """
        if self._looks and at_s - self._looks[-1].at_s < SPACING_S:
            return
        if len(self._looks) >= MOST_LOOKS:
            self._looks = self._looks[::2]
        self._looks.append(_Look(at_s, evaluations, busy_s))

    def rates(self, at_s: float, evaluations: int, busy_s: float) -> Rates:
        """How fast it went lately; arguments as those of a look, now."""
        for look in reversed(self._looks):
            is_enough = evaluations - look.evaluations >= LEAST_EVALUATIONS and at_s - look.at_s >= LEAST_S
            if is_enough or look is self._looks[0]:
                took_s, count = at_s - look.at_s, evaluations - look.evaluations
                return (
                    Rates(look.at_s, took_s, count, busy_s - look.busy_s) if took_s > 0 < count else Rates()
                )
        return Rates()
