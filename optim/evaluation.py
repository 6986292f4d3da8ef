"""One call of a user's loss, and the typed outcome of whatever comes of it."""

from __future__ import annotations

import math
import os
import traceback
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from optim.errors import Interrupt
from optim.outcome import Outcome
from optim.problem import Loss

NAN = float("nan")
LONGEST_TEXT = 4000
"""Characters of what a loss raised that are kept."""

_copies = 0
"""How often the processes that led to this one were copied."""


def _count_copy() -> None:
    global _copies
    _copies += 1


os.register_at_fork(after_in_child=_count_copy)


class LossResult(NamedTuple):
    """What came of one call.

    Attributes:
        outcome: `OK`, `NONFINITE` or `EXCEPTION`.
        loss: What the loss returned; nan where it returned no number.
        text: What a person should know of a failure, on one line or a few; empty: nothing went wrong.
        traceback: Where a loss that raised did so; empty: it did not.
        error: What the loss raised; None: nothing. For this process only: nobody knows whether it pickles.
    """

    outcome: Outcome
    loss: float
    text: str = ""
    traceback: str = ""
    error: BaseException | None = None


INTERRUPTS = (KeyboardInterrupt, Interrupt)
"""What is raised in the middle of a loss, by no fault of its own, where signals are handled."""


def evaluate_loss(
    loss: Loss, x: ArrayLike, passing: tuple[type[BaseException], ...] = INTERRUPTS
) -> LossResult:
    """Call a loss; nothing that it returns or raises gets past this but interrupts.

    A copy of this process that the loss has made, by `os.fork`, ends here: it would go on as a second one of us.

    Args:
        loss: Called with an array of its own, which it may change.
        x: Shape (dimension,), physical units.
        passing: The interrupts; none where no signal is for us.
    """
    copies = _copies
    try:
        returned = loss(np.array(x, dtype=np.float64))
        if type(returned) is not float:
            returned = _real_number(returned)
    except passing:
        raise
    except BaseException as error:  # noqa: BLE001  a loss may raise anything; the run goes on
        return LossResult(Outcome.EXCEPTION, NAN, _text_of(error), traceback.format_exc(), error)
    finally:
        if _copies != copies:
            os._exit(0)
    if math.isfinite(returned):
        return LossResult(Outcome.OK, returned)
    return LossResult(Outcome.NONFINITE, returned, f"the loss returned {returned}")


def _text_of(error: BaseException) -> str:
    """What a person reads of it, short enough and in characters that any store takes."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001  its class is the user's, too
        message = ""
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ... ({len(text)} characters)"


def _real_number(returned: Any) -> float:
    """The one number in what a loss returned.

    Raises:
        TypeError: It is not one real number.
    """
    if returned is None:
        raise TypeError("the loss returned None; it must return one real number")
    number = returned
    if getattr(returned, "shape", None) is not None:  # numpy's arrays and scalars, and what works like them
        array = np.ma.filled(returned, NAN)  # as an array; what is masked is no number
        if array.size != 1:
            raise TypeError(
                f"the loss returned an array of shape {array.shape}; it must return one real number"
            )
        number = array.item()
    if isinstance(number, bool) or not isinstance(number, Real):
        raise TypeError(f"the loss returned {_shown(returned)}; it must return one real number")
    return float(number)


def _shown(returned: Any) -> str:
    value = repr(returned)
    return f"{type(returned).__name__} {value if len(value) <= 60 else value[:57] + '...'}"
