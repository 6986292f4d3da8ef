"""The parameter space: physical values outside, the unit cube inside.

Optimizers, distances and step sizes live in the unit cube of the *free* parameters; losses, stores and people see
physical values of all of them. A parameter that is not active keeps its initial value, one with a tie follows others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from optim.errors import ExpressionError, SpaceError
from optim.expression import Expression
from optim.options import Options


class Parameter(Options):
    """One parameter of a problem. A free one needs `initial`, `lower` and `upper`."""

    name: str
    """What tables and files call it."""
    initial: float | None = None
    """The value that people start from, in `unit`."""
    lower: float | None = None
    """The smallest allowed value, in `unit`."""
    upper: float | None = None
    """The largest allowed value, in `unit`."""
    scale: Literal["linear", "log"] = "linear"
    """How optimizers see it: proportional to the value, or to its logarithm."""
    unit: str = ""
    """The unit of its values; empty: dimensionless."""
    active: bool = True
    """Whether it is varied; otherwise it keeps its initial value."""
    tie: str = ""
    """What it equals instead of being varied, as `2*a`; its bounds, if it has any, are then constraints."""

    @property
    def is_free(self) -> bool:
        """Whether optimizers vary it."""
        return self.active and not self.tie

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.name or not self.name.isprintable() or self.name != self.name.strip():
            raise SpaceError(f"the name {self.name!r} is not allowed; use printable characters")
        lower, upper, initial = self.lower, self.upper, self.initial
        if lower is not None and upper is not None:
            if not lower < upper:
                raise SpaceError(f"lower ({lower:g}) must be below upper ({upper:g})")
            if not np.isfinite(upper - lower):
                raise SpaceError(f"the range {lower:g} to {upper:g} is too wide for a float")
        if initial is not None and not self.tie and not self.holds(initial):
            raise SpaceError(f"initial ({initial:g}) must lie within its bounds, {self.bounds}")
        if self.scale == "log" and lower is not None and lower <= 0:
            raise SpaceError(f"lower ({lower:g}) must be positive on a log scale")
        if self.tie and not self.active:
            raise SpaceError("it is either tied or not active; leave out one of the two")
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that what a run file leaves out of a problem's own parameter is left alone after a detour through JSON.
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}

    @property
    def missing(self) -> tuple[str, ...]:
        """What it would need to be part of a space, and was not given."""
        if self.tie:
            return ()
        needed = ("initial", "lower", "upper") if self.active else ("initial",)
        return tuple(name for name in needed if getattr(self, name) is None)

    @property
    def bounds(self) -> str:
        """Its range, in words."""
        lower = "-inf" if self.lower is None else f"{self.lower:g}"
        upper = "inf" if self.upper is None else f"{self.upper:g}"
        return f"{lower} to {upper}"

    def holds(self, value: float) -> bool:
        """Whether a value lies within its bounds."""
        return (self.lower is None or value >= self.lower) and (self.upper is None or value <= self.upper)

    def changed_by(self, other: Parameter) -> Parameter:
        """This parameter with everything that was given for the other one.

        Raises:
            SpaceError: What results is contradictory.
        """
        changed = {**self.model_dump(), **other.model_dump()}
        if other.tie and "active" not in other.model_fields_set:
            changed.pop("active", None)
        if "tie" not in other.model_fields_set and other.model_fields_set & {"active", "initial"}:
            changed.pop("tie", None)
        try:
            return Parameter.model_validate(changed)
        except ValidationError as error:
            raise SpaceError("; ".join(str(fault["ctx"]["error"]) for fault in error.errors())) from None


class Space:
    """An ordered set of parameters, and the map between the unit cube and physical values.

    Args:
        parameters: At least one of them free; names must differ.
        constraints: Conditions on physical values, as `rmin > 2*sigma`.

    Raises:
        SpaceError: No free parameter, two of one name, one without its bounds, or ties in a circle.
        ExpressionError: A tie or a constraint cannot be read, or has a name that is not there.
    """

    def __init__(self, parameters: Iterable[Parameter], constraints: Iterable[str] = ()) -> None:
        self.parameters = tuple(parameters)
        self._check_parameters()
        self.constraints = tuple(constraints)
        self._conditions = [Expression(text, self.names, is_condition=True) for text in self.constraints]
        self._ties = self._sorted_ties()
        self._watched = [
            (at, parameter)
            for at, parameter in enumerate(self.parameters)
            if parameter.tie and (parameter.lower is not None or parameter.upper is not None)
        ]
        self._is_free = np.array([parameter.is_free for parameter in self.parameters])
        self._all_free = bool(self._is_free.all())
        self.free = tuple(parameter for parameter in self.parameters if parameter.is_free)
        self._lower = np.array([parameter.lower for parameter in self.free], dtype=np.float64)
        self._upper = np.array([parameter.upper for parameter in self.free], dtype=np.float64)
        self._log = np.array([parameter.scale == "log" for parameter in self.free])
        self._has_log = bool(self._log.any())
        self._low = self._scaled(self._lower)
        self._width = self._scaled(self._upper) - self._low
        self._template = np.array([parameter.initial for parameter in self.parameters], dtype=np.float64)
        # Rounding is monotonic: on linear scales nothing gets below `low`, or above what 1 becomes.
        self._may_exceed = self._has_log or bool((self._low + self._width > self._upper).any())

    @property
    def dimension(self) -> int:
        """How many free parameters there are: of the unit cube."""
        return len(self.free)

    @property
    def size(self) -> int:
        """How many parameters there are: of a physical point."""
        return len(self.parameters)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def initial(self) -> NDArray[np.float64]:
        """The initial point in physical units, shape (size,)."""
        return self._completed(self._template[self._is_free])

    @cached_property
    def initial_point(self) -> NDArray[np.float64]:
        """The initial point in the unit cube, shape (dimension,)."""
        return self.to_unit(self.initial)

    def to_physical(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Physical values of a point in the unit cube; free ones never outside the bounds.

        Args:
            u: Shape (dimension,), each coordinate in [0, 1].

        Returns:
            Shape (size,); a tie that has no value there is nan.
        """
        x = self._low + self._width * u
        if self._has_log:
            np.exp(x, out=x, where=self._log)
        if self._may_exceed:
            np.maximum(x, self._lower, out=x)
            np.minimum(x, self._upper, out=x)
        return x if self._all_free else self._completed(x)

    def to_unit(self, x: ArrayLike) -> NDArray[np.float64]:
        """The point of the unit cube that belongs to physical values; those that are not free are ignored.

        Args:
            x: Shape (size,), physical units.

        Raises:
            SpaceError: Wrong shape, or outside the bounds.
        """
        values = np.asarray(x, dtype=np.float64)
        if values.shape != (self.size,):
            raise SpaceError(f"a point has shape ({self.size},), got {values.shape}")
        values = values[self._is_free]
        for parameter, value in zip(self.free, values, strict=True):
            if not parameter.holds(value):
                raise SpaceError(f"{parameter.name} = {value:g} is outside its bounds, {parameter.bounds}")
        return np.clip((self._scaled(values) - self._low) / self._width, 0.0, 1.0)

    def named(self, x: NDArray[np.float64]) -> Mapping[str, float]:
        """Physical values by parameter name."""
        return dict(zip(self.names, map(float, x), strict=True))

    def places(self, names: Sequence[str]) -> NDArray[np.intp] | None:
        """Where parameters are in a point of the unit cube; None: no names were given, so all of them.

        Raises:
            SpaceError: One of them is not there, not free, or named twice.
        """
        if not names:
            return None
        free = [parameter.name for parameter in self.free]
        for place, name in enumerate(names):
            if name not in free:
                raise SpaceError(f"{name!r} is no free parameter; there are {', '.join(free)}")
            if name in names[:place]:
                raise SpaceError(f"{name!r} is named twice")
        return np.array([free.index(name) for name in names])

    def violation(self, x: NDArray[np.float64]) -> str:
        """The first constraint that a physical point violates, in words; empty: none.

        Args:
            x: Shape (size,), as `to_physical` gives it.
        """
        if not self._conditions and not self._ties:
            return ""
        values = x.tolist()
        for at, tie in self._ties:
            if values[at] != values[at]:
                return f"{self.names[at]} = {tie.text} has no value there"
        for at, parameter in self._watched:
            if not parameter.holds(values[at]):
                return f"{parameter.name} = {values[at]:g} is outside its bounds, {parameter.bounds}"
        for condition in self._conditions:
            if condition(values) is not True:
                return f"violates {condition.text}"
        return ""

    def on_bounds(self, x: NDArray[np.float64], within: float = 1e-6) -> Iterator[tuple[Parameter, str]]:
        """The free parameters whose values lie on a bound, each with `lower` or `upper`.

        Args:
            x: Shape (size,), physical units.
            within: How near counts, of the range.
        """
        for parameter, u in zip(self.free, self.to_unit(x), strict=True):
            if u <= within or u >= 1 - within:
                yield parameter, "lower" if u <= within else "upper"

    def _completed(self, free: NDArray[np.float64]) -> NDArray[np.float64]:
        x = self._template.copy()
        x[self._is_free] = free
        if self._ties:
            values = x.tolist()
            for at, tie in self._ties:
                values[at] = tie(values)
            x = np.array(values)
        return x

    def _check_parameters(self) -> None:
        if not self.parameters:
            raise SpaceError("a space needs at least one parameter")
        names = [parameter.name for parameter in self.parameters]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SpaceError(f"parameter names must differ; given more than once: {', '.join(twice)}")
        for parameter in self.parameters:
            if parameter.missing:
                raise SpaceError(f"parameter {parameter.name} needs {' and '.join(parameter.missing)}")
        if not any(parameter.is_free for parameter in self.parameters):
            raise SpaceError("no parameter is free: at least one must be active and not tied")

    def _sorted_ties(self) -> list[tuple[int, Expression]]:
        """Each tie with its place, those that others follow first."""
        ties: dict[int, Expression] = {}
        for at, parameter in enumerate(self.parameters):
            if parameter.tie:
                try:
                    ties[at] = Expression(parameter.tie, self.names, is_condition=False)
                except ExpressionError as error:
                    raise ExpressionError(f"the tie of {parameter.name}: {error}") from None
        order = TopologicalSorter({at: tie.uses & ties.keys() for at, tie in ties.items()})
        try:
            return [(at, ties[at]) for at in order.static_order()]
        except CycleError as error:
            circle = " -> ".join(self.names[at] for at in error.args[1])
            raise SpaceError(f"ties go in a circle: {circle}") from None

    def _scaled(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._has_log:
            return x
        scaled = x.copy()
        np.log(x, out=scaled, where=self._log)
        return scaled
