"""Optimizer blocks that move only some of the parameters.

Invariants: the others stay where the optimizer was started, bit for bit; its algorithm sees only its own dimensions,
so its trajectory is that of a smaller problem; it is warm after a look round in those.
"""

import math

import numpy as np
import pytest

from optim.ask_tell import EndKind, Start
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.in_process import drive
from optim.member import Member
from optim.optimizers.cmaes import CMAES
from optim.optimizers.grid_sampling import GridSampling
from optim.optimizers.scipy import Scipy
from optim.space import Parameter, Space
from optim.stoppers.max_function_calls import MaxFunctionCalls
from optim.stoppers.optimizer_type import OptimizerType
from optim.strategy import Strategy
from optim.testing.optimizers import bowl, take_turns

SPACE = Space(
    [
        Parameter(name="a", initial=0.25, lower=0.0, upper=1.0),
        Parameter(name="fixed", initial=7.0, active=False),
        Parameter(name="b", initial=10.0, lower=1.0, upper=100.0, scale="log"),
        Parameter(name="c", initial=0.5, lower=-1.0, upper=1.0),
    ]
)
BLOCKS = [
    Scipy(label="two", parameters=["c", "a"]),
    Scipy(label="one", parameters=["b"], algorithm="L-BFGS-B"),
    CMAES(label="all", popsize=4),
]


def strategy(**changes):
    return Strategy(
        **{
            "optimizers": BLOCKS,
            "generator": Random(),
            "parallel_optimizers": 3,
            "exit_conditions": [MaxTotalFunctionCalls(max=300)],
            **changes,
        }
    )


def test_what_it_does_not_move_stays_where_it_started(begun):
    session, rows = begun(strategy(), SPACE)
    drive(session, lambda x: float((x[0] - 0.6) ** 2 + (x[2] - 20.0) ** 2 / 1e3 + (x[3] - 0.1) ** 2))
    moving = {"two": {0, 3}, "one": {2}, "all": {0, 2, 3}}
    points = {}
    for row in rows.evaluations:
        points.setdefault(row.optimizer, []).append(row.x)
    for optimizer in session.manager.run.optimizers:
        its = np.array(points[optimizer.number])
        assert set(np.flatnonzero(np.ptp(its, axis=0)).tolist()) == moving[optimizer.title]
    assert {optimizer.title for optimizer in session.manager.run.optimizers} == set(moving)


@pytest.mark.parametrize("block", BLOCKS[:2], ids=lambda block: block.title)
def test_its_trajectory_is_that_of_a_smaller_problem(block):
    x0 = np.array([0.3, 0.6, 0.8])
    places = SPACE.places(block.parameters)
    part = block.start(Start(x0, np.random.default_rng(5)), places)
    small = block.start(Start(x0[places], np.random.default_rng(5)))
    (told,) = take_turns([part], lambda x: bowl(x[places]), 40)
    (expected,) = take_turns([small], bowl, 40)
    assert [batch.losses for batch in told] == [batch.losses for batch in expected]
    assert part.end == small.end
    for batch, other in zip(told, expected, strict=True):
        assert np.array(batch.points)[:, places].tolist() == np.array(other.points).tolist()
        assert batch.probes == other.probes
    part.close()
    small.close()


def test_it_ends_and_crashes_as_it_would_by_itself():
    start = Start(np.full(3, 0.5), np.random.default_rng(0))
    grid = GridSampling(points_per_axis=2, parameters=["b"]).start(start, SPACE.places(["b"]))
    take_turns([grid], bowl, 10)
    assert grid.end.kind is EndKind.CONVERGED
    alone = CMAES(parameters=["b"]).start(start, SPACE.places(["b"]))
    assert alone.end.kind is EndKind.CRASHED
    assert "Traceback" in alone.end.reason


def test_stopping_it_leaves_the_algorithm_closed():
    closed = []

    class Watched(Scipy):
        def steps(self, start):
            try:
                return (yield from super().steps(start))
            finally:
                closed.append(True)

    living = Watched(parameters=["a"]).start(
        Start(np.full(3, 0.5), np.random.default_rng(0)), SPACE.places(["a"])
    )
    living.ask()
    living.close()
    assert closed == [True]


@pytest.mark.parametrize(("names", "warm_after"), [((), 4), (("a",), 2), (("a", "c"), 3)])
def test_its_first_look_round_is_in_its_own_dimensions(names, warm_after):
    block = Scipy(algorithm="Nelder-Mead", parameters=names)
    start = Start(np.full(3, 0.5), np.random.default_rng(0))
    member = Member(1, block, block.start(start, SPACE.places(names)), SPACE.dimension)
    for calls in range(warm_after):
        assert member.calls == calls
        assert not member.is_warm
        (point,) = member.ask().points
        assert point.shape == (3,)
        member.take(member.asked, bowl(point), point)
        member.tell_next()
    assert member.is_warm
    member.close()


@pytest.mark.parametrize(
    ("blocks", "path", "message"),
    [
        ([CMAES(parameters=["a", "d"])], (0, "parameters"), "'d' is no free parameter; there are a, b, c"),
        ([CMAES(), Scipy(parameters=["fixed"])], (1, "parameters"), "'fixed' is no free parameter"),
        ([Scipy(parameters=["a", "a"])], (0, "parameters"), "'a' is named twice"),
        ([CMAES(), CMAES(parameters=["a"])], (1,), "CMAES needs at least two parameters"),
    ],
)
def test_parameters_that_it_cannot_move_are_contradictions(blocks, path, message):
    (found,) = strategy(optimizers=blocks).contradictions_in(SPACE)
    assert found.path == ("optimizer", *path)
    assert message in found.message


def test_blocks_that_fit_have_no_contradictions():
    assert list(strategy().contradictions_in(SPACE)) == []


def test_a_label_tells_blocks_of_one_type_apart(begun):
    stopping = strategy(
        stoppers=[OptimizerType(optimizer="two"), MaxFunctionCalls(max=5)],
        stopper_boolean_combination="1 & 2",
        apply_stoppers_to_best_optimizer=True,
        parallel_optimizers=2,
        optimizers=BLOCKS[:2],
    )
    session, _ = begun(stopping, SPACE)
    drive(session, lambda x: float(np.sum(np.abs(x - 0.3)) + math.sin(9 * x[2])))
    calls = {}
    for optimizer in session.manager.run.optimizers:
        assert optimizer.type == "Scipy"
        calls.setdefault(optimizer.title, []).append(optimizer.calls)
    assert max(calls["two"]) == 5
    assert max(calls["one"]) > 5
