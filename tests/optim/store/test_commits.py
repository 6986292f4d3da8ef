"""A store compared with a model in memory, over random journals, commits, deaths and resumptions.

Invariants:

* A reader sees exactly the last commit: its rows, its attributes, and the table of optimizers that follows
  from its rows.
* A process that dies at any file of a commit changes nothing that a reader or a successor sees, whatever
  becomes of the files that it left.
* Growing over the ends of chunks, and resuming in the middle of one, loses and repeats nothing.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from unittest import mock

import pytest
import xarray as xr
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from optim.errors import StoreError
from optim.journal import INPUT_KINDS, EvaluationRow, EventKind, EventRow, ValidationRow
from optim.outcome import Outcome
from optim.store import atomic, open_run
from optim.store.image import RunImage
from optim.store.layout import OPTIMIZERS

pytestmark = pytest.mark.usefixtures("small_chunks")

FILES_OF_A_COMMIT = 80
"""More than any commit of these tests writes."""


class Killed(BaseException):
    """Stands for the death of the process."""


def death_at_file(count: int) -> AbstractContextManager[object]:
    """Until the context ends, the file of that number (from 0) and all later ones are never put in place."""
    real, calls = atomic.os.replace, []

    def replace(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > count:
            raise Killed
        real(source, target)

    return mock.patch.object(atomic.os, "replace", replace)


class RunMachine(RuleBasedStateMachine):
    def __init__(self, rows) -> None:
        super().__init__()
        self.rows = rows
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "run.zarr"
        self.image = RunImage.create(self.path, rows.parameters, {"round": 0})
        self.committed: tuple[list, list, list, int] = ([], [], [], 0)
        self.evaluations: list[EvaluationRow] = []
        self.validations: list[ValidationRow] = []
        self.events: list[EventRow] = []
        self.round = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    @property
    def started(self) -> int:
        return sum(row.kind is EventKind.SPAWN for row in self.events)

    @property
    def sequence(self) -> int:
        inputs = sum(row.kind in INPUT_KINDS for row in self.events)
        return len(self.evaluations) + len(self.validations) + inputs

    def add(
        self,
        evaluations: Sequence[EvaluationRow] = (),
        events: Sequence[EventRow] = (),
        validations: Sequence[ValidationRow] = (),
    ) -> None:
        self.image.absorb(evaluations, events, validations)
        self.evaluations += evaluations
        self.validations += validations
        self.events += events

    def note_commit(self) -> None:
        self.round += 1
        self.committed = (self.evaluations[:], self.validations[:], self.events[:], self.round)

    @rule(
        results=st.lists(
            st.tuples(
                st.integers(0, 20),
                st.sampled_from(Outcome),
                st.sampled_from([0.5, 0.25, -1.0, math.inf, math.nan]) | st.floats(),
                st.booleans(),
                st.sampled_from(["", "a", "b", "ü"]),
            ),
            max_size=9,
        )
    )
    def evaluate(self, results) -> None:
        first = self.sequence
        self.add(
            [
                self.rows.evaluation(
                    first + place, optimizer % (self.started + 1), place, loss, outcome, late, worker
                )
                for place, (optimizer, outcome, loss, late, worker) in enumerate(results)
            ]
        )

    @precondition(lambda self: self.evaluations)
    @rule(
        results=st.lists(
            st.tuples(
                st.integers(0, 50),
                st.sampled_from(Outcome),
                st.sampled_from([0.5, math.inf, math.nan]) | st.floats(),
                st.sampled_from(["", "b", "c"]),
            ),
            max_size=9,
        )
    )
    def validate(self, results) -> None:
        first, count = self.sequence, len(self.evaluations)
        self.add(
            validations=[
                self.rows.validation(first + place, 1 + index % count, 0, loss, outcome, worker)
                for place, (index, outcome, loss, worker) in enumerate(results)
            ]
        )

    @rule(count=st.integers(1, 5))
    def spawn(self, count: int) -> None:
        first = self.started + 1
        self.add(
            events=[
                self.rows.spawn(self.sequence, len(self.evaluations), first + place) for place in range(count)
            ]
        )

    @rule(kind=st.sampled_from(EventKind), text=st.text(max_size=20), optimizer=st.integers(-1, 20))
    def happen(self, kind: EventKind, text: str, optimizer: int) -> None:
        if kind is not EventKind.SPAWN:
            who = min(optimizer, self.started)
            data = json.dumps({"a": 1, "verdicts": text})
            self.add(events=[EventRow(self.sequence, len(self.evaluations), kind, who, 7, text, data)])

    @rule()
    def commit(self) -> None:
        self.image.set_attributes({"round": self.round + 1})
        self.image.commit()
        self.note_commit()
        self.check()

    @precondition(lambda self: self.sequence > 0)
    @rule(count=st.integers(0, FILES_OF_A_COMMIT), is_littered=st.booleans())
    def die_while_committing(self, count: int, is_littered: bool) -> None:
        self.image.set_attributes({"round": self.round + 1})
        before = (self.path / "zarr.json").read_bytes()
        with death_at_file(count), suppress(Killed):
            self.image.commit()
        if (self.path / "zarr.json").read_bytes() != before:
            self.note_commit()
        if is_littered:
            for partial in self.path.rglob("*.partial"):
                partial.write_bytes(b"torn")
        self.check()
        self.image = RunImage.load(self.path)
        self.evaluations, self.validations, self.events = (rows[:] for rows in self.committed[:3])

    def check(self) -> None:
        evaluations, validations, events, number = self.committed
        reader = open_run(self.path)
        assert reader.attributes["round"] == number
        assert self.rows.same(reader.evaluation_rows(), evaluations)
        assert self.rows.same(reader.validation_rows(), validations)
        assert self.rows.same(reader.event_rows(), events)
        inputs = [*evaluations, *validations, *(row for row in events if row.kind in INPUT_KINDS)]
        assert self.rows.same(reader.journal(), sorted(inputs, key=lambda row: row.sequence))
        losses = reader.evaluations()["validation_loss"].to_numpy().tolist()
        assert repr(losses) == repr(self.rows.validation_losses_by_hand(evaluations, validations))
        optimizers = reader.optimizers()
        table = {name: optimizers[name].to_numpy().tolist() for name in self.rows.derived}
        assert repr(table) == repr(self.rows.optimizers_by_hand(evaluations, events))


def test_a_reader_sees_exactly_the_last_commit_over_any_life_of_a_run(rows) -> None:
    run_state_machine_as_test(
        lambda: RunMachine(rows),
        settings=settings(
            max_examples=8,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_a_death_at_each_file_of_a_commit_leaves_the_commit_before_or_the_new_one(rows, tmp_path) -> None:
    committed = [rows.evaluation(place) for place in range(6)]
    added = [rows.evaluation(place, loss=-1.0) for place in range(6, 11)]
    seen = []
    for count in range(FILES_OF_A_COMMIT):
        path = tmp_path / f"{count}.zarr"
        image = RunImage.create(path, rows.parameters, {})
        image.absorb(committed, [rows.spawn(0, 0, 1)])
        image.commit()
        image.absorb(
            added, [EventRow(11, 11, EventKind.STOPPED, 1, -1, "stuck")], [rows.validation(12, evaluation=11)]
        )
        try:
            with death_at_file(count):
                image.commit()
        except Killed:
            pass
        else:
            break
        tree = xr.open_datatree(path, engine="zarr")
        seen.append(
            (
                tree["evaluations"].sizes["evaluation"],
                tree["validations"]["loss"].values.tolist(),
                tree["events"].sizes["event"],
                str(tree["optimizers"]["end"].values[0]),
                int(tree["optimizers"]["evaluations"].values[0]),
                float(tree["optimizers"]["best_loss"].values[0]),
                tree["evaluations"]["loss"].values.tolist(),
            )
        )
    losses = [row.loss for row in committed]
    old = (6, [], 1, "", 6, 1.5, losses)
    new = (11, [2.5], 2, "stopped", 11, -1.0, losses + [-1.0] * 5)
    switch = seen.index(new)
    assert switch > 20
    assert seen == [old] * switch + [new] * (len(seen) - switch)


@pytest.mark.parametrize("count", [0, 3, 9])
def test_a_run_that_died_before_its_first_commit_can_be_created_again(count, rows, tmp_path) -> None:
    path = tmp_path / "run.zarr"
    with death_at_file(count), suppress(Killed):
        RunImage.create(path, rows.parameters, {})
    made = (path / "zarr.json").exists()
    with pytest.raises(StoreError, match="exists") if made else nullcontext():
        RunImage.create(path, rows.parameters, {})
    assert open_run(path).dimension == 2


@pytest.mark.parametrize("fate", ["left", "truncated", "deleted", "replaced by garbage"])
def test_what_becomes_of_uncommitted_files_does_not_matter(fate, rows, tmp_path) -> None:
    path = tmp_path / "run.zarr"
    image = RunImage.create(path, rows.parameters, {})
    first = [rows.evaluation(place, optimizer=0) for place in range(8)]
    image.absorb(first, [])
    image.commit()
    names_before = {file for file in path.rglob("*") if file.is_file()}

    image.absorb([rows.evaluation(place, optimizer=0) for place in range(8, 30)], [])
    with death_at_file(45), pytest.raises(Killed):
        image.commit()
    left = [file for file in path.rglob("*") if file.is_file() and file not in names_before]
    assert len(left) > 10
    for file in left:
        if fate == "truncated":
            file.write_bytes(file.read_bytes()[:7])
        elif fate == "deleted":
            file.unlink()
        elif fate == "replaced by garbage":
            file.write_bytes(b"garbage")

    assert rows.same(open_run(path).evaluation_rows(), first)
    image = RunImage.load(path)
    second = [rows.evaluation(place, optimizer=0, loss=2.0) for place in range(8, 19)]
    image.absorb(second, [])
    image.commit()
    assert rows.same(open_run(path).evaluation_rows(), first + second)


def files_of_a_commit(image: RunImage) -> list[Path]:
    real, targets = atomic.os.replace, []

    def replace(source: Path, target: Path) -> None:
        targets.append(target)
        real(source, target)

    with mock.patch.object(atomic.os, "replace", replace):
        image.commit()
    return targets


def test_what_a_commit_writes_does_not_grow_with_the_run(rows, tmp_path) -> None:
    image = RunImage.create(tmp_path / "run.zarr", rows.parameters, {})
    counts = []
    for length in (1, 50):
        for _ in range(length):
            image.absorb(
                [rows.evaluation(9)], [rows.spawn(9, 9, image.size(OPTIMIZERS) + 1), rows.session_start()]
            )
        image.commit()
        image.commit()
        image.absorb([rows.evaluation(9)], [rows.session_start()])
        counts.append(len(files_of_a_commit(image)))
    assert counts[0] == counts[1]


def test_a_commit_writes_nothing_of_a_group_without_new_rows(rows, tmp_path) -> None:
    image = RunImage.create(tmp_path / "run.zarr", rows.parameters, {})
    written = []
    for validations in ([], [rows.validation(0, evaluation=1, optimizer=0)], []):
        image.absorb([rows.evaluation(9, optimizer=0, worker="")], [], validations)
        written.append(any("validations" in file.parts for file in files_of_a_commit(image)))
    assert written == [False, True, False]
