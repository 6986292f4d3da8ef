"""A problem: a loss to be made small, and the space of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optim.errors import ProblemError
from optim.space import Parameter, Space

Loss = Callable[[NDArray[np.float64]], Any]
"""`loss(x)`: x has shape (dimension,), physical units; returns one real number."""


class Problem:
    """A loss function together with its parameter space.

    Args:
        loss: Called with an array of shape (dimension,) in physical units; returns one real number.
        parameters: The space, in the order of the coordinates of `x`.
        name: What tables call it; empty: the name of the loss function.
        constraints: Conditions on physical values, as `rmin > 2*sigma`.

    Raises:
        ProblemError: `loss` is not callable.
        SpaceError: The parameters do not make a space.
        ExpressionError: A tie or a constraint cannot be read.
    """

    def __init__(
        self, loss: Loss, parameters: Iterable[Parameter], name: str = "", constraints: Iterable[str] = ()
    ) -> None:
        if not callable(loss):
            raise ProblemError(f"a loss must be a function of x, got {loss!r}")
        self.loss = loss
        self.space = Space(parameters, constraints)
        self.name = name or getattr(loss, "__name__", type(loss).__name__)

    def __call__(self, x: NDArray[np.float64]) -> Any:
        """The loss at `x`."""
        return self.loss(x)
