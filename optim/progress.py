"""How far a run is from each of its exit conditions, in numbers that both a living run and its store can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

from optim.views import LossesView, RunView

SECONDS = "s"
"""What time limits count."""
EVALUATIONS = "evaluations"
"""What budgets count."""


class Standing(NamedTuple):
    """How a run stands: what an exit condition tells its progress from.

    Attributes:
        evaluations: How many results were recorded.
        started: How many optimizers were started.
        converged: How many of them converged by themselves.
        stopped: How many of them stoppers stopped.
        stopped_before: For each convergence, in order, how many had been stopped until then.
        best_loss: The lowest finite loss so far; inf: there is none.
        validations: All validation losses.
        earlier_s: How long earlier sessions worked on the run.
        session_s: How long this session has worked on it; of a run that rests, the last one.
    """

    evaluations: int
    started: int
    converged: int
    stopped: int
    stopped_before: Sequence[int]
    best_loss: float
    validations: LossesView
    earlier_s: float = 0.0
    session_s: float = 0.0

    @classmethod
    def of(cls, run: RunView, earlier_s: float = 0.0, session_s: float = 0.0) -> Self:
        """That of a living run; times as above."""
        return cls(
            run.evaluations,
            run.started,
            run.converged,
            run.stopped,
            run.stopped_before,
            run.best.loss if run.best else math.inf,
            run.validations,
            earlier_s,
            session_s,
        )


class Progress(NamedTuple):
    """How far an exit condition is from being met.

    Attributes:
        done: What has been reached; finite.
        of: What must be reached, positive; None: `done` is just worth a look, and no part of anything.
        counts: What they count: one of the constants above, or any other words.
    """

    done: float
    of: float | None = None
    counts: str = ""

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None: there is no natural one."""
        return None if self.of is None else min(1.0, max(0.0, self.done / self.of))

    def __str__(self) -> str:
        if self.of is None:
            return f"{self.done:.6g}"
        unit = " s" if self.counts == SECONDS else ""
        of = f"{self.of:,}" if isinstance(self.of, int) else f"{self.of:,.6g}"
        return f"{self.done:,.0f} / {of}{unit}"
