"""The in-process lane: no Prefect, no Dask, the loss called here."""

from __future__ import annotations

from flows.interruption import interruptible
from flows.outlook import Outlook
from flows.run import RunRequest, RunResult, opened_run
from optim.in_process import drive
from optim.problem import Loss


def run_in_process(request: RunRequest, loss: Loss, outlook: Outlook) -> RunResult:
    """Run in this process, one evaluation after the other, until the run ends or a signal asks it to stop.

    Raises:
        StoreError: The name is taken or not allowed, or the run cannot be written.
    """
    with interruptible() as interruption, opened_run(request, "in-process", outlook) as run:
        drive(run.session, loss, interruption)
    return run.result(interruption())
