"""Local runs: no Prefect, no Dask, the loss called here or in processes of this machine."""

from __future__ import annotations

from flows.lanes.interruption import INTERRUPTED, GivenUp, interruptible
from flows.lanes.process_lane import ProcessLane
from flows.reports.outlook import Outlook
from flows.run.opened import RunRequest, RunResult, opened_run
from optim.in_process import drive
from optim.problem import Loss
from tasks.loss import load_loss

OUTLIVED = "walltime: it ended while an evaluation ran"


def run_in_process(request: RunRequest, outlook: Outlook, loss: Loss | None = None) -> RunResult:
    """Run on this machine until the run or the session ends, or a signal asks to stop.

    Losses are evaluated here, one after the other, or several at once in processes of their own. An evaluation that
    takes longer than the walltime, or than whoever sent SIGTERM waits, is given up.

    Args:
        request: What to run.
        outlook: How people follow it.
        loss: Called with points in physical units; None: the one that the settings name. A loss that other processes
            evaluate, and a validation loss, are always loaded by name.

    Raises:
        ProblemError: The loss cannot be imported.
        StoreError: The name is taken or not allowed, or the run cannot be written.
    """
    settings = request.settings
    losses = [] if settings.local_processes else _losses(request, loss)
    with interruptible() as interruption, opened_run(request, "in-process", outlook) as run:
        interruption.on_request(lambda: run.session.halt(INTERRUPTED))
        try:
            if settings.local_processes:
                ProcessLane(run, settings, request.code_folder).drive(interruption)
            else:
                interruption.on_request(lambda: interruption.give_up_within(interruption.patience_s))
                interruption.give_up_within(run.session.patience_s)
                drive(run.session, *losses)
        except GivenUp:
            run.session.halt(run.session.halted or OUTLIVED)
        finally:
            interruption.end()
        if run.session.in_flight:
            run.logger.warning("What was being evaluated is given up; a resume evaluates it again")
    return run.result(interruption())


def _losses(request: RunRequest, loss: Loss | None) -> list[Loss]:
    """The loss, and the validation loss if there is one."""
    entry_points = list(request.settings.entry_points.values())
    if loss is None:
        return [load_loss(entry_point, request.code_folder) for entry_point in entry_points]
    return [loss, *(load_loss(entry_point, request.code_folder) for entry_point in entry_points[1:])]
