"""The Dask driver: every evaluation in a Prefect task run on a worker, a bounded number of them at once."""

from __future__ import annotations

import queue
from collections import deque
from itertools import islice
from typing import Any

import numpy as np
from prefect import Task

from flows.lanes.chunks import Pace
from flows.lanes.interruption import INTERRUPTED, Interruption
from flows.lanes.tracking_cost import TrackingCost
from flows.run.opened import OpenRun
from flows.settings import RunSettings
from flows.workers.task_runner import SharedContextTaskRunner
from flows.workers.watch import PER_THREAD, InFlightLimit, WorkerWatch
from optim.chunks import chunk_size, places_for
from tasks.attempts import Attempts
from tasks.evaluate import evaluate, evaluate_several, take_evaluations, validate
from tasks.evaluation import Evaluation
from tasks.small_results import SmallResultFuture

PULSE_S = 5.0
"""While nothing comes back, the lane looks this often whether scheduler and workers are still there."""

_WAKE = None
_Chunk = list[Attempts]
_Done = tuple[_Chunk, SmallResultFuture[Any]] | None


class DaskLane:
    """Feeds a session from Dask workers.

    With `evaluation.per_task` a task run carries a chunk of evaluations. Of one that took its workers with it nobody
    knows which loss did that: its evaluations become suspects, and are sent again, alone and one after the other, so
    that only the culprit is lost.

    Args:
        run: What is worked on.
        settings: Of the run.
        code_folder: Where user code is looked for besides installed packages.
        runner: Started, inside a flow run.

    Attributes:
        ended: How many of its task runs have come back.
    """

    def __init__(
        self,
        run: OpenRun,
        settings: RunSettings,
        code_folder: str | None,
        runner: SharedContextTaskRunner,
    ) -> None:
        evaluation = settings.evaluation
        self._run = run
        self._problem = settings.problem
        self._validation = settings.validation.problem if settings.validation else ""
        self._isolation = settings.isolation
        self._retries = evaluation.retries
        self._has_chunks = evaluation.per_task != 1
        self._max_in_flight = evaluation.max_in_flight
        self._code_folder = code_folder
        self._runner = runner
        self._watch = WorkerWatch(runner, run.logger)
        self._pace = Pace(evaluation.per_task)
        self._cost = TrackingCost(run.logger) if evaluation.per_task != "auto" else None
        given = None if self._has_chunks else evaluation.max_in_flight
        self._limit = InFlightLimit(given, settings.cluster, runner)
        self._latest_size = 1
        self._out = 0
        self.ended = 0
        self._suspects: deque[Attempts] = deque()
        self._suspect: Attempts | None = None  # the one that is out
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()

    def drive(self, interruption: Interruption) -> None:
        """Evaluate whatever the session asks for, until the run or the session ends, or a signal asks it to stop.

        What is in flight then is waited for and recorded, as long as the interruption and the walltime allow. What has
        not come back by then, or would be tried again, stays in flight: a resume sends it again.

        Raises:
            ClusterLostError: The scheduler went away.
        """
        session = self._run.session
        interruption.on_request(lambda: session.halt(INTERRUPTED))
        interruption.on_request(lambda: self._done.put(_WAKE))
        while True:
            self._send_what_waits()
            session.workers = self._limit.threads
            patience_s = min(interruption.patience_s, session.patience_s)
            if not session.in_flight or (session.is_over and not self._out) or not patience_s:
                return
            if self._cost:
                is_all_busy = session.waiting > 0 or self._out >= self._limit()
                self._cost.look(min(self._limit.threads, self._out) if is_all_busy else 0)
            done = self._wait(min(session.next_deadline_s - session.clock(), patience_s, PULSE_S))
            if done is not _WAKE:
                self._take(*done)
            session.tick()

    def _wait(self, at_most_s: float) -> _Done:
        try:
            return self._done.get(timeout=max(0.0, at_most_s))
        except queue.Empty:
            return _WAKE

    def _send_what_waits(self) -> None:
        """Send what the session has, divided over the places that are free; and the next suspect."""
        if self._suspects and self._suspect is None and not self._run.session.is_over:
            self._suspect = self._suspects.popleft()
            self._send([self._suspect])
        while True:
            size = self._size()
            self._latest_size = size or self._latest_size
            self._watch.look(PER_THREAD * self._latest_size * self._pace.longest_s)
            taken = [Attempts(submit) for submit in islice(iter(self._run.session.next, None), size)]
            if not taken:
                return
            for validation in (attempts for attempts in taken if attempts.submit.validates):
                self._send([validation])
            if chunk := [attempts for attempts in taken if not attempts.submit.validates]:
                self._send(chunk)

    def _size(self) -> int:
        """How many evaluations the next task run may carry; 0: there is to be none."""
        session, limit = self._run.session, self._limit()
        waiting, in_flight = session.waiting, session.in_flight
        if self._max_in_flight is not None:
            waiting = min(waiting, self._max_in_flight - in_flight)
        most = self._pace.most(within_s=session.patience_s / PER_THREAD)  # it may wait for another one
        places = places_for(waiting + in_flight, most, limit, limit // PER_THREAD)
        if waiting <= 0 or places <= self._out:
            return 0
        return chunk_size(waiting, in_flight, places - self._out, places, most)

    def _send(self, chunk: _Chunk) -> None:
        self._out += 1
        future = self._runner.submit(*self._call(chunk))
        future.add_done_callback(lambda _: self._done.put((chunk, future)))

    def _call(self, chunk: _Chunk) -> tuple[Task[..., Any], dict[str, Any]]:
        """The task that evaluates them, and its parameters."""
        submits = [attempts.submit for attempts in chunk]
        first = submits[0]
        parameters = {
            "problem": self._validation if first.validates else self._problem,
            "folder": self._code_folder,
            "optimizer": first.optimizer,
            "call": first.call,
            "isolation": self._isolation,
        }
        if len(chunk) == 1:
            return validate if first.validates else evaluate, {**parameters, "x": first.x.tolist()}
        several = {
            "count": len(chunk),
            "calls": np.array([(submit.optimizer, submit.call) for submit in submits]),
            "x": np.array([submit.x for submit in submits]),
        }
        return evaluate_several, parameters | several

    def _take(self, chunk: _Chunk, future: SmallResultFuture[Any]) -> None:
        """A task run has ended: hand back what came of its evaluations, or try again."""
        self._out -= 1
        self.ended += 1
        evaluations = take_evaluations(future, len(chunk))
        if is_suspect := chunk[0] is self._suspect:
            self._suspect = None
        if not evaluations[0].worker:  # nobody was left to tell the server
            task, parameters = self._call(chunk)
            name = str(task.task_run_name).format(**parameters)
            self._runner.mark_crashed(task, future.task_run_id, name, evaluations[0].text)
            if self._has_chunks and not is_suspect:
                self._suspects.extend(chunk)
                return
        for attempts, evaluation in zip(chunk, evaluations, strict=True):
            self._conclude(attempts, evaluation)

    def _conclude(self, attempts: Attempts, evaluation: Evaluation) -> None:
        """An attempt has ended."""
        took_s = evaluation.finished_s - evaluation.started_s
        if took_s > 0:  # it is not nan
            self._pace.took(took_s)
            if self._cost:
                self._cost.took(took_s)
        attempts = attempts.and_(evaluation)
        if attempts.may_go_on(evaluation.outcome, self._retries):
            if not self._run.session.is_over:  # else it stays in flight
                self._send([attempts])
        else:
            self._run.session.hand_back(attempts.concluded(evaluation, self._run.began_at))
