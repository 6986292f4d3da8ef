"""The in-process lane: no Prefect, no Dask, the loss called here."""

from __future__ import annotations

from flows.interruption import INTERRUPTED, GivenUp, interruptible
from flows.reports.outlook import Outlook
from flows.run import RunRequest, RunResult, opened_run
from optim.in_process import drive
from optim.problem import Loss
from tasks.loss import load_loss

OUTLIVED = "walltime: it ended while an evaluation ran"


def run_in_process(request: RunRequest, loss: Loss, outlook: Outlook) -> RunResult:
    """Run in this process, one evaluation after the other, until the run or the session ends, or a signal asks to stop.

    An evaluation that takes longer than the walltime, or than whoever sent SIGTERM waits, is given up.

    Args:
        request: What to run; its validation loss, if there is one, is loaded by its name.
        loss: Called with points in physical units.
        outlook: How people follow it.

    Raises:
        StoreError: The name is taken or not allowed, or the run cannot be written.
    """
    with interruptible() as interruption, opened_run(request, "in-process", outlook) as run:
        interruption.on_request(lambda: run.session.halt(INTERRUPTED))
        interruption.on_request(lambda: interruption.give_up_within(interruption.patience_s))
        interruption.give_up_within(run.session.patience_s)
        validation = request.settings.validation
        losses = [loss] if validation is None else [loss, load_loss(validation.problem, request.code_folder)]
        try:
            drive(run.session, *losses)
        except GivenUp:
            run.session.halt(run.session.halted or OUTLIVED)
            run.logger.warning("The evaluation that ran is given up; a resume makes it again")
        finally:
            interruption.end()
    return run.result(interruption())
