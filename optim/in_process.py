"""The in-process driver: every evaluation here and now, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from optim.evaluation import evaluate_loss
from optim.messages import Evaluated
from optim.problem import Loss
from optim.session import Session

WORKER = "in-process"
"""What the journal calls this process."""


def drive(session: Session, loss: Loss, is_interrupted: Callable[[], bool] = lambda: False) -> None:
    """Evaluate whatever the session asks for, until the run ends or somebody interrupts it.

    Args:
        session: One that has begun.
        loss: Called with points in physical units.
        is_interrupted: Asked after every evaluation.
    """
    clock = session.clock
    while not is_interrupted():
        submit = session.next()
        if submit is None:
            return
        started_s = clock()
        result = evaluate_loss(loss, submit.x)
        session.hand_back(
            Evaluated(
                submit.optimizer,
                submit.call,
                result.outcome,
                result.loss,
                started_s,
                clock(),
                WORKER,
                text=result.text,
            )
        )
