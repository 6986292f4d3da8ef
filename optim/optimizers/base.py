"""What every optimizer block is: its settings, and how a fresh one is started."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from optim.ask_tell import Answers, AskTell, Batch, Point, Start, Steps
from optim.options import Policy


class Optimizer(Policy, ABC):
    """Settings of one optimizer block; `start` makes a living optimizer of it.

    A new one is one file in this folder with a subclass that has `steps` and `warm_up`.
    """

    may_converge: ClassVar[bool] = True
    """Whether it has criteria of convergence; one without only gives up, or is stopped."""

    label: str = ""
    """A name for this block, for tables, plots and `OptimizerType`; empty: the type's own."""
    parameters: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Names of the parameters that it moves, the others stay where it starts; by default it moves all."""

    @property
    def title(self) -> str:
        """The label, or what tells this block from others when none is given."""
        return self.label or self.type_name()

    @property
    def is_deterministic(self) -> bool:
        """Whether two that start at one point do the same."""
        return False

    @abstractmethod
    def steps(self, start: Start) -> Steps:
        """The algorithm, as a generator of batches that is sent their losses."""

    @abstractmethod
    def warm_up(self, dimension: int) -> int:
        """How many calls it needs for a first look round (a simplex, a generation), before stoppers judge."""

    def fault(self, dimension: int) -> str:
        """Why it cannot search a space of that dimension; empty: it can."""
        return ""

    def start(self, start: Start, places: NDArray[np.intp] | None = None) -> AskTell:
        """A living optimizer at `start.x0`, which is one of the points of its first batch.

        Args:
            start: Where, and with which random numbers.
            places: The coordinates that it moves; None: all.
        """
        return AskTell(self.steps(start) if places is None else self._steps_in_part(start, places))

    def _steps_in_part(self, start: Start, places: NDArray[np.intp]) -> Steps:
        def whole(part: Point) -> Point:
            point = start.x0.copy()
            point[places] = part
            return point

        steps = self.steps(start._replace(x0=start.x0[places]))
        try:
            batch = next(steps)
            while True:
                answers = yield Batch([whole(part) for part in batch.points], batch.probes)
                batch = steps.send(Answers(answers, [point[places] for point in answers.points]))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        finally:
            steps.close()
