"""Prefect events of a run: starts and ends of optimizers, new bests, and the end; automations can hang on them.

Each is about the resource `shoal.run.NAME` or `shoal.run.NAME.optimizer.N`; Prefect adds which flow run it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from prefect.events import emit_event

from flows.reports.report import last_line
from flows.run.opened import OpenRun, RunResult
from optim.exit_conditions.target_function_value import TargetFunctionValue
from optim.journal import EventKind
from optim.messages import Announce
from optim.session import Listener

NAMES = {
    EventKind.SPAWN: "shoal.optimizer.started",
    EventKind.CONVERGED: "shoal.optimizer.converged",
    EventKind.GAVE_UP: "shoal.optimizer.gave-up",
    EventKind.CRASHED: "shoal.optimizer.crashed",
    EventKind.STOPPED: "shoal.optimizer.stopped",
    EventKind.BY_HAND: "shoal.optimizer.ended-by-hand",
}
"""By what was decided. At the end of a run those optimizers that live are suspended, of which nothing is said."""
NEW_BEST = "shoal.run.new-best"
RUN_ENDED = "shoal.run.ended"
RUN_PAUSED = "shoal.run.paused"
BEST_S = 1.0
"""At most so often a new best is told, in seconds; of several since then, the lowest."""

Target = Literal["reached", "missed", "none"]


class RunEvents:
    """Tells Prefect what happens in a run.

    Args:
        problem: Of the run.
        emit: Sends an event; takes half a millisecond.
    """

    def __init__(self, problem: str, emit: Callable[..., Any] = emit_event) -> None:
        self._problem = problem
        self._emit = emit
        self._told_best = 0  # the number of that evaluation

    def follow(self, run: OpenRun) -> Listener:
        """Begin to tell of a run; returns who is to be told of its decisions."""
        # Not the session, which has us as its listener: a cycle would keep it.
        self._state, self._conditions = run.session.manager.run, run.session.manager.strategy.exit_conditions
        self._run = {
            "prefect.resource.id": f"shoal.run.{run.folder.name}",
            "prefect.resource.name": run.folder.name,
            "shoal.problem": self._problem,
        }
        if best := self._state.best:  # of an earlier session
            self._told_best = best.evaluation
        run.session.every(BEST_S, lambda _: self._look())
        return self._listen

    def _listen(self, announce: Announce) -> None:
        if announce.optimizer < 1 or announce.kind not in NAMES:
            return
        run = self._state
        best_loss = run.optimizers[announce.optimizer - 1].best_loss
        resource = {
            "prefect.resource.id": f"{self._run['prefect.resource.id']}.optimizer.{announce.optimizer}",
            "prefect.resource.name": f"optimizer {announce.optimizer}",
        }
        payload = {
            "text": last_line(announce.text),
            "evaluations": run.evaluations,
            "best_loss": best_loss if best_loss < float("inf") else None,
        }
        related = [{**self._run, "prefect.resource.role": "shoal-run"}]
        self._emit(NAMES[announce.kind], resource=resource, related=related, payload=payload)

    def _look(self) -> None:
        best = self._state.best
        if best is None or best.evaluation == self._told_best:
            return
        self._told_best = best.evaluation
        payload = {"loss": best.loss, "optimizer": best.optimizer, "evaluation": best.evaluation}
        self._emit(NEW_BEST, resource=self._run, payload=payload)

    def end(self, result: RunResult) -> None:
        """The run that is followed has ended, or came to rest."""
        self._look()
        run = self._state
        self._emit(
            RUN_PAUSED if result.status == "paused" else RUN_ENDED,
            resource={**self._run, "shoal.status": result.status, "shoal.target": self._target()},
            payload={
                "reason": result.reason,
                "evaluations": run.evaluations,
                "best_loss": run.best.loss if run.best else None,
            },
        )

    def _target(self) -> Target:
        """Whether a run that was to reach a certain loss has done so."""
        targets = [each for each in self._conditions if isinstance(each, TargetFunctionValue)]
        if not targets:
            return "none"
        return "reached" if any(each.judge(self._state).met for each in targets) else "missed"
