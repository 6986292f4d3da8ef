"""People steer a run through its session, and every wish is an input of the journal.

Invariants: a wish that can be done is journaled with who asked and when, and a replay of the journal gives the same run
and knows the wish again; one that cannot be done leaves no trace; no wish is done twice; an optimizer that a person
starts begins exactly there, and one that a person stops is neither converged nor condemned.
"""

import uuid
from datetime import UTC, datetime

import numpy as np
import pytest
from pydantic import ValidationError

from optim.evaluation import evaluate_loss
from optim.exit_conditions.max_optimizers_stopped import MaxOptimizersStopped
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.in_process import drive
from optim.journal import EventKind
from optim.manager import Manager
from optim.messages import Evaluated
from optim.optimizers.scipy import Scipy
from optim.replay import replay
from optim.space import Parameter, Space
from optim.steering import PauseRun, StartOptimizer, StopOptimizer, StopRun, read_intervention
from optim.strategy import Strategy

SPACE = Space([Parameter(name=name, initial=0.0, lower=-2.0, upper=2.0) for name in "ab"])
STRATEGY = Strategy(
    parallel_optimizers=2,
    optimizers=[Scipy()],
    generator=Random(),
    exit_conditions=[MaxTotalFunctionCalls(max=60), MaxOptimizersStopped(max=1)],
)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def bowl(x):
    return float(np.sum((x - 0.3) ** 2))


def wish(kind, **more):
    return kind(id=uuid.uuid4().hex, by="ada on engine", at=AT, **more)


def advance(session, evaluations):
    for _ in range(evaluations):
        submit = session.next()
        result = evaluate_loss(bowl, submit.x)
        session.hand_back(Evaluated(submit.optimizer, submit.call, result.outcome, result.loss))


@pytest.fixture
def run(begun):
    """A session after ten evaluations, and its journal."""
    session, rows = begun(STRATEGY, SPACE)
    advance(session, 10)
    return session, rows


def replayed(rows):
    manager = Manager(STRATEGY, SPACE, 4)
    decisions = [row for row in rows.events if row not in rows.inputs()]
    return manager, replay(manager, rows.inputs(), decisions, lambda settings: STRATEGY)


def asked_for(rows):
    return [read_intervention(row.data) for row in rows.of_kind(EventKind.INTERVENTION)]


def test_an_optimizer_that_a_person_stops_ends_by_hand_and_another_starts(run):
    session, rows = run
    assert session.steer(stop := wish(StopOptimizer, optimizer=1)) == ""
    (end,) = rows.of_kind(EventKind.BY_HAND)
    assert (end.optimizer, end.text) == (1, "stopped by ada on engine")
    assert session.manager.run.started == 3
    assert asked_for(rows) == [stop]
    assert (session.manager.run.stopped, session.manager.run.converged, session.finish) == (0, 0, None)


def test_an_optimizer_starts_where_a_person_says_beyond_those_that_run(run):
    session, rows = run
    assert session.steer(wish(StartOptimizer, x=(0.25, -1.5))) == ""
    assert session.manager.alive == 3
    drive(session, bowl)
    spawn = rows.of_kind(EventKind.SPAWN)[2]
    assert "by hand" in spawn.text
    first = next(row for row in rows.evaluations if row.optimizer == 3)
    assert first.x.tolist() == [0.25, -1.5]
    assert len(rows.evaluations) == 60


def test_a_run_that_a_person_pauses_gives_out_nothing_until_the_next_session(run):
    session, _ = run
    assert session.steer(wish(PauseRun)) == ""
    assert session.next() is None
    assert session.pause.reason == "paused by ada on engine"
    assert session.finish is None
    session.begin("the next one")
    assert session.next() is not None


def test_a_run_that_a_person_stops_has_ended(run):
    session, rows = run
    assert session.steer(wish(StopRun)) == ""
    assert session.finish.reason == "stopped by ada on engine"
    assert session.next() is None
    assert [row.text for row in rows.of_kind(EventKind.EXIT) if row.optimizer == -1] == [
        session.finish.reason
    ]


@pytest.mark.parametrize(
    ("kind", "more", "objection"),
    [
        (StopOptimizer, {"optimizer": 7}, "there is no optimizer 7; 2 were started"),
        (StartOptimizer, {"x": (0.0, 3.0)}, "b = 3 is outside its bounds"),
        (StartOptimizer, {"x": (0.0,)}, "a point has shape"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_no_trace(run, kind, more, objection):
    session, rows = run
    assert objection in session.steer(wish(kind, **more))
    assert asked_for(rows) == []


def test_who_has_ended_is_not_stopped_again(run):
    session, _ = run
    session.steer(wish(StopOptimizer, optimizer=1))
    assert session.steer(wish(StopOptimizer, optimizer=1)) == "optimizer 1 has ended already"
    session.steer(wish(StopRun))
    assert session.steer(wish(PauseRun)) == "the run has ended: stopped by ada on engine"


def test_no_wish_is_done_twice(run):
    session, rows = run
    again = wish(StartOptimizer, x=(0.25, -1.5))
    assert [session.steer(again), session.steer(again)] == ["", ""]
    assert len(asked_for(rows)) == 1


@pytest.mark.parametrize("last", [PauseRun, StopRun])
def test_a_replay_gives_the_run_that_was_steered_and_knows_what_was_asked_for(begun, last):
    session, rows = begun(STRATEGY, SPACE)
    wishes = [wish(StartOptimizer, x=(0.25, -1.5)), wish(StopOptimizer, optimizer=3), wish(last)]
    for one in wishes:
        advance(session, 10)
        assert session.steer(one) == ""
    manager, found = replayed(rows)
    assert found.interventions == {one.id for one in wishes}
    assert (manager.finish, manager.pause) == (session.finish, session.pause)
    assert manager.run.evaluations == 30
    assert [member.is_alive for member in manager.run.optimizers] == [
        member.is_alive for member in session.manager.run.optimizers
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "nonsense",
        '{"kind": "launch missiles"}',
        wish(StopRun).model_dump_json().replace("ada", "a" * 500),
    ],
)
def test_what_is_no_wish_is_not_read(text):
    with pytest.raises(ValidationError):
        read_intervention(text)
