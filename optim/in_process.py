"""The in-process driver: every evaluation here and now, one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optim.errors import ProblemError
from optim.evaluation import evaluate_loss
from optim.problem import Loss
from optim.session import Session

WORKER = "in-process"
"""What the journal calls this process."""


def _no_validation(x: NDArray[np.float64]) -> float:
    raise ProblemError("the run wants a validation loss, and its driver was given none")


def drive(session: Session, loss: Loss, validation: Loss = _no_validation) -> None:
    """Evaluate whatever the session asks for, until it has nothing more to give out.

    Args:
        session: One that has begun; `session.halt` interrupts it.
        loss: Called with points in physical units.
        validation: The validation loss, for runs that have one.
    """
    clock = session.clock
    while submit := session.next():
        started_s = clock()
        # In no local variable: what a loss raised has its callers in its traceback, so it would be a cycle with the
        # session in it. That is collected in any thread, and greenlets can end only in their own.
        session.hand_back(
            submit.came_to(
                evaluate_loss(validation if submit.validates else loss, submit.x), started_s, clock(), WORKER
            )
        )
        session.tick()
