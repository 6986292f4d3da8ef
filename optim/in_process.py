"""The in-process driver: every evaluation here and now, one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optim.errors import ProblemError
from optim.evaluation import LossResult, evaluate_loss
from optim.messages import Evaluated, Submit, Validated
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

    def evaluated(submit: Submit) -> Evaluated | Validated:
        started_s = clock()
        return told(submit, started_s, evaluate_loss(validation if submit.validates else loss, submit.x))

    # Not above: what a loss raised has its callers in its traceback, and in a local variable of one of them it would
    # be a cycle with the session in it. That is collected in any thread, and greenlets can end only in their own.
    def told(submit: Submit, started_s: float, result: LossResult) -> Evaluated | Validated:
        return submit.answered(result.outcome, result.loss, started_s, clock(), WORKER, text=result.text)

    while submit := session.next():
        session.hand_back(evaluated(submit))
        session.tick()
