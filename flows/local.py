"""The in-process lane: no Prefect, no Dask, the loss called here; or, isolated, in a child process."""

from __future__ import annotations

from flows.interruption import INTERRUPTED, GivenUp, interruptible
from flows.reports.outlook import Outlook
from flows.run import OpenRun, RunRequest, RunResult, opened_run
from flows.settings import RunSettings
from optim.in_process import drive, drive_by
from optim.messages import Evaluated, Submit, Validated
from optim.problem import Loss
from tasks.attempts import Attempts
from tasks.child import Child, Isolation
from tasks.loss import load_loss

OUTLIVED = "walltime: it ended while an evaluation ran"


def run_in_process(request: RunRequest, outlook: Outlook, loss: Loss | None = None) -> RunResult:
    """Run in this process, one evaluation after the other, until the run or the session ends, or a signal asks to stop.

    An evaluation that takes longer than the walltime, or than whoever sent SIGTERM waits, is given up.

    Args:
        request: What to run.
        outlook: How people follow it.
        loss: Called with points in physical units; None: the one that the settings name. An isolated loss, and a
            validation loss, are always loaded by name.

    Raises:
        ProblemError: The loss cannot be imported.
        StoreError: The name is taken or not allowed, or the run cannot be written.
    """
    isolation = request.settings.isolation
    losses = [] if isolation else _losses(request, loss)
    with interruptible() as interruption, opened_run(request, "in-process", outlook) as run:
        interruption.on_request(lambda: run.session.halt(INTERRUPTED))
        interruption.on_request(lambda: interruption.give_up_within(interruption.patience_s))
        interruption.give_up_within(run.session.patience_s)
        try:
            if isolation:
                _drive_isolated(run, request.settings, request.code_folder, isolation)
            else:
                drive(run.session, *losses)
        except GivenUp:
            run.session.halt(run.session.halted or OUTLIVED)
            run.logger.warning("The evaluation that ran is given up; a resume makes it again")
        finally:
            interruption.end()
    return run.result(interruption())


def _losses(request: RunRequest, loss: Loss | None) -> list[Loss]:
    """The loss, and the validation loss if there is one."""
    entry_points = list(request.settings.entry_points.values())
    if loss is None:
        return [load_loss(entry_point, request.code_folder) for entry_point in entry_points]
    return [loss, *(load_loss(entry_point, request.code_folder) for entry_point in entry_points[1:])]


def _drive_isolated(
    run: OpenRun, settings: RunSettings, code_folder: str | None, isolation: Isolation
) -> None:
    validation = settings.validation.problem if settings.validation else ""

    def evaluated(submit: Submit) -> Evaluated | Validated:
        entry_point = validation if submit.validates else settings.problem
        attempts = Attempts(submit)
        while True:
            evaluation, _ = child.evaluate(entry_point, code_folder, submit.x.tolist())
            attempts = attempts.and_(evaluation)
            if not attempts.may_go_on(evaluation.outcome, settings.evaluation.retries):
                return attempts.concluded(evaluation, run.began_at)

    with Child(isolation) as child:
        drive_by(run.session, evaluated)
