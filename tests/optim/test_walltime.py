"""Near the end of its walltime a session gives out nothing that is not expected back in time.

Invariants: the longest of the latest evaluations, or the age of the oldest one that is out, is what the next is
expected to take; without any knowledge it is given out; a session that has stopped giving out says why.
"""

import math

from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.messages import Evaluated
from optim.optimizers.scipy import Scipy
from optim.outcome import Outcome
from optim.space import Parameter, Space
from optim.strategy import Strategy
from optim.walltime import REMEMBERED, Walltime

SPACE = Space([Parameter(name="a", initial=0.0, lower=-2.0, upper=2.0)])
STRATEGY = Strategy(
    parallel_optimizers=2,
    optimizers=[Scipy()],
    generator=Random(),
    exit_conditions=[MaxTotalFunctionCalls(max=60)],
)


def back(submit):
    return Evaluated(submit.optimizer, submit.call, Outcome.OK, float(submit.x[0] ** 2))


def test_the_longest_of_the_latest_evaluations_counts():
    walltime = Walltime(100.0)
    assert walltime.objection(99.0, 99.0) == ""
    walltime.took(30.0)
    walltime.took(2.0)
    assert walltime.objection(69.0, 69.0) == ""
    assert walltime.objection(71.0, 71.0) == "walltime: evaluations take up to 30 s, and 29 s are left"


def test_evaluations_of_long_ago_are_forgotten():
    walltime = Walltime(100.0)
    walltime.took(90.0)
    for _ in range(REMEMBERED):
        walltime.took(1.0)
    assert walltime.objection(98.0, 98.0) == ""


def test_one_that_is_out_takes_at_least_as_long_as_it_is_out():
    assert Walltime(100.0).objection(60.0, 10.0) == "walltime: evaluations take up to 50 s, and 40 s are left"


def test_nothing_is_given_out_that_would_not_come_back_in_time(begun, clock):
    session, rows = begun(STRATEGY, SPACE)
    assert session.patience_s == math.inf
    session.end_before(Walltime(100.0))
    while submit := session.next():
        clock.now_s += 13.0
        session.hand_back(back(submit))
    assert len(rows.evaluations) == 7
    assert clock.now_s == 91.0
    assert session.halted == "walltime: evaluations take up to 13 s, and 9 s are left"
    assert session.patience_s == 9.0
    assert session.finish is None


def test_a_walltime_that_is_over_gives_out_nothing(begun, clock):
    session, _ = begun(STRATEGY, SPACE)
    session.end_before(Walltime(5.0))
    clock.now_s = 6.0
    assert session.next() is None
    assert session.patience_s == 0.0
