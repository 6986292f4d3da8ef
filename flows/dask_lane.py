"""The Dask driver: every evaluation a Prefect task run on a worker, a bounded number of them at once."""

from __future__ import annotations

import queue
from collections import deque

from prefect import Task
from prefect_dask.task_runners import PrefectDaskFuture

from flows.interruption import INTERRUPTED, Interruption
from flows.run import OpenRun
from flows.settings import RunSettings
from flows.task_runner import SharedContextTaskRunner
from flows.worker_watch import PER_THREAD, InFlightLimit, WorkerWatch
from optim.messages import Submit
from optim.walltime import REMEMBERED
from tasks.attempts import Attempts
from tasks.evaluate import evaluate, take_evaluation, validate
from tasks.evaluation import Evaluation

PULSE_S = 5.0
"""While nothing comes back, the lane looks this often whether scheduler and workers are still there."""

_WAKE = None
_Done = tuple[Attempts, PrefectDaskFuture[Evaluation]] | None


class DaskLane:
    """Feeds a session from Dask workers.

    Args:
        run: What is worked on.
        settings: Of the run.
        code_folder: Where user code is looked for besides installed packages.
        runner: Started, inside a flow run.

    Attributes:
        sent: How many task runs it has started.
    """

    def __init__(
        self,
        run: OpenRun,
        settings: RunSettings,
        code_folder: str | None,
        runner: SharedContextTaskRunner,
    ) -> None:
        self._run = run
        self._problem = settings.problem
        self._validation = settings.validation.problem if settings.validation else ""
        self._isolation = settings.isolation
        self._retries = settings.evaluation.retries
        self.sent = 0
        self._code_folder = code_folder
        self._runner = runner
        self._watch = WorkerWatch(runner, run.logger)
        self._took_s: deque[float] = deque([0.0], maxlen=REMEMBERED)
        self._limit = InFlightLimit(settings.evaluation.max_in_flight, settings.cluster, runner)
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()

    def drive(self, interruption: Interruption) -> None:
        """Evaluate whatever the session asks for, until the run or the session ends, or a signal asks it to stop.

        What is in flight then is waited for and recorded, as long as the interruption and the walltime allow. What has
        not come back by then stays in flight: a resume sends it again.

        Raises:
            ClusterLostError: The scheduler went away.
        """
        session = self._run.session
        interruption.on_request(lambda: session.halt(INTERRUPTED))
        interruption.on_request(lambda: self._done.put(_WAKE))
        while True:
            self._watch.look(PER_THREAD * max(self._took_s))
            while session.in_flight < self._limit() and (submit := session.next()):
                self._send(Attempts(submit))
            patience_s = min(interruption.patience_s, session.patience_s)
            if not session.in_flight or not patience_s:
                return
            done = self._wait(min(session.next_deadline_s - session.clock(), patience_s, PULSE_S))
            if done is not _WAKE:
                self._take(*done)
            session.tick()

    def _wait(self, at_most_s: float) -> _Done:
        try:
            return self._done.get(timeout=max(0.0, at_most_s))
        except queue.Empty:
            return _WAKE

    def _send(self, attempts: Attempts) -> None:
        self.sent += 1
        submit = attempts.submit
        future: PrefectDaskFuture[Evaluation] = self._runner.submit(
            self._task(submit),
            {
                "problem": self._validation if submit.validates else self._problem,
                "folder": self._code_folder,
                "optimizer": submit.optimizer,
                "call": submit.call,
                "x": submit.x.tolist(),
                "isolation": self._isolation,
            },
        )
        future.add_done_callback(lambda _: self._done.put((attempts, future)))

    def _take(self, attempts: Attempts, future: PrefectDaskFuture[Evaluation]) -> None:
        """An attempt has ended: hand back what came of it, or try again."""
        evaluation, submit = take_evaluation(future), attempts.submit
        if not evaluation.worker:  # nobody was left to tell the server
            name = self._task(submit).task_run_name
            self._runner.mark_crashed(
                self._task(submit),
                future.task_run_id,
                str(name).format(optimizer=submit.optimizer, call=submit.call),
                evaluation.text,
            )
        if evaluation.finished_s > evaluation.started_s:  # neither is nan
            self._took_s.append(evaluation.finished_s - evaluation.started_s)
        attempts = attempts.and_(evaluation)
        if attempts.may_go_on(evaluation.outcome, self._retries):
            self._send(attempts)
        else:
            self._run.session.hand_back(attempts.concluded(evaluation, self._run.began_at))

    def _task(self, submit: Submit) -> Task[..., Evaluation]:
        return validate if submit.validates else evaluate
