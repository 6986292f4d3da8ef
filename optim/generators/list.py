"""Start optimizers where people say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from optim.ask_tell import Point
from optim.errors import SpaceError
from optim.generators.base import Generator
from optim.space import Space
from optim.views import RunView

Row = Annotated[tuple[float, ...], Field(strict=False)]


class List(Generator):
    """Listed points in turn, and then from the first again."""

    points: Annotated[tuple[Row | dict[str, float], ...], Field(strict=False, min_length=1)]
    """Each the values of all parameters in their order, or a table of some; the others keep their initial values.
    In physical units."""

    def point(self, space: Space, run: RunView, rng: np.random.Generator) -> Point:
        """See the class."""
        turn = run.starts(self.type_name()).number % len(self.points)
        return space.to_unit(_values(self.points[turn], space))

    def fault(self, space: Space) -> str:
        """Points must have the parameters of the space, and lie within its bounds."""
        return "; ".join(self._faults(space))

    def _faults(self, space: Space) -> Iterator[str]:
        for number, row in enumerate(self.points, start=1):
            try:
                space.to_unit(_values(row, space))
            except SpaceError as error:
                yield f"point {number}: {error}"


def _values(row: tuple[float, ...] | Mapping[str, float], space: Space) -> list[float]:
    if not isinstance(row, Mapping):
        return list(row)
    unknown = [name for name in row if name not in space.names]
    if unknown:
        raise SpaceError(f"{', '.join(unknown)} is no parameter; there are {', '.join(space.names)}")
    return list({**space.named(space.initial), **row}.values())
