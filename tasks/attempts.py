"""How often an evaluation is tried that may pass the next time, and what is told of it at last."""

from __future__ import annotations

from typing import NamedTuple

from optim.messages import Evaluated, Submit, Validated
from optim.outcome import Outcome
from tasks.evaluation import Evaluation

MOST_DEATHS = 3
"""A loss that has taken so many processes with it is not tried again, whatever the settings say."""


class Attempts(NamedTuple):
    """One submission, and what it has been through so far.

    Attributes:
        submit: What is to be evaluated.
        tries: How often it was tried.
        deaths: How many processes it has taken with it.
    """

    submit: Submit
    tries: int = 0
    deaths: int = 0

    def and_(self, evaluation: Evaluation) -> Attempts:
        """With one more attempt, which came to that."""
        lost = evaluation.attempts if evaluation.outcome is Outcome.WORKER_LOST else 0
        return self._replace(tries=self.tries + evaluation.attempts, deaths=self.deaths + lost)

    def may_go_on(self, outcome: Outcome, retries: int) -> bool:
        """Whether to try again after that outcome.

        Only what may pass the second time is worth it: what took too long on a busy machine, or lost its process.

        Args:
            outcome: Of the last attempt.
            retries: How many attempts besides the first are allowed.
        """
        if outcome not in {Outcome.TIMEOUT, Outcome.WORKER_LOST}:
            return False
        return self.tries <= retries and self.deaths < MOST_DEATHS

    def concluded(self, evaluation: Evaluation, began_at: float) -> Evaluated | Validated:
        """What the session is told.

        Args:
            evaluation: What the last attempt came to.
            began_at: When the run began, seconds since the epoch.
        """
        return self.submit.answered(
            evaluation.outcome,
            evaluation.loss,
            evaluation.started_s - began_at,
            evaluation.finished_s - began_at,
            evaluation.worker,
            self.tries,
            evaluation.text,
        )
