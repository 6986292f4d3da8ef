"""One evaluation of a loss that is known by its name, as plain data that any process can read."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from optim.errors import ProblemError
from optim.evaluation import LossResult, evaluate_loss
from optim.outcome import Outcome
from tasks.loss import load_loss

NAN = float("nan")


class Evaluation(NamedTuple):
    """What came of one evaluation.

    Attributes:
        outcome: How it ended.
        loss: What the loss returned; nan where it returned no number.
        text: What a person should know of a failure; empty: nothing went wrong.
        started_s: When the loss itself was called, seconds since the epoch; nan: it never was.
        finished_s: When it ended.
        worker: Host and process id of who called it; empty: nobody was left to say.
        attempts: How often it was tried.
    """

    outcome: Outcome
    loss: float
    text: str = ""
    started_s: float = NAN
    finished_s: float = NAN
    worker: str = ""
    attempts: int = 1


def evaluate_here(
    entry_point: str, folder: str | None, x: list[float], on_call: Callable[[], object] = lambda: None
) -> tuple[Evaluation, BaseException | None]:
    """Evaluate a loss in this process.

    Args:
        entry_point: Of the problem, `module:attribute`.
        folder: Where user code is looked for besides installed packages; None: nowhere else.
        x: The point, physical units.
        on_call: Called when the loss is loaded and about to be called.

    Returns:
        What came of it, and what was raised; None: nothing.
    """
    started_s = time.time()
    try:
        loss = load_loss(entry_point, folder)
    except ProblemError as error:
        result = LossResult(Outcome.EXCEPTION, NAN, f"{type(error).__name__}: {error}", error=error)
    else:
        on_call()
        started_s = time.time()
        result = evaluate_loss(loss, x, passing=())
    return (
        Evaluation(
            result.outcome, result.loss, result.text, started_s, time.time(), name_of_process(os.getpid())
        ),
        result.error,
    )


def name_of_process(pid: int) -> str:
    """How the journal calls a process of this machine."""
    return f"{socket.gethostname()}/{pid}"
