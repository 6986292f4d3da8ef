"""The in-process lane: no Prefect, no Dask, the loss called here."""

from __future__ import annotations

from flows.interruption import interruptible
from flows.reports.outlook import Outlook
from flows.run import RunRequest, RunResult, opened_run
from optim.in_process import drive
from optim.problem import Loss
from tasks.loss import load_loss


def run_in_process(request: RunRequest, loss: Loss, outlook: Outlook) -> RunResult:
    """Run in this process, one evaluation after the other, until the run ends or a signal asks it to stop.

    Args:
        request: What to run; its validation loss, if there is one, is loaded by its name.
        loss: Called with points in physical units.
        outlook: How people follow it.

    Raises:
        StoreError: The name is taken or not allowed, or the run cannot be written.
    """
    with interruptible() as interruption, opened_run(request, "in-process", outlook) as run:
        interruption.on_request(run.session.halt)
        validation = request.settings.validation
        if validation is None:
            drive(run.session, loss)
        else:
            drive(run.session, loss, load_loss(validation.problem, request.code_folder))
    return run.result(interruption())
