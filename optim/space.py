"""The parameter space: physical values outside, the unit cube inside.

Optimizers, distances and step sizes live in the unit cube; losses, stores and people see physical values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator

from optim.errors import SpaceError
from optim.options import Options


class Parameter(Options):
    """One parameter of a problem."""

    name: str
    """What tables and files call it."""
    initial: float
    """The value that people start from, in `unit`."""
    lower: float
    """The smallest allowed value, in `unit`."""
    upper: float
    """The largest allowed value, in `unit`."""
    scale: Literal["linear", "log"] = "linear"
    """How optimizers see it: proportional to the value, or to its logarithm."""
    unit: str = ""
    """The unit of its values; empty: dimensionless."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.name or not self.name.isprintable() or self.name != self.name.strip():
            raise SpaceError(f"the name {self.name!r} is not allowed; use printable characters")
        if not self.lower < self.upper:
            raise SpaceError(f"lower ({self.lower:g}) must be below upper ({self.upper:g})")
        if not self.lower <= self.initial <= self.upper:
            raise SpaceError(
                f"initial ({self.initial:g}) must lie within its bounds, {self.lower:g} to {self.upper:g}"
            )
        if self.scale == "log" and self.lower <= 0:
            raise SpaceError(f"lower ({self.lower:g}) must be positive on a log scale")
        if not np.isfinite(self.upper - self.lower):
            raise SpaceError(f"the range {self.lower:g} to {self.upper:g} is too wide for a float")
        return self


class Space:
    """An ordered set of parameters, and the map between the unit cube and physical values.

    Args:
        parameters: At least one; names must differ.

    Raises:
        SpaceError: No parameter, or two of one name.
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters = tuple(parameters)
        if not self.parameters:
            raise SpaceError("a space needs at least one parameter")
        names = [parameter.name for parameter in self.parameters]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SpaceError(f"parameter names must differ; given more than once: {', '.join(twice)}")
        self._lower = np.array([parameter.lower for parameter in self.parameters])
        self._upper = np.array([parameter.upper for parameter in self.parameters])
        self._log = np.array([parameter.scale == "log" for parameter in self.parameters])
        self._has_log = bool(self._log.any())
        self._low = self._scaled(self._lower)
        self._width = self._scaled(self._upper) - self._low

    @property
    def dimension(self) -> int:
        """How many parameters there are."""
        return len(self.parameters)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def initial(self) -> NDArray[np.float64]:
        """The initial point in physical units, shape (dimension,)."""
        return np.array([parameter.initial for parameter in self.parameters])

    def to_physical(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Physical values of a point in the unit cube; never outside the bounds.

        Args:
            u: Shape (dimension,), each coordinate in [0, 1].
        """
        x = self._low + self._width * u
        if self._has_log:
            np.exp(x, out=x, where=self._log)
        np.maximum(x, self._lower, out=x)
        np.minimum(x, self._upper, out=x)
        return x

    def to_unit(self, x: ArrayLike) -> NDArray[np.float64]:
        """The point of the unit cube that belongs to physical values.

        Args:
            x: Shape (dimension,), physical units.

        Raises:
            SpaceError: Wrong shape, or outside the bounds.
        """
        values = np.asarray(x, dtype=np.float64)
        if values.shape != (self.dimension,):
            raise SpaceError(f"a point has shape ({self.dimension},), got {values.shape}")
        for parameter, value in zip(self.parameters, values, strict=True):
            if not parameter.lower <= value <= parameter.upper:
                raise SpaceError(
                    f"{parameter.name} = {value:g} is outside its bounds,"
                    f" {parameter.lower:g} to {parameter.upper:g}"
                )
        return np.clip((self._scaled(values) - self._low) / self._width, 0.0, 1.0)

    def named(self, x: NDArray[np.float64]) -> Mapping[str, float]:
        """Physical values by parameter name."""
        return dict(zip(self.names, map(float, x), strict=True))

    def _scaled(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._has_log:
            return x
        scaled = x.copy()
        np.log(x, out=scaled, where=self._log)
        return scaled
