"""A session writes everything that happens, in order, and the in-process driver takes a run to its end.

Invariants: evaluation numbers follow the results; sequence numbers of inputs have no gap and no repeat; every row of
the journal that a replay needs is there, and feeding them to a fresh manager gives the same commands; two runs of one
seed are identical; nothing lives on after the end.
"""

import gc
import math

import numpy as np
import pytest
from greenlet import greenlet

from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.in_process import drive
from optim.journal import EventKind
from optim.manager import Manager
from optim.optimizers.cmaes import CMAES
from optim.optimizers.scipy import Scipy
from optim.outcome import Outcome
from optim.space import Parameter, Space
from optim.stoppers.current_function_value_unmoving import CurrentFunctionValueUnmoving
from optim.strategy import Strategy

SPACE = Space([Parameter(name=name, initial=0.0, lower=-2.0, upper=2.0) for name in "abc"])


def rosenbrock(x):
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def strategy(**changes):
    return Strategy(
        **{
            "parallel_optimizers": 3,
            "optimizers": [Scipy(), CMAES(popsize=6), Scipy(algorithm="differential_evolution")],
            "generator": Random(),
            "stoppers": [CurrentFunctionValueUnmoving(number_of_function_calls=12, tolerance=0.1)],
            "exit_conditions": [MaxTotalFunctionCalls(max=600), MaxOptimizersConverged(max=3)],
            **changes,
        }
    )


@pytest.fixture
def run(begun):
    """Takes a run to its end, also with a validation loss; gives its session and its journal."""

    def run(loss=rosenbrock, seed=4, also=(), **changes):
        session, rows = begun(strategy(**changes), SPACE, seed)
        drive(session, loss, *also)
        return session, rows

    return run


def shape(rows):
    return [(row.optimizer, row.call, row.x.tolist(), row.loss, row.outcome) for row in rows.evaluations]


def test_two_runs_of_one_seed_are_identical(run):
    assert shape(run()[1]) == shape(run()[1])


def test_another_seed_is_another_run(run):
    assert shape(run(seed=4)[1]) != shape(run(seed=5)[1])


def test_sequence_numbers_of_inputs_have_no_gap_and_no_repeat(run):
    _, rows = run()
    assert [row.sequence for row in rows.inputs()] == list(range(len(rows.inputs())))
    assert rows.inputs()[0].kind is EventKind.SESSION_START


def test_the_journal_fed_to_a_fresh_manager_gives_the_same_run(run):
    session, rows = run()
    again = Manager(strategy(), SPACE, 4)
    assert rows.replay(again) == []
    assert again.finish == session.finish
    assert again.run.best[:3] == session.manager.run.best[:3]


def test_so_it_does_with_validations(run):
    changes = {"validation": {"problem": "elsewhere:loss", "every": 2}}
    session, rows = run(also=[lambda x: float(np.sum(x))], **changes)
    again = Manager(strategy(**changes), SPACE, 4)
    assert rows.replay(again) == []
    assert again.finish == session.finish
    assert len(again.run.validations) == len(rows.validations) > 10
    assert shape(rows) == shape(run()[1])


def test_the_baseline_is_evaluation_one_at_the_initial_values(run):
    _, rows = run()
    assert rows.evaluations[0].optimizer == 0
    assert rows.evaluations[0].x.tolist() == [0.0, 0.0, 0.0]


def test_calls_of_each_optimizer_count_from_one(run):
    _, rows = run()
    for number in {row.optimizer for row in rows.evaluations}:
        calls = sorted(row.call for row in rows.evaluations if row.optimizer == number)
        assert calls == list(range(1, len(calls) + 1))


def test_each_optimizer_has_one_start_with_all_that_the_store_shows_of_it(run):
    session, rows = run()
    spawns = [row for row in rows.events if row.kind is EventKind.SPAWN]
    assert [row.optimizer for row in spawns] == list(range(1, session.manager.run.started + 1))
    assert all('"settings"' in row.data and '"x0"' in row.data for row in spawns)


def test_failures_are_kept_with_their_text_and_the_run_goes_on(run):
    def sometimes(x):
        if x[0] < 0:
            raise ValueError("negative")
        return math.nan if x[1] < 0 else rosenbrock(x)

    session, rows = run(sometimes)
    outcomes = {row.outcome for row in rows.evaluations}
    assert outcomes == {Outcome.OK, Outcome.EXCEPTION, Outcome.NONFINITE}
    texts = {row.text for row in rows.events if row.kind is EventKind.FAILURE}
    assert texts == {"ValueError: negative", "the loss returned nan"}
    assert session.failures == sum(row.outcome is not Outcome.OK for row in rows.evaluations)
    assert not session.finish.failed


def living_greenlets():
    gc.collect()
    return sum(isinstance(it, greenlet) and bool(it) for it in gc.get_objects())


def test_the_dead_leave_no_greenlet_and_the_suspended_none_once_the_run_is_let_go(run):
    before = living_greenlets()
    session, _ = run(stoppers=[CurrentFunctionValueUnmoving(number_of_function_calls=5, tolerance=10.0)])
    assert session.in_flight == 0
    assert session.next() is None
    assert session.manager.run.stopped > 0
    assert living_greenlets() - before <= session.manager.alive
    del session
    assert living_greenlets() == before


def test_an_interrupted_run_stops_between_evaluations(begun):
    session, rows = begun(strategy(), SPACE)

    def interrupting(x):
        if len(rows.evaluations) == 9:
            session.halt("enough")
        return rosenbrock(x)

    drive(session, interrupting)
    assert len(rows.evaluations) == 10
    assert session.finish is None
