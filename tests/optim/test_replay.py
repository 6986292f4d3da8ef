"""Resume is replay: what goes on is the run that was interrupted.

Invariants: wherever a journal is cut, also between an input and the decisions that follow from it, a replay and a
continuation give the journal of the run that was never interrupted, every float bit for bit; with several evaluations
in flight, what follows from the rest of the inputs is the same too; lost decisions are written once; a journal that
says something else than the manager does is refused, with the evaluation, the optimizer and the points, or how much it
asks for; a change of settings opens a run that had ended, which then is the run that had the new settings from the
start; points that were rounded elsewhere count as recorded; wherever the journal was cut, an optimizer whose divergence
is accepted goes on from its best, and so it does in every later replay, while all others are what they were; what an
earlier shoal wrote goes on as it was, and no divergence from it is accepted.
"""

import dataclasses
import itertools
import json
import math
import random
from functools import partial

import numpy as np
import pytest

from optim.ask_tell import Batch, End, EndKind
from optim.errors import DivergenceError
from optim.exit_conditions.max_optimizers_converged import MaxOptimizersConverged
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.exit_conditions.target_function_value import TargetFunctionValue
from optim.exit_conditions.time_limit import TimeLimit
from optim.exit_conditions.time_limit_through_restarts import TimeLimitThroughRestarts
from optim.generators.random import Random
from optim.generators.single_point import SinglePoint
from optim.in_process import drive
from optim.journal import INPUT_KINDS, EvaluationRow, EventKind, EventRow, ValidationRow
from optim.manager import Manager
from optim.messages import Evaluated, Submit, Validated
from optim.optimizers.adaptive_rate_monte_carlo import AdaptiveRateMonteCarlo
from optim.optimizers.base import Optimizer
from optim.optimizers.cmaes import CMAES
from optim.optimizers.grid_sampling import GridSampling
from optim.optimizers.random_sampling import RandomSampling
from optim.optimizers.scipy import GLOBAL, LOCAL, Scipy
from optim.optimizers.sobol_sampling import SobolSampling
from optim.outcome import Outcome
from optim.past import Extent, accepted_pasts, read_pasts
from optim.replay import replay
from optim.session import Session
from optim.space import Parameter, Space
from optim.stoppers.current_function_value_unmoving import CurrentFunctionValueUnmoving
from optim.stoppers.max_function_calls import MaxFunctionCalls
from optim.stoppers.max_interoptimizer_distance import MaxInteroptimizerDistance
from optim.strategy import Strategy
from optim.testing.simulation import Simulation

SEED = 4
PLANE = [Parameter(name=name, initial=0.4, lower=-1.0, upper=2.0) for name in "ab"]
SPACE = Space(PLANE)


def valley(x):
    a, b = x.tolist()
    return 10.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 + math.sin(9.0 * a) ** 2


def sometimes(x):
    """Fails in one corner, and is nan in another."""
    if x[0] > 1.0:
        raise ValueError("a is too large")
    return math.nan if x[1] > 1.5 else valley(x)


def held_out(x):
    return float(np.sum(x))


def strategy(optimizers, budget=48, **changes):
    return Strategy(
        **{
            "optimizers": optimizers,
            "parallel_optimizers": 2,
            "generator": Random(),
            "exit_conditions": [MaxTotalFunctionCalls(max=budget)],
            **changes,
        }
    )


class Journal:
    """Everything that was written, in order."""

    def __init__(self, rows=()):
        self.rows = list(rows)
        self.add_evaluation = self.add_validation = self.add_event = self.rows.append

    @property
    def inputs(self):
        return [row for row in self.rows if not isinstance(row, EventRow) or row.kind in INPUT_KINDS]

    @property
    def notes(self):
        return [row for row in self.rows if isinstance(row, EventRow) and row.kind not in INPUT_KINDS]

    @property
    def evaluations(self):
        return [row for row in self.rows if isinstance(row, EvaluationRow)]

    def of_kind(self, kind):
        return [row for row in self.rows if isinstance(row, EventRow) and row.kind is kind]


@dataclasses.dataclass
class Case:
    """A run, and how it is driven."""

    strategy: Strategy
    space: Space = SPACE
    loss: object = valley
    changed: dict = dataclasses.field(default_factory=dict)
    pace_s: float = 0.0

    def manager(self):
        return Manager(self.strategy, self.space, SEED)

    def replayed(self, journal, manager=None):
        manager = manager or self.manager()
        return manager, replay(manager, journal.inputs, journal.notes, self.changed.__getitem__)

    def session(self, journal):
        """One that begins, or goes on where the journal ends."""
        manager, replayed = self.replayed(journal)
        seconds = itertools.count()
        session = Session(manager, journal, lambda: replayed.spent_s + self.pace_s * next(seconds))
        session.take_over(replayed)
        session.begin("the tests")
        return session

    def driven(self, rows=()):
        """The journal at the end, of a run that goes on after `rows`."""
        journal = Journal(rows)
        drive(self.session(journal), self.loss, held_out)
        return journal

    def change(self, journal, name, strategy):
        """As `shoal extend` does it."""
        self.changed[name] = strategy
        data = json.dumps({"settings": name})
        row = EventRow(len(journal.inputs), len(journal.evaluations), EventKind.SETTINGS_CHANGED, data=data)
        journal.add_event(row)


def shape(rows, parts=(EvaluationRow, ValidationRow, EventRow)):
    """What must be equal: no times, no sequence numbers, no session starts, and no text of a failure that was lost."""
    return [_essence(row) for row in rows if isinstance(row, parts) and not _is_session_start(row)]


def _is_session_start(row):
    return isinstance(row, EventRow) and row.kind is EventKind.SESSION_START


def _essence(row):
    if isinstance(row, EvaluationRow):
        told = (row.outcome, row.late, row.probe)
        return (row.optimizer, row.call, row.asked, row.x.tobytes(), repr(row.loss), *told)
    if isinstance(row, ValidationRow):
        return ("validation", row.optimizer, row.call, row.evaluation, repr(row.loss), row.outcome)
    text = "" if row.kind is EventKind.FAILURE else row.text
    return (row.kind, row.evaluation, row.optimizer, row.call, text, row.data)


def evaluations(rows):
    """Without `asked`: a run that ended, and was opened again, asked later for what it would have asked for at once."""
    return [(*row[:2], *row[3:]) for row in shape(rows, (EvaluationRow,))]


SETTINGS = {
    "dual_annealing": {"minimizer_kwargs": {"method": "Nelder-Mead"}},
    "shgo": {"n": 8, "sampling_method": "sobol"},
    "differential_evolution": {"popsize": 4},
}
SLOW = ("COBYLA", "COBYQA", "trust-constr")


def scipy(algorithm):
    block = Scipy(algorithm=algorithm, settings=SETTINGS.get(algorithm, {}))
    return strategy([block], 20 if algorithm in SLOW else 40)


CHEAP = [Scipy(), RandomSampling(number_of_samples=5), Scipy(algorithm="SLSQP")]
MIXED = [Scipy(), Scipy(algorithm="L-BFGS-B"), RandomSampling(number_of_samples=5), CMAES(popsize=4)]
STOPPERS = {
    "stoppers": [
        CurrentFunctionValueUnmoving(number_of_function_calls=4, tolerance=0.3),
        MaxInteroptimizerDistance(max_relative_distance=0.05),
        MaxFunctionCalls(max=16),
    ],
    "parallel_optimizers": 3,
}
FENCED = Space(
    [*PLANE, Parameter(name="c", tie="a + b", upper=2.5), Parameter(name="d", initial=1.0, active=False)],
    ["a < 1.5 + b"],
)
CASES = {
    **{algorithm: Case(scipy(algorithm)) for algorithm in (*LOCAL, *GLOBAL)},
    **{
        f"CMAES {sampler}": Case(strategy([CMAES(sampler=sampler, popsize=6)], 40, parallel_optimizers=1))
        for sampler in ("full", "vd", "vkd")
    },
    "random": Case(strategy([RandomSampling(number_of_samples=12)])),
    "Sobol": Case(strategy([SobolSampling(number_of_samples=16)])),
    "grid": Case(strategy([GridSampling(points_per_axis=4)])),
    "ARMC": Case(strategy([AdaptiveRateMonteCarlo(sub_iterations=6)])),
    "stopped": Case(strategy(MIXED, 44, **STOPPERS)),
    "ends by itself": Case(
        strategy(
            [Scipy(tolerance=0.1)], exit_conditions=[MaxOptimizersConverged(max=3)], parallel_optimizers=3
        )
    ),
    "one parameter": Case(strategy([Scipy(parameters=["b"]), CMAES(parameters=["b", "a"])], 40)),
    "fails now and then": Case(strategy(CHEAP, 44, **STOPPERS), loss=sometimes),
    "validated": Case(strategy(CHEAP, 40, validation={"problem": "elsewhere:loss", "every": 2}, **STOPPERS)),
    "fenced": Case(
        strategy(CHEAP, 44, **STOPPERS), FENCED, lambda x: sometimes(x[:2]) + 0.1 * float(x[2] * x[3])
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_wherever_it_is_cut_a_run_goes_on_as_if_nothing_had_been(case):
    whole = case.driven()
    assert len(whole.evaluations) >= 20
    for cut in range(len(whole.rows)):
        again = case.driven(whole.rows[:cut])
        assert again.rows[:cut] == whole.rows[:cut]
        assert shape(again.rows) == shape(whole.rows), f"cut after {cut} rows"
        assert [row.sequence for row in again.inputs] == list(range(len(again.inputs)))


class Watched(Manager):
    """Keeps what it is told and what it answers."""

    def __init__(self, *args):
        super().__init__(*args)
        self.log = []

    def handle(self, event):
        commands = super().handle(event)
        self.log.append((event, tuple(map(_plain, commands))))
        return commands


def _plain(command):
    if isinstance(command, Submit):
        return command._replace(x=command.x.tobytes(), point=command.point.tobytes())
    return command


def with_workers(case, workers, order):
    """A run whose evaluations come back in a random order, several at a time; its manager and its journal."""
    journal = Journal()
    manager = Watched(case.strategy, case.space, SEED)
    simulation = Simulation(workers, partial(random.Random(order).expovariate, 1.0))
    session = Session(manager, journal, simulation.clock)
    session.begin("the tests")
    simulation.drive(session, case.loss)
    return manager, journal


@pytest.mark.parametrize("order", [0, 2])
def test_with_workers_what_follows_a_replay_is_what_followed_then(order):
    validation = {"validation": {"problem": "elsewhere:loss"}} if order else {}
    blocks = [RandomSampling(number_of_samples=9), Scipy(), CMAES(popsize=6), Scipy(algorithm="SLSQP")]
    case = Case(strategy(blocks, 46, **STOPPERS | {"stoppers": [MaxFunctionCalls(max=4)]}, **validation))
    manager, journal = with_workers(case, 2, order)
    assert journal.of_kind(EventKind.DROPPED)
    assert any(row.late for row in journal.evaluations)
    for cut in range(len(manager.log) + 1):
        part = Journal(row for row in journal.rows if row.sequence < cut)
        again, replayed = case.replayed(part)
        assert _keys(replayed.outstanding) == _outstanding(manager.log[:cut])
        for event, commands in manager.log[cut:]:
            assert tuple(map(_plain, again.handle(event))) == commands


def _keys(submits):
    return {(submit.optimizer, submit.call, submit.validates > 0) for submit in submits}


def _outstanding(log):
    asked = set()
    for event, commands in log:
        if len(event) > 1:
            asked.remove((event.optimizer, event.call, isinstance(event, Validated)))
        asked |= _keys(it for it in commands if isinstance(it, Submit))
    return asked


@pytest.mark.parametrize("condition", [TimeLimit, TimeLimitThroughRestarts])
def test_a_run_that_is_paused_again_and_again_is_the_run_without_a_time_limit(condition):
    budget = MaxTotalFunctionCalls(max=40)
    plain = Case(strategy(CHEAP, **STOPPERS, exit_conditions=[budget])).driven()
    limited = strategy(CHEAP, **STOPPERS, exit_conditions=[budget, condition(seconds=60.0)])
    case = Case(limited, pace_s=1.0)
    rows = case.driven().rows
    assert rows[-1].kind is EventKind.TIME_UP
    for cut in range(len(rows) + 1):
        journal = Journal(rows[:cut])
        for _ in range(4):
            journal = case.driven(journal.rows)
        found = evaluations(journal.rows)
        assert found == evaluations(plain.rows)[: len(found)]
        assert len(found) == (40 if condition is TimeLimit else len(evaluations(rows)))


def test_what_is_lost_of_the_decisions_is_written_once():
    case = Case(strategy(CHEAP, 40, **STOPPERS), loss=sometimes)
    whole = case.driven()
    notes = Journal(whole.rows).notes
    for cut in (at for at, row in enumerate(whole.rows) if row in notes):
        once = Journal(whole.rows[:cut])
        case.session(once)
        twice = Journal(once.rows)
        case.session(twice)
        assert shape(once.rows) == shape(twice.rows) == shape(whole.rows)[: len(shape(once.rows))]
        assert case.replayed(twice)[1].unwritten == ()


def test_failures_keep_their_texts_and_their_number():
    case = CASES["fails now and then"]
    rows = case.driven().rows
    cut = next(at for at, row in enumerate(rows) if getattr(row, "kind", None) is EventKind.FAILURE)
    complete, torn = case.replayed(Journal(rows[: cut + 1]))[1], case.replayed(Journal(rows[:cut]))[1]
    assert complete.failures == torn.failures == 1
    assert complete.unwritten == ()
    assert torn.unwritten[0].kind is EventKind.FAILURE
    last = max(
        at for at, row in enumerate(rows) if isinstance(row, EvaluationRow) and row.outcome is Outcome.OK
    )
    again = case.driven(case.driven(rows[:last]).rows)
    assert {row.text for row in again.of_kind(EventKind.FAILURE)} == {
        "ValueError: a is too large",
        "the loss returned nan",
    }


TARGET_LOSS = 1.0
TARGET = strategy(
    [CMAES(popsize=8)], exit_conditions=[TargetFunctionValue(target=TARGET_LOSS)], baseline=False
)
LONGER = strategy([CMAES(popsize=8)], exit_conditions=[MaxTotalFunctionCalls(max=60)], baseline=False)


def test_a_run_whose_last_input_ended_it_drops_what_was_out_and_evaluates_nothing():
    case = Case(TARGET)
    whole = case.driven()
    last = max(at for at, row in enumerate(whole.rows) if isinstance(row, EvaluationRow))
    assert len(whole.of_kind(EventKind.DROPPED)) > 3
    for cut in range(last + 1, len(whole.rows) + 1):
        again = case.driven(whole.rows[:cut])
        assert shape(again.rows) == shape(whole.rows)


CHANGES = {
    "more budget, one by one": (strategy([CMAES(popsize=6)], 25), strategy([CMAES(popsize=6)], 45)),
    "more budget for two": (
        strategy([CMAES(popsize=6), Scipy()], 21, parallel_optimizers=2),
        strategy([CMAES(popsize=6), Scipy()], 45, parallel_optimizers=2),
    ),
    "what was dropped": (TARGET, LONGER),
}


def changed_run(before, after, loss=valley):
    """A run that has ended by its first settings, then by others; with the place where they were changed."""
    case = Case(before, loss=loss)
    journal = case.driven()
    at = len(journal.rows)
    case.change(journal, "after", after)
    return case, case.driven(journal.rows), at


@pytest.mark.parametrize(("before", "after"), CHANGES.values(), ids=CHANGES)
def test_a_run_that_gets_a_larger_budget_is_the_run_that_had_it_from_the_start(before, after):
    _, extended, at = changed_run(before, after)
    assert extended.of_kind(EventKind.GOES_ON)
    assert evaluations(extended.rows[:at]) != evaluations(extended.rows)
    assert evaluations(extended.rows) == evaluations(Case(after).driven().rows)


MORE_CHANGES = {
    "stoppers": (strategy(MIXED, 25), strategy(MIXED, 42, **STOPPERS)),
    "fewer at once": (strategy(CHEAP, 25, parallel_optimizers=4), strategy(CHEAP, 45, **STOPPERS)),
    "other blocks": (strategy([Scipy()], 15), strategy([RandomSampling(number_of_samples=4)], 35)),
}


@pytest.mark.parametrize(("before", "after"), [*CHANGES.values(), *MORE_CHANGES.values()])
def test_wherever_it_is_cut_after_a_change_of_settings_a_run_goes_on_as_if_nothing_had_been(before, after):
    case, whole, at = changed_run(before, after)
    assert len(evaluations(whole.rows[at:])) >= 15
    for cut in range(at + 1, len(whole.rows)):
        assert shape(case.driven(whole.rows[:cut]).rows) == shape(whole.rows)


def test_a_change_may_follow_where_decisions_were_lost():
    case, whole, at = changed_run(*CHANGES["more budget for two"])
    last = max(row for row in range(at) if isinstance(whole.rows[row], EvaluationRow))
    journal = Journal(whole.rows[: last + 1])
    case.change(journal, "after", CHANGES["more budget for two"][1])
    again = case.driven(journal.rows)
    assert evaluations(again.rows) == evaluations(whole.rows)
    assert case.driven(again.rows[:-4]).rows[-1].kind is EventKind.EXIT


@pytest.mark.parametrize("at_once", [1, 4])
def test_parallelism_may_be_changed_up_and_down(at_once):
    """Nobody is stopped for it; where fewer are wanted, whoever ends is not replaced."""
    samples = RandomSampling(number_of_samples=9)
    case = Case(strategy([samples], 9, parallel_optimizers=2))
    journal = case.driven()
    case.change(journal, "after", strategy([samples], 99, parallel_optimizers=at_once))
    session = case.session(journal)
    alive = []
    drive(session, lambda x: alive.append(session.manager.alive) or valley(x))
    assert alive[0] == max(at_once, 2)
    assert alive[40] == at_once


def test_a_run_that_failed_goes_on_once_its_loss_works():
    def broken(x):
        raise RuntimeError("no licence")

    samples = [RandomSampling(number_of_samples=1)]
    case = Case(strategy(samples, 99, baseline=False), loss=broken)
    journal = case.driven()
    assert "20 optimizers in a row" in journal.of_kind(EventKind.EXIT)[-1].text
    failed = len(journal.evaluations)
    case.change(journal, "after", strategy(samples, 60, baseline=False))
    case.loss = valley
    journal = case.driven(journal.rows)
    assert [row.outcome for row in journal.evaluations[failed:]] == [Outcome.OK] * (60 - failed)


def test_what_was_in_flight_when_a_run_ended_and_died_is_asked_again_when_it_goes_on():
    case = Case(TARGET)
    journal = Journal()
    session = case.session(journal)
    in_flight = [session.next() for _ in range(5)]
    while session.finish is None:
        submit = in_flight.pop()
        session.hand_back(Evaluated(submit.optimizer, submit.call, Outcome.OK, -1.0))
    assert in_flight
    case.change(journal, "after", LONGER)
    again = case.driven(journal.rows)
    assert len(again.evaluations) == 60
    assert {(it.optimizer, it.call) for it in in_flight} <= {
        (it.optimizer, it.call) for it in again.evaluations
    }


def without(rows, at):
    return [*rows[:at], *rows[at + 1 :]]


def test_a_journal_with_a_gap_is_refused():
    case = CASES["stopped"]
    rows = case.driven().rows
    at = next(at for at, row in enumerate(rows) if row.sequence == 9)
    with pytest.raises(DivergenceError, match="has input 10 where 9 should be"):
        case.replayed(Journal(without(rows, at)))


def test_every_decision_that_is_missing_or_too_many_is_noticed():
    case = CASES["stopped"]
    rows = case.driven().rows
    last = max(row.sequence for row in Journal(rows).inputs)
    notes = [at for at, row in enumerate(rows) if row in Journal(rows).notes and row.sequence < last]
    assert {rows[at].kind for at in notes} >= {EventKind.SPAWN, EventKind.STOPPED}
    for at in notes:
        with pytest.raises(DivergenceError, match=r"the journal has .*, and the replay"):
            case.replayed(Journal(without(rows, at)))
        with pytest.raises(DivergenceError, match=r"the journal has '.*' of optimizer"):
            case.replayed(Journal([*rows[:at], rows[at], *rows[at:]]))


def test_a_failure_whose_text_is_missing_is_noticed():
    case = CASES["fails now and then"]
    rows = case.driven().rows
    at = next(at for at, row in enumerate(rows) if getattr(row, "kind", None) is EventKind.FAILURE)
    with pytest.raises(DivergenceError, match=r"the journal misses why evaluation \d+ failed"):
        case.replayed(Journal(without(rows, at)))


def test_another_point_is_an_error_that_names_evaluation_optimizer_and_both_points():
    case = CASES["Nelder-Mead"]
    rows = case.driven().rows
    at = next(at for at, row in enumerate(rows) if getattr(row, "call", 0) == 6)
    row = rows[at]
    number = len(evaluations(rows[: at + 1]))
    elsewhere = row._replace(x=row.x + np.array([4e-9, 0.0]))
    with pytest.raises(DivergenceError) as caught:
        case.replayed(Journal([*rows[:at], elsewhere, *rows[at + 1 :]]))
    a, b = row.x.tolist()
    assert str(caught.value) == (
        f"evaluation {number} (call 6 of optimizer {row.optimizer}) was at {{'a': {elsewhere.x[0]}, 'b': {b}}}, and"
        f" now the optimizer asks for {{'a': {a}, 'b': {b}}}: 1.33e-09 apart in the unit cube, where 1e-09 are carried"
        " on"
    )
    assert caught.value.optimizer == row.optimizer


def test_a_call_that_was_never_asked_is_an_error_that_names_it():
    case = CASES["Nelder-Mead"]
    rows = case.driven().rows
    at = next(at for at, row in enumerate(rows) if getattr(row, "call", 0) == 6)
    with pytest.raises(
        DivergenceError, match=r"call 60 of optimizer \d at {'a'.*has not asked for"
    ) as caught:
        case.replayed(Journal([*rows[:at], rows[at]._replace(call=60), *rows[at + 1 :]]))
    assert caught.value.optimizer == rows[at].optimizer


@pytest.mark.parametrize("kind", ["evaluation", EventKind.SPAWN, EventKind.STOPPED])
def test_another_number_of_evaluations_that_were_asked_for_is_an_error(kind):
    case = CASES["stopped"]
    rows = case.driven().rows
    at = max(at for at, row in enumerate(rows) if kind is getattr(row, "kind", "evaluation"))
    field = "asked" if kind == "evaluation" else "call"
    optimizer, recorded = rows[at].optimizer, getattr(rows[at], field)
    other = rows[at]._replace(**{field: recorded + 3})
    words = (
        f"optimizer {optimizer} had asked for {recorded + 3} evaluations, and in this replay for {recorded}"
    )
    with pytest.raises(DivergenceError, match=words) as caught:
        case.replayed(Journal([*rows[:at], other, *rows[at + 1 :]]))
    assert caught.value.optimizer == optimizer


# Roundings


class Shaky:
    """Random numbers as another processor would have them, for a while."""

    def __init__(self, rng, shaken):
        self._rng = rng
        self._shaken = shaken

    def standard_normal(self, shape):
        numbers = self._rng.standard_normal(shape)
        if self._shaken > 0:
            self._shaken -= numbers.size
            return numbers * (1 + 1e-10)
        return numbers


@pytest.fixture
def shaky(monkeypatch):
    """Makes CMA-ES ask for points that differ a little, until so many random numbers were drawn."""
    strategy_of = CMAES._strategy

    def shake(shaken):
        monkeypatch.setattr(
            CMAES,
            "_strategy",
            lambda self, start: strategy_of(self, start._replace(rng=Shaky(start.rng, shaken))),
        )

    return shake


@pytest.mark.parametrize("sampler", ["full", "vd", "vkd"])
def test_points_that_were_rounded_elsewhere_count_as_recorded_and_differences_do_not_grow(shaky, sampler):
    block = CMAES(sampler=sampler, popsize=6, sigma0=0.05)
    case = Case(strategy([block], 199, parallel_optimizers=1, generator=SinglePoint()))
    whole = case.driven()
    at = next(at for at, row in enumerate(whole.rows) if getattr(row, "call", 0) == 1 + 6 * 24)
    part, rest = Journal(whole.rows[: at + 1]), evaluations(whole.rows[at + 1 :])
    shaky(2 * 6 * 24)
    manager, replayed = case.replayed(part)
    assert 1e-12 < replayed.difference < 1e-9
    member = manager.run.optimizers[0]
    recorded = [SPACE.to_unit(row.x) for row in part.evaluations if row.optimizer == 1]
    assert np.abs(member.latest_points(999) - recorded).max() <= 1e-15
    assert manager.run.best.x.tobytes() in {row.x.tobytes() for row in part.evaluations}
    asked = [SPACE.to_unit(submit.x) for submit in replayed.outstanding]
    wanted = [SPACE.to_unit(np.frombuffer(x)) for _, _, x, *_ in rest[: len(asked)]]
    assert len(asked) == 6
    assert np.abs(np.array(asked) - wanted).max() < 4e-12


def test_what_goes_on_after_a_rounding_is_the_same_in_every_later_replay(shaky):
    case = Case(strategy([CMAES(popsize=6)], 60, parallel_optimizers=1))
    rows = case.driven().rows[:40]
    shaky(math.inf)
    whole = case.driven(rows)
    assert len(whole.evaluations) == 60
    for cut in (41, 50, len(whole.rows) - 1):
        assert shape(case.driven(whole.rows[:cut]).rows) == shape(whole.rows)


# Divergence that somebody accepts

MOOD = {"popsize": 6, "shift": 0.0, "enough": math.inf}


class Fickle(Optimizer):
    """CMA-ES that goes another way after its first generation, or has enough of it, as MOOD says."""

    def steps(self, start):
        steps, calls = CMAES(popsize=MOOD["popsize"]).steps(start), 0
        batch = next(steps)
        while True:
            shift = MOOD["shift"] if calls else 0.0
            answers = yield Batch([np.clip(point + shift, 0.0, 1.0) for point in batch.points])
            calls += len(answers)
            if calls >= MOOD["enough"]:
                return End(EndKind.CONVERGED, "that is enough")
            try:
                batch = steps.send(answers)
            except StopIteration as stop:
                return stop.value

    def warm_up(self, dimension):
        return 7


MOODS = [{"popsize": 6, "shift": 0.2}, {"popsize": 9, "shift": 0.0}, {"popsize": 2, "shift": 0.0}]
FICKLE = strategy(
    [Fickle(), RandomSampling(number_of_samples=7), Scipy()],
    120,
    parallel_optimizers=3,
    stoppers=[MaxFunctionCalls(max=24)],
)


def accepting(case, journal):
    """As `shoal resume --accept-divergence` does it."""
    accepted = []
    while True:
        extents = accepted_pasts(journal.of_kind(EventKind.INTERVENTION)) | dict.fromkeys(accepted, Extent())
        events = [row for row in journal.rows if isinstance(row, EventRow)]
        pasts = read_pasts(extents, journal.evaluations, events, case.space)
        try:
            manager, replayed = case.replayed(journal, Manager(case.strategy, case.space, SEED, pasts))
        except DivergenceError as error:
            if error.optimizer in (0, *accepted):
                raise
            accepted.append(error.optimizer)
        else:
            return manager, replayed._replace(accepted=tuple(accepted))


def driven_accepting(case, rows):
    journal = Journal(rows)
    manager, replayed = accepting(case, journal)
    session = Session(manager, journal, lambda: 0.0)
    session.take_over(replayed)
    session.begin("the tests")
    drive(session, case.loss)
    return journal, replayed.accepted


def trajectories(manager):
    return [
        (member.is_alive, member.latest_losses(999).tolist(), member.latest_points(999).round(12).tolist())
        for member in manager.run.optimizers
    ]


def set_mood(monkeypatch, mood):
    for name, value in mood.items():
        monkeypatch.setitem(MOOD, name, value)


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("workers", [1, 3])
def test_wherever_a_divergence_is_accepted_all_others_are_what_they_were(monkeypatch, workers, mood):
    case = Case(FICKLE)
    _, whole = with_workers(case, workers, order=5)
    end = len(whole.rows)
    parts = [Journal(whole.rows[:cut]) for cut in (*range(2, end - 18, 12), *range(end - 18, end + 1, 3))]
    before = [trajectories(case.replayed(part)[0]) for part in parts]
    set_mood(monkeypatch, mood)
    seen = set()
    for part, trajectory in zip(parts, before, strict=True):
        manager, replayed = accepting(case, part)
        assert trajectories(manager) == trajectory
        seen |= {*replayed.accepted}
    assert seen >= {1, 4}
    assert all(manager.run.optimizers[number - 1].type == "Fickle" for number in seen)


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("workers", [1, 3])
def test_it_goes_on_from_its_best_and_so_it_does_in_every_later_replay(monkeypatch, workers, mood):
    case = Case(FICKLE)
    _, whole = with_workers(case, workers, order=5)
    set_mood(monkeypatch, mood)
    for cut in (20, 59, 112):
        rows = [row for row in whole.rows if row.sequence < cut]
        with pytest.raises(DivergenceError):
            case.driven(rows)
        journal, accepted = driven_accepting(case, rows)
        assert journal.rows[: len(rows)] == rows
        assert [row.optimizer for row in journal.of_kind(EventKind.INTERVENTION)] == [*accepted]
        assert journal.rows[-1].kind is EventKind.EXIT
        calls = [(row.optimizer, row.call) for row in journal.evaluations]
        assert len(calls) == len({*calls}) == 120
        for again in (len(rows) + 6, len(journal.rows)):
            repeated, accepted_again = driven_accepting(case, journal.rows[:again])
            assert shape(repeated.rows) == shape(journal.rows)
            assert accepted_again == ()


def test_it_starts_anew_at_its_best_point_after_what_it_had_asked_for(monkeypatch):
    case = Case(strategy([Fickle()], 60, parallel_optimizers=1))
    rows = case.driven().rows[:30]
    monkeypatch.setitem(MOOD, "shift", 0.2)
    asked = rows[-1].asked
    assert rows[-1].call < asked
    journal, accepted = driven_accepting(case, rows)
    assert accepted == (1,)
    own = [row for row in journal.evaluations if row.optimizer == 1]
    best = min(own[:asked], key=lambda row: row.loss)
    assert own[asked].call == asked + 1
    assert own[asked].x.tolist() == pytest.approx(best.x.tolist(), abs=1e-12)


@pytest.mark.parametrize("mood", MOODS)
def test_a_divergence_can_be_accepted_of_a_run_that_is_opened_again(monkeypatch, mood):
    """What is asked for when it goes on is not part of the past, although the journal has its start before."""
    generations = 1 + 6 * 2
    case = Case(strategy([Fickle()], 1 + generations, parallel_optimizers=1))
    journal = case.driven()
    assert journal.evaluations[-1].asked == generations  # the end of a batch
    case.change(journal, "after", strategy([Fickle()], 50, parallel_optimizers=1))
    set_mood(monkeypatch, mood)
    whole, accepted = driven_accepting(case, journal.rows)
    assert accepted == (1,)
    assert len(whole.evaluations) == 50
    (intervention,) = whole.of_kind(EventKind.INTERVENTION)
    assert intervention.call == generations
    for cut in range(whole.rows.index(intervention) + 1, len(whole.rows), 5):
        repeated, accepted_again = driven_accepting(case, whole.rows[:cut])
        assert shape(repeated.rows) == shape(whole.rows)
        assert accepted_again == ()


def test_an_end_that_was_lost_is_none_once_it_is_accepted_that_the_optimizer_goes_on(monkeypatch):
    case = Case(strategy([Fickle()], 60, parallel_optimizers=1))
    monkeypatch.setitem(MOOD, "enough", 20)
    whole = case.driven()
    rows = whole.rows[: whole.rows.index(whole.of_kind(EventKind.CONVERGED)[0])]
    set_mood(monkeypatch, {"enough": math.inf, "shift": 0.2})
    journal, accepted = driven_accepting(case, rows)
    assert accepted == (1,)
    assert max(row.call for row in journal.evaluations) == 59
    for cut in (len(rows) + 2, len(rows) + 9, len(journal.rows)):
        repeated, accepted_again = driven_accepting(case, journal.rows[:cut])
        assert shape(repeated.rows) == shape(journal.rows)
        assert accepted_again == ()


def of_an_earlier_shoal(row):
    """As schema 2 had it."""
    return row._replace(asked=-1) if isinstance(row, EvaluationRow) else row._replace(call=-1)


def test_what_an_earlier_shoal_wrote_goes_on_as_it_was_and_no_divergence_of_it_is_accepted(monkeypatch):
    case = Case(FICKLE)
    whole = case.driven()
    rows = [*map(of_an_earlier_shoal, whole.rows[:40]), *whole.rows[40:80]]
    again = case.driven(rows)
    assert shape(again.rows[40:]) == shape(whole.rows[40:])
    monkeypatch.setitem(MOOD, "shift", 0.2)
    with pytest.raises(
        DivergenceError, match="optimizer 1 does instead cannot be accepted: an earlier shoal"
    ):
        accepting(case, Journal(rows))
