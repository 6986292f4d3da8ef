"""`make scale` in small: is its formula what the simulation finds?

Invariants: where there are no stragglers, the simulated utilisation is that of the formula within 3%, whatever limits
it; where generations wait for their last point, within 10%; with costs that are given, not measured, a simulation is
the same each time; tracking costs what is allowed from the duration on that is called affordable, and more below it; a
generated part of the page replaces the one before it, and nothing else.
"""

import pytest

from optim.testing.simulation import Costs
from tests.scale.formula import (
    AFFORDABLE,
    CHUNKED,
    SERVER_S,
    TRACKED_EACH,
    Crew,
    Lane,
    Phase,
    affordable_s,
    bounds,
)
from tests.scale.page import write_into
from tests.scale.simulated import simulated

OWN_S = 0.0005
COSTS = Costs(task_s=0.009, worker_s=0.005, evaluation_s=OWN_S)
EACH = Lane("a task run each", COSTS)
FOR_5 = Lane("a task run for 5", COSTS, per_task=5)
ALONE = {
    "workers": (Crew(4, 40, popsize=1), Phase(EACH, 0.1)),
    "workers, in chunks": (Crew(4, 60, popsize=1), Phase(FOR_5, 0.05)),
    "points": (Crew(40, 20, popsize=1), Phase(EACH, 2.0)),
    "points, too few for chunks": (Crew(40, 20, popsize=1), Phase(FOR_5, 2.0)),
    "manager": (Crew(40, 120, popsize=1), Phase(EACH, 0.1)),
    "manager, in chunks": (Crew(40, 400, popsize=1), Phase(FOR_5, 0.03)),
}
"""Nelder-Mead, by what limits it."""


def run(crew, phase):
    (row,) = simulated(crew, [phase], cpu_clock=lambda: 0.0)
    return row


@pytest.mark.parametrize("limit", ALONE)
def test_without_stragglers_workers_are_as_busy_as_the_formula_says(limit):
    crew, phase = ALONE[limit]
    row = run(crew, phase)
    assert row.own_s == pytest.approx(OWN_S)
    assert row.bounds.limit == limit.partition(",")[0]
    assert row.utilisation == pytest.approx(min(row.bounds), rel=0.03)


def test_with_generations_the_formula_knows_of_their_stragglers():
    row = run(Crew(40, 4, popsize=10), Phase(EACH, 2.0))
    assert row.bounds.limit == "points"
    assert row.utilisation < 0.6
    assert row.utilisation == pytest.approx(min(row.bounds), rel=0.1)


def test_with_costs_that_are_given_it_is_the_same_each_time():
    assert run(*ALONE["manager"]) == run(*ALONE["manager"])


@pytest.mark.parametrize("lane", [TRACKED_EACH, CHUNKED])
@pytest.mark.parametrize("workers", [2, 100, 10_000])
def test_what_is_called_affordable_is_so_by_the_formula_and_nothing_shorter(workers, lane):
    def share(loss_s):
        return min(bounds(Crew(workers, 1000 * workers), Phase(lane, loss_s), OWN_S))

    def server_load(loss_s):
        return workers / loss_s / lane.per_task * SERVER_S

    loss_s = affordable_s(workers, lane, OWN_S)
    assert share(loss_s) >= 1 - AFFORDABLE - 1e-9
    assert server_load(loss_s) <= 1 + 1e-9
    assert share(0.99 * loss_s) < 1 - AFFORDABLE or server_load(0.99 * loss_s) > 1


def test_a_generated_part_replaces_the_one_before_and_nothing_else():
    page = "a\n<!-- make scale: x -->\nold\n<!-- end of x -->\nb\n"
    assert write_into(page, "x", ["new", "rows"]) == page.replace("old", "new\nrows")
    with pytest.raises(ValueError, match="no place for 'y'"):
        write_into(page, "y", [])
