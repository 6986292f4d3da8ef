"""The driver with simulated workers: `optim.testing.simulation`.

Invariants: a worker does one evaluation at a time and is not idle while something waits for it; the manager's process
does one thing at a time, and is busy for as long as the costs say; the points of a task run travel together, and the
worker's cost is paid once for them; the same durations give the same run; what was out when the drive paused comes back
when it goes on; failures and validations are handed back as what they are.
"""

import itertools
import random
from functools import partial

from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.generators.random import Random
from optim.manager import Manager
from optim.optimizers.scipy import Scipy
from optim.outcome import Outcome
from optim.session import Session
from optim.space import Parameter, Space
from optim.strategy import Strategy
from optim.testing.simulation import Costs, Simulation

SPACE = Space(Parameter(name=name, initial=0.4, lower=-1.0, upper=2.0) for name in "ab")


def bowl(x):
    return float(x @ x)


class Rows:
    """A journal in memory."""

    def __init__(self):
        self.evaluations, self.validations, self.events = [], [], []
        self.add_evaluation = self.evaluations.append
        self.add_validation = self.validations.append
        self.add_event = self.events.append


def begun(simulation, budget=60, parallel=8, **changes):
    strategy = Strategy(
        optimizers=[Scipy()],
        parallel_optimizers=parallel,
        generator=Random(),
        exit_conditions=[MaxTotalFunctionCalls(max=budget)],
        baseline=False,
        **changes,
    )
    rows = Rows()
    session = Session(Manager(strategy, SPACE, 3), rows, simulation.clock)
    session.begin("the tests")
    return session, rows


def chance(seed):
    return partial(random.Random(seed).expovariate, 1.0)


def test_a_worker_does_one_evaluation_at_a_time_and_is_not_idle_while_one_waits():
    simulation = Simulation(3, chance(1), Costs(task_s=0.01, worker_s=0.1))
    session, rows = begun(simulation)
    simulation.drive(session, bowl)
    assert session.finish
    workers = {row.worker for row in rows.evaluations}
    assert len(workers) == 3
    for worker in workers:
        of_worker = sorted(
            (row for row in rows.evaluations if row.worker == worker), key=lambda row: row.started_s
        )
        for earlier, later in itertools.pairwise(of_worker):
            assert later.started_s == max(earlier.finished_s, later.submitted_s + 0.01) + 0.1


def test_with_losses_of_one_duration_the_time_is_what_one_computes_by_hand():
    simulation = Simulation(2, lambda: 1.0)
    session, _ = begun(simulation, budget=10)
    simulation.drive(session, bowl)
    totals = simulation.totals
    assert (totals.evaluations, totals.tasks, totals.elapsed_s, totals.losses_s) == (10, 10, 5.0, 10.0)
    assert totals.manager_s == 0.0


def test_the_manager_does_one_thing_at_a_time():
    simulation = Simulation(50, lambda: 0.001, Costs(task_s=1.0, evaluation_s=0.5))
    session, rows = begun(simulation, budget=20, parallel=20)
    simulation.drive(session, bowl)
    totals = simulation.totals
    assert (totals.elapsed_s, totals.manager_s, totals.own_s) == (30.0, 30.0, 10.0)
    assert [row.submitted_s for row in rows.evaluations] == list(range(20))


def test_what_the_session_costs_is_time_at_which_the_manager_is_busy():
    simulation = Simulation(2, lambda: 1.0, cpu_clock=itertools.count().__next__)
    session, _ = begun(simulation, budget=10)
    simulation.drive(session, bowl)
    assert simulation.totals.own_s == simulation.totals.manager_s > 10
    assert simulation.totals.elapsed_s > 10


def test_the_points_of_a_task_run_travel_together_and_the_worker_pays_once_for_them():
    simulation = Simulation(1, lambda: 1.0, Costs(worker_s=0.5), per_task=4)
    session, rows = begun(simulation, budget=8)
    simulation.drive(session, bowl)
    assert [row.started_s for row in rows.evaluations] == [0.5, 1.5, 2.5, 3.5, 5.0, 6.0, 7.0, 8.0]
    assert (simulation.totals.tasks, simulation.totals.losses_s) == (2, 8.0)


def test_the_same_durations_give_the_same_run_also_with_a_pause():
    runs = []
    for pauses in ([], [], [1, 20, 7]):
        simulation = Simulation(3, chance(5), Costs(0.01, 0.02, 0.001), per_task=2)
        session, rows = begun(simulation)
        for evaluations in pauses:
            simulation.drive(session, bowl, evaluations=evaluations)
            assert not session.finish
        simulation.drive(session, bowl)
        runs.append([(*row[:4], *row[5:], row.x.tolist()) for row in rows.evaluations])
    assert runs[0] == runs[1] == runs[2]


def test_failures_and_validations_are_handed_back_as_what_they_are():
    def loss(x):
        raise ValueError("no")

    simulation = Simulation(2, lambda: 1.0)
    session, rows = begun(simulation, 6)
    simulation.drive(session, loss)
    assert {row.outcome for row in rows.evaluations} == {Outcome.EXCEPTION}
    simulation = Simulation(2, lambda: 1.0)
    session, rows = begun(simulation, 6, validation={"problem": "elsewhere:loss"})
    simulation.drive(session, bowl, lambda x: 42.0)
    assert {row.loss for row in rows.validations} == {42.0}
