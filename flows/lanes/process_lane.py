"""The driver for processes of this machine: no Prefect, no Dask, and a loss may do in them what it likes."""

from __future__ import annotations

from flows.lanes.interruption import GivenUp, Interruption
from flows.run.opened import OpenRun
from flows.settings import RunSettings
from tasks.attempts import Attempts
from tasks.child import Isolation
from tasks.children import Children


class ProcessLane:
    """Feeds a session from child processes, each of which evaluates one loss at a time.

    Nothing waits beside them: the next submission is there within a small part of a millisecond, and what is asked for
    later knows more.

    Args:
        run: What is worked on.
        settings: Of the run.
        code_folder: Where user code is looked for besides installed packages.
    """

    def __init__(self, run: OpenRun, settings: RunSettings, code_folder: str | None) -> None:
        self._run = run
        self._problem = settings.problem
        self._validation = settings.validation.problem if settings.validation else ""
        self._retries = settings.evaluation.retries
        self._code_folder = code_folder
        processes = settings.local_processes
        if settings.evaluation.max_in_flight is not None:
            processes = min(processes, settings.evaluation.max_in_flight)
        isolation = settings.isolation or Isolation(memory_limit=settings.cluster.memory_limit)
        self._children = Children(processes, isolation)
        run.session.workers = processes

    def drive(self, interruption: Interruption) -> None:
        """Evaluate whatever the session asks for, until the run or the session ends.

        What is in flight then is waited for and recorded; what would be tried again stays in flight, and a resume sends
        it again. When this ends, however it does, the processes have ended.

        Raises:
            GivenUp: The interruption, or the walltime, allowed to wait no longer.
        """
        session = self._run.session
        with self._children:
            self._fill()
            while self._children.have_work:
                patience_s = min(interruption.patience_s, session.patience_s)
                if not patience_s:
                    raise GivenUp
                within_s = min(session.next_deadline_s - session.clock(), patience_s)
                for attempts, evaluation in self._children.ended(within_s):
                    attempts = attempts.and_(evaluation)
                    if attempts.may_go_on(evaluation.outcome, self._retries):
                        if not session.is_over:  # else it stays in flight
                            self._begin(attempts)
                    else:
                        session.hand_back(attempts.concluded(evaluation, self._run.began_at))
                        self._fill()
                session.tick()
                self._fill()

    def _fill(self) -> None:
        """Give out as much as there are processes for."""
        while not self._children.are_busy and (submit := self._run.session.next()):
            self._begin(Attempts(submit))

    def _begin(self, attempts: Attempts) -> None:
        entry_point = self._validation if attempts.submit.validates else self._problem
        self._children.begin(attempts, entry_point, self._code_folder)
