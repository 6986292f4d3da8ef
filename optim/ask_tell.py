"""An optimizer as ask-tell, without any executor.

An algorithm is written as a generator that yields batches of points and is sent their losses, so that it
reads like its paper; `AskTell` drives it, keeps the order of calls honest and turns whatever ends it into an
`End`.

Source: Collette et al., "Object-oriented programming of optimizers" (2010), ask-and-tell interface.
"""

from __future__ import annotations

import enum
import traceback
from collections.abc import Generator, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.errors import OutOfOrderError

Point = NDArray[np.float64]
"""One point in the unit cube, shape (dimension,)."""


class Batch(NamedTuple):
    """Points that may be evaluated in any order and at the same time.

    Attributes:
        points: At least one; each of shape (dimension,), in the unit cube.
        probes: True for finite-difference points: evaluated and counted, but no step of the optimizer.
    """

    points: Sequence[Point]
    probes: bool = False


class EndKind(enum.StrEnum):
    """How an optimizer may end by itself."""

    CONVERGED = "converged"
    GAVE_UP = "gave up"
    CRASHED = "crashed"


class End(NamedTuple):
    """An optimizer's own end and its reason, in the words of its library."""

    kind: EndKind
    reason: str


class Answers(list[float]):
    """The losses of a batch, in the order of its points; dimensionless, inf for every outcome but `ok`.

    Attributes:
        points: Where they were evaluated. A replay may find that points were recorded which differ from those asked
            by a rounding; an algorithm that learns from points learns from these.
    """

    def __init__(self, losses: Iterable[float], points: Sequence[Point]) -> None:
        super().__init__(losses)
        self.points = list(points)


Steps = Generator[Batch, Answers, End]
"""An algorithm: yields batches, is sent their losses in the order of the points, returns its `End`."""


class Start(NamedTuple):
    """What a new optimizer is given.

    Attributes:
        x0: Starting point in the unit cube, shape (dimension,).
        rng: The optimizer's own stream of random numbers; nothing else draws from it.
    """

    x0: Point
    rng: np.random.Generator


class AskTell:
    """One living optimizer.

    Call `ask` and `tell` in turns until `end` is set. `close` ends it at any moment and leaves nothing behind.
    """

    def __init__(self, steps: Steps) -> None:
        self.end: End | None = None
        self._steps = steps
        self._batch: Batch | None = None
        self._awaits_tell = False
        self._advance(None)

    def ask(self) -> Batch:
        """The next points to evaluate.

        Raises:
            OutOfOrderError: The losses of the last `ask` were not told yet, or the optimizer has ended.
        """
        if self._awaits_tell:
            raise OutOfOrderError("ask() was called twice in a row; call tell() with the losses of the first")
        if self._batch is None:
            raise OutOfOrderError(f"ask() was called on an optimizer that has ended ({self._why_over()})")
        self._awaits_tell = True
        return self._batch

    def tell(self, losses: Sequence[float]) -> None:
        """Hand back the losses of the whole batch of the last `ask`.

        Args:
            losses: One for each point, in the order asked; dimensionless; inf for every outcome but `ok`. `Answers`
                say where they were evaluated; others were where it was asked.

        Raises:
            OutOfOrderError: No `ask` came before.
            ValueError: Too many or too few losses.
        """
        if not self._awaits_tell or self._batch is None:
            raise OutOfOrderError("tell() was called without an ask() before it")
        asked = self._batch.points
        if len(losses) != len(asked):
            raise ValueError(f"tell() expected {len(asked)} losses, got {len(losses)}")
        self._awaits_tell = False
        self._advance(losses if isinstance(losses, Answers) else Answers(losses, asked))

    def close(self) -> None:
        """Stop at once, wherever the algorithm stands. Idempotent."""
        self._batch = None
        self._awaits_tell = False
        self._steps.close()

    def _advance(self, answers: Answers | None) -> None:
        try:
            self._batch = next(self._steps) if answers is None else self._steps.send(answers)
        except StopIteration as stop:
            self._batch = None
            self.end = stop.value
        except Exception:  # noqa: BLE001  an algorithm's fault ends that optimizer, never the run
            self._batch = None
            self.end = End(EndKind.CRASHED, traceback.format_exc())

    def _why_over(self) -> str:
        return self.end.kind if self.end else "it was closed"
