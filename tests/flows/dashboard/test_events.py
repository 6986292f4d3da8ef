"""The events of a run.

Invariants: each start and each end of an optimizer is one event, but for those that the end of the run suspends; a
new best is told once, and a resume does not tell the old one; the end says whether the target was reached.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from types import SimpleNamespace

import pytest

from flows.dashboard.events import NAMES, NEW_BEST, RUN_ENDED, RUN_PAUSED, RunEvents
from flows.settings import RunSettings
from optim.in_process import drive
from optim.journal import EventKind
from optim.manager import Manager
from optim.session import Session
from optim.space import Parameter, Space

ENDS = {name for kind, name in NAMES.items() if kind is not EventKind.SPAWN}


class Journal:
    def add_evaluation(self, row):
        pass

    def add_event(self, row):
        pass


def told(conditions, status="finished"):
    """The events of a run by whose clock a tenth of a second passes with each look, and the run."""
    settings = RunSettings.model_validate(
        {
            "problem": "bowl:loss",
            "parallel_optimizers": 2,
            "generator": {"type": "Random"},
            "optimizer": [{"type": "Scipy"}],
            "exit_condition": conditions,
        }
    )
    space = Space([Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)])
    ticks, emitted = count(step=0.1), []
    events = RunEvents("bowl", lambda event, **rest: emitted.append((event, rest)))
    listeners = []
    session = Session(
        Manager(settings, space, 7),
        Journal(),
        lambda: next(ticks),
        lambda announce: [listen(announce) for listen in listeners],
    )
    run = SimpleNamespace(session=session, folder=SimpleNamespace(name="fit"))
    listeners.append(events.follow(run))
    session.begin("test")
    drive(session, lambda x: float((x[0] - 0.3) ** 2))
    events.end(SimpleNamespace(status=status, reason="because"))
    return emitted, session.manager.run


BUDGET = {"type": "MaxTotalFunctionCalls", "max": 300}


@pytest.fixture(scope="module")
def budget():
    return told([BUDGET])


def test_each_start_and_each_end_is_an_event(budget):
    emitted, run = budget
    found = Counter(event for event, _ in emitted)
    assert found["shoal.optimizer.started"] == run.started
    assert sum(found[name] for name in ENDS) == run.started - run.alive
    assert run.alive == 2


def test_they_name_optimizer_and_run(budget):
    emitted, _ = budget
    _, first = emitted[0]
    assert first["resource"]["prefect.resource.id"] == "shoal.run.fit.optimizer.1"
    assert first["related"][0]["prefect.resource.id"] == "shoal.run.fit"
    assert first["payload"]["best_loss"] is None


def test_new_bests_come_down_and_the_last_one_is_the_best(budget):
    emitted, run = budget
    losses = [rest["payload"]["loss"] for event, rest in emitted if event == NEW_BEST]
    assert losses == sorted(set(losses), reverse=True)
    assert losses[-1] == run.best.loss


def test_a_resume_does_not_tell_the_old_best():
    emitted = []
    events = RunEvents("bowl", lambda event, **rest: emitted.append(event))
    best = SimpleNamespace(evaluation=5, loss=0.1, optimizer=1)
    manager = SimpleNamespace(run=SimpleNamespace(best=best), strategy=SimpleNamespace(exit_conditions=()))
    session = SimpleNamespace(manager=manager)
    session.every = lambda seconds, do: do(session)
    events.follow(SimpleNamespace(session=session, folder=SimpleNamespace(name="fit")))
    assert emitted == []


@pytest.mark.parametrize(
    ("conditions", "target"),
    [
        ([BUDGET], "none"),
        ([BUDGET, {"type": "TargetFunctionValue", "target": 0.0}], "reached"),
        ([BUDGET, {"type": "TargetFunctionValue", "target": -1.0}], "missed"),
    ],
)
def test_the_end_says_whether_the_target_was_reached(conditions, target):
    emitted, _ = told(conditions)
    assert [event for event, _ in emitted].count(RUN_ENDED) == 1
    event, rest = emitted[-1]
    assert event == RUN_ENDED
    assert rest["resource"]["shoal.target"] == target
    assert rest["payload"]["reason"] == "because"


def test_a_run_that_rests_has_not_ended():
    emitted, _ = told([BUDGET], status="paused")
    assert emitted[-1][0] == RUN_PAUSED
