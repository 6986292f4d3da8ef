"""One call of a loss function, with its result as a typed outcome."""

from __future__ import annotations

import math
import numbers
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.outcome import Outcome
from optim.problem import Loss


class LossResult(NamedTuple):
    """What came of a loss function.

    Attributes:
        outcome: `OK`, `NONFINITE` or `EXCEPTION`.
        loss: As returned; nan where it was no number.
        text: What a person should know of a failure; empty: none.
        error: What was raised, if anything.
    """

    outcome: Outcome
    loss: float
    text: str = ""
    error: Exception | None = None


def evaluate_loss(loss: Loss, x: NDArray[np.float64]) -> LossResult:
    """Call a loss function; whatever it returns or raises becomes a result.

    Args:
        loss: Is given its own copy of `x`.
        x: Physical units, shape (dimension,).
    """
    try:
        value = as_number(loss(x.copy()))
    except Exception as error:  # noqa: BLE001  user code may raise anything
        return LossResult(Outcome.EXCEPTION, math.nan, f"{type(error).__name__}: {error}", error)
    if math.isfinite(value):
        return LossResult(Outcome.OK, value)
    return LossResult(Outcome.NONFINITE, value, f"the loss is {value}")


def as_number(value: Any) -> float:
    """A loss as a float: a real number, or an array that holds just one.

    Raises:
        TypeError: It is anything else.
    """
    if type(value) is float:
        return value
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    given = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
    shown = given if len(given) <= 60 else f"{given[:57]}..."
    raise TypeError(f"the loss returned {shown} ({type(value).__name__}); it must return one real number")
