"""What a run has come to, from its store.

Invariant: a run of which nobody was left to say when anything ended has taken no time, and is shown without a warning.
"""

import math

import numpy as np

from flows.reports.summary import summarize
from optim.journal import EvaluationRow
from optim.outcome import Outcome
from optim.space import Parameter
from optim.store import RunFolder, RunWriter, open_run


def test_a_run_that_lost_all_its_workers_has_taken_no_time(tmp_path) -> None:
    folder = RunFolder.create(tmp_path, b"", name="lost")
    nan = math.nan
    lost = EvaluationRow(
        1, 0, 1, 1, np.array([0.5]), nan, Outcome.WORKER_LOST, False, False, 3, 0.1, nan, nan, ""
    )
    parameters = [Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)]
    attributes = {"status": "failed", "problem": "bowl", "seed": 7, "settings": {}}
    with RunWriter.create(folder.store, parameters, attributes) as writer:
        writer.add_evaluation(lost)
    summary = summarize("lost", open_run(folder.store))
    assert (summary.evaluations, summary.failures, summary.elapsed_s) == (1, 1, 0.0)
