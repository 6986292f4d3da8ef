"""The living session and the store show the same run.

Invariants: whenever everything is committed, both snapshots agree in all that both can know; a store is read row by
row, each once; what a run has come to is told from its status and its lock; whatever a store says, there is a snapshot.
"""

import json
import math

import numpy as np
import pytest

from flows.reports.from_session import SessionSource
from flows.reports.from_store import GONE, StoreSource
from flows.reports.snapshot import progress_line
from flows.settings import RunSettings
from optim.journal import EventKind, EventRow
from optim.manager import Manager
from optim.outcome import Outcome
from optim.replay import Replayed
from optim.session import Session
from optim.space import Parameter, Space
from optim.store import RunFolder, RunWriter
from optim.store.columns import Columns

SPACE = Space([Parameter(name=name, initial=0.5, lower=-1.0, upper=2.0) for name in "ab"])
SETTINGS = RunSettings.model_validate(
    {
        "problem": "elsewhere:loss",
        "seed": 5,
        "parallel_optimizers": 3,
        "generator": {"type": "Random"},
        "optimizer": [{"type": "Scipy"}, {"type": "CMAES", "label": "evolution"}],
        "stopper": [{"type": "MaxFunctionCalls", "max": 12}],
        "exit_condition": [
            {"type": "MaxTotalFunctionCalls", "max": 300},
            {"type": "TargetFunctionValue", "target": -5.0},
            {"type": "TimeLimit", "seconds": 1000},
            {"type": "ValidationLossUnmoving", "number_of_validations": 500},
        ],
        "exit_condition_boolean_combination": "1 | 2 & 3 | 4",
        "validation": {"problem": "elsewhere:validation", "every": 3},
    }
)
ATTRIBUTES = {
    "status": "running",
    "problem": "elsewhere",
    "seed": 5,
    "settings": SETTINGS.model_dump(mode="json"),
    "session_began_at": 4e9,  # long after the lock was taken
    "session_began_s": 50.0,
}


class Place:
    """A session in a folder, evaluated by hand; its clock goes on by 0.125 s with each loss."""

    def __init__(self, path):
        self.folder = RunFolder.create(path, b"", name="one")
        self.lock = self.folder.lock()
        self.writer = RunWriter.create(self.folder.store, SPACE.parameters, ATTRIBUTES, flush_s=999)
        self.now_s = 50.0
        self.living = None
        manager = Manager(SETTINGS, SPACE, 5)
        self.session = Session(manager, self.writer, lambda: self.now_s, self.listen)
        self.session.take_over(Replayed((), frozenset(), 0, (), 0, 0.0, 50.0))
        self.session.begin("the tests")
        self.living = SessionSource("one", "elsewhere", self.session)

    def listen(self, announce):
        if self.living:
            self.living.listen(announce)

    def evaluate(self, count):
        for _ in range(count):
            submit = self.session.next()
            if submit is None:
                break
            loss = float(((submit.x - 0.3) ** 2).sum())
            outcome = Outcome.OK if submit.x[0] < 1.5 else Outcome.EXCEPTION
            started_s, self.now_s = self.now_s, self.now_s + 0.125
            self.session.hand_back(submit.answered(outcome, loss, started_s, self.now_s, "here", text="no"))
        self.writer.flush()

    def stored(self):
        return StoreSource("one", str(self.folder.store), self.folder, lambda: self.now_s - 50.0 + 4e9)

    def end(self, **attributes):
        self.writer.set_attributes(**attributes)
        self.writer.close()
        self.lock.release()


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.writer.close()
    made.lock.release()


def known_to_both(snapshot):
    standing = snapshot.standing
    validations = [standing.validations.lowest_until(n + 1) for n in range(len(standing.validations))]
    return {
        "standing": standing._replace(validations=validations, stopped_before=[*standing.stopped_before]),
        "best": snapshot.best,
        "descent": [*snapshot.descent],
        "conditions": snapshot.conditions,
        "combination": snapshot.combination,
        "alive": snapshot.alive,
        "living": repr(snapshot.living),
        "ends": [*snapshot.ends],
        "elapsed_s": snapshot.elapsed_s,
        "failures": snapshot.failures,
        "workers": snapshot.workers,
        "state": snapshot.state,
    }


def test_both_show_the_same_all_along(place):
    stored = place.stored()
    for count in (1, 1, 7, 60, 90, 100):
        place.evaluate(count)
        stored.look()
        assert known_to_both(stored.snapshot()) == known_to_both(place.living.snapshot())
    snapshot = stored.snapshot()
    assert snapshot.failures > 0
    assert snapshot.ends
    assert len(snapshot.standing.validations) > 1
    assert {row.title for row in snapshot.ends} == {"Nelder-Mead", "evolution"}


def test_who_attaches_late_sees_what_who_was_there_sees(place):
    stored = place.stored()
    for _ in range(5):
        place.evaluate(40)
        stored.look()
    assert known_to_both(place.stored().snapshot()) == known_to_both(stored.snapshot())


def test_each_row_is_read_once(place, monkeypatch):
    place.evaluate(50)
    read = []

    def noting(self, group, start=0, stop=None, names=None, real=Columns.read):
        read.append((group.name, start, stop))
        return real(self, group, start, stop, names)

    monkeypatch.setattr(Columns, "read", noting)
    stored = place.stored()
    place.evaluate(10)
    stored.look()
    stored.look()
    rows = [(start, stop) for name, start, stop in read if name == "evaluations"]
    assert [stop for _, stop in rows[:-1]] == [start for start, _ in rows[1:]]
    assert rows[-1][1] == place.session.manager.run.evaluations
    assert "optimizers" not in {name for name, *_ in read}


def test_both_tell_speed_workers_and_when_it_will_end(place):
    stored = place.stored()
    for _ in range(10):
        place.evaluate(20)
        place.living.snapshot()
        stored.look()
    for snapshot in (stored.snapshot(), place.living.snapshot()):
        assert snapshot.rates.per_s == pytest.approx(8, rel=0.3)
        assert snapshot.rates.busy == pytest.approx(1.0, rel=0.15)
        assert snapshot.workers == 1
        assert snapshot.left.by.startswith("MaxTotalFunctionCalls at ")
        assert "failed), best" in progress_line(snapshot)
        assert progress_line(snapshot).endswith(str(snapshot.left))


def test_the_clock_of_a_run_goes_on_while_somebody_works_on_it(place):
    place.evaluate(10)
    stored = place.stored()
    before_s = stored.snapshot().elapsed_s
    place.now_s += 100.0
    assert stored.snapshot().elapsed_s == pytest.approx(before_s + 100.0)
    assert stored.snapshot().standing.session_s == pytest.approx(before_s + 50.0)
    place.end(status="paused", reason="enough")
    stored.look()
    assert stored.snapshot().elapsed_s == pytest.approx(before_s)


@pytest.mark.parametrize("status", ["paused", "running"])
def test_who_is_about_to_go_on_with_a_run_does_not_make_its_clock_run(place, status):
    place.evaluate(10)
    watch = StoreSource("one", str(place.folder.store), place.folder, lambda: 4e9 + 77.0)
    assert watch.snapshot().elapsed_s == 127.0
    # what was before the lock was taken is of an earlier session, and a run that is paused has none
    began_at = 1000.0 if status == "running" else 4e9
    place.writer.set_attributes(status=status, session_began_at=began_at)
    place.writer.flush()
    watch.look()
    assert not watch.is_over
    assert watch.snapshot().elapsed_s == pytest.approx(place.now_s)


@pytest.mark.parametrize("status", ["paused", "finished", "failed"])
def test_a_run_is_over_once_nobody_holds_it(place, status):
    stored = place.stored()
    place.writer.set_attributes(status=status, reason="a\nreason")
    place.writer.flush()
    stored.look()
    assert not stored.is_over
    place.end()
    stored.look()
    assert (stored.state, stored.is_over, stored.reason) == (status, True, "a reason")
    assert stored.snapshot().left is None


def test_a_run_that_nobody_works_on_and_that_has_not_ended_is_left_behind(place):
    place.evaluate(30)
    place.end()
    stored = place.stored()
    assert stored.state == stored.snapshot().state == GONE


def test_behind_a_url_only_the_status_counts(place):
    place.evaluate(30)
    stored = StoreSource("one", place.folder.store.as_uri(), None, lambda: 4e9)
    assert stored.state == "running"
    place.end(status="paused")
    stored.look()
    assert stored.is_over


def test_suspended_optimizers_come_back_when_the_run_goes_on(place):
    place.evaluate(400)
    stored = place.stored()
    assert place.session.finish
    assert stored.snapshot().alive == 0
    living = [member.number for member in place.session.manager.run.optimizers if member.is_alive]
    inputs, evaluations = 10**6, place.session.manager.run.evaluations
    settings = json.loads(json.dumps(ATTRIBUTES["settings"]))
    settings["exit_conditions"][0]["max"] = 7777
    data = json.dumps({"settings": settings})
    place.writer.add_event(EventRow(inputs, evaluations, EventKind.SETTINGS_CHANGED, text="more", data=data))
    for number in living:
        place.writer.add_event(EventRow(inputs, evaluations, EventKind.GOES_ON, number, text="more"))
    place.writer.flush()
    stored.look()
    snapshot = stored.snapshot()
    assert [row.number for row in snapshot.living] == living
    assert all(row.calls > 0 for row in snapshot.living)
    assert snapshot.conditions[0].progress.of == 7777


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"exit_conditions": 5},
        {"exit_conditions": [5, {}, {"type": "Nobody"}, {"type": "TimeLimit", "seconds": "x"}]},
        {"exit_conditions": [{"type": "MaxTotalFunctionCalls", "max": 10**400}]},
        {"exit_conditions": [], "exit_condition_boolean_combination": "1 | 7"},
        {"exit_conditions": [], "exit_condition_boolean_combination": 7},
    ],
    ids=str,
)
def test_settings_that_nobody_understands_do_no_harm(place, settings):
    place.evaluate(40)
    place.writer.set_attributes(settings=settings, session_began_s=1e308, session_began_at=-1e308)
    place.writer.flush()
    snapshot = place.stored().snapshot()
    given = settings.get("exit_conditions")
    assert len(snapshot.conditions) == (len(given) if isinstance(given, list) else 0)
    assert snapshot.left is None
    assert progress_line(snapshot)


def test_a_store_that_says_no_times_has_those_of_its_rows(place):
    place.evaluate(40)
    root = place.folder.store / "zarr.json"
    document = json.loads(root.read_bytes())
    del document["attributes"]["session_began_at"], document["attributes"]["session_began_s"]
    root.write_text(json.dumps(document))
    snapshot = place.stored().snapshot()
    assert snapshot.elapsed_s == pytest.approx(place.now_s)
    assert snapshot.standing.earlier_s == 0


def test_thousands_of_bests_and_optimizers_stay_a_picture(place):
    from flows.reports.snapshot import MOST_LIVING

    data = json.dumps({"type": "T", "label": "L", "settings": {}, "generator": "", "x0": [0.0, 0.0]})
    for number in range(1, 1501):
        started = place.session.manager.run.started
        place.writer.add_event(EventRow(10**6, 0, EventKind.SPAWN, started + number, data=data))
    place.writer.flush()
    snapshot = place.stored().snapshot()
    assert snapshot.alive == snapshot.standing.started >= 1500
    assert len(snapshot.living) == MOST_LIVING
    assert all(math.isinf(row.best_loss) or np.isfinite(row.best_loss) for row in snapshot.living)
