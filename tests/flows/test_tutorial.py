"""The four runs of the tutorial show, in-process, what the tutorial tells.

Invariants: never more than five alive, never more than 2,500 evaluations; run 1 ends by one of its conditions and
prints both; run 2 stops many and finds the optimum; in run 3 nothing starts at or after 1,500 and nobody is cut short
by that; in run 4 whoever started before 500 is Nelder-Mead, and everybody later CMA-ES.
"""

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.run_files.reading import read_settings
from optim.in_process import drive
from optim.journal import END_KINDS, EventKind
from optim.manager import NOBODY_LEFT, Manager
from optim.problems.lj_argon import problem
from optim.session import Session

EXAMPLES = Path(__file__).parents[2] / "deployments/examples"
SEEDS = range(3)


class Ran(NamedTuple):
    """One run: its session and its rows."""

    session: Session
    evaluations: list
    events: list

    @property
    def starts(self):
        return {row.optimizer: row for row in self.events if row.kind is EventKind.SPAWN}

    @property
    def ends(self):
        return {row.optimizer: row for row in self.events if row.kind in END_KINDS}


class Rows:
    """A journal in memory."""

    def __init__(self):
        self.evaluations, self.validations, self.events = [], [], []
        self.add_evaluation, self.add_event = self.evaluations.append, self.events.append
        self.add_validation = self.validations.append


@pytest.fixture(scope="module")
def tutorial():
    """Every run of the tutorial, made when it is first asked for."""
    made = {}

    def run(number, seed):
        if (number, seed) not in made:
            settings = read_settings(EXAMPLES / f"lj_argon_{number}.toml")[1]
            rows = Rows()
            session = Session(Manager(settings, problem.space, seed), rows, lambda: 0.0)
            session.begin("the tests")
            drive(session, problem.loss)
            made[number, seed] = Ran(session, rows.evaluations, rows.events)
        return made[number, seed]

    return run


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_never_more_than_five_live_nor_more_than_2500_evaluations_are_used(tutorial, number, seed):
    ran = tutorial(number, seed)
    assert len(ran.evaluations) <= 2500
    for evaluation in range(1, len(ran.evaluations) + 1):
        alive = sum(
            start.evaluation < evaluation <= ran.ends[optimizer].evaluation
            for optimizer, start in ran.starts.items()
        )
        assert alive <= 5


@pytest.mark.parametrize("seed", SEEDS)
def test_run_1_ends_by_one_of_its_conditions_and_prints_both(tutorial, seed):
    finish = tutorial(1, seed).session.finish
    assert len(finish.conditions) == 2
    assert any(line.startswith("MaxTotalFunctionCalls(fmax=2500) = ") for line in finish.conditions)
    assert any("= True" in line for line in finish.conditions)


@pytest.mark.parametrize("seed", SEEDS)
def test_run_2_stops_many_and_finds_the_optimum(tutorial, seed):
    ran = tutorial(2, seed)
    run = ran.session.manager.run
    assert run.started > 2 * tutorial(1, seed).session.manager.run.started
    assert run.best.loss < 0.3113
    assert run.best.x == pytest.approx([4.477384e-4, 3.768400], rel=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_run_3_starts_nothing_from_1500_on_and_cuts_nobody_short(tutorial, seed):
    ran = tutorial(3, seed)
    assert all(start.evaluation < 1500 for start in ran.starts.values())
    if ran.session.finish.reason == NOBODY_LEFT:
        assert all(ran.ends[optimizer].kind is not EventKind.EXIT for optimizer in ran.starts)


@pytest.mark.parametrize("seed", SEEDS)
def test_run_4_goes_over_from_nelder_mead_to_cmaes_at_500(tutorial, seed):
    ran = tutorial(4, seed)
    for start in ran.starts.values():
        expected = "Scipy" if start.evaluation < 500 else "CMAES"
        assert json.loads(start.data)["type"] == expected
    assert {json.loads(start.data)["type"] for start in ran.starts.values()} == {"Scipy", "CMAES"}
