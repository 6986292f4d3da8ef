"""The journal's side of a store.

Invariants:

* What was added is committed without any further call, by time and by number of evaluations.
* What cannot be written is raised by the next call, and is written as soon as it can be.
* A row that does not fit the run is refused at once and changes nothing.
* Who adds more than can be written waits.
* Who adds while a commit is made waits for it, but not for long.
* A run that was closed can be resumed.
* The space of a run is that which it was created with.
"""

from __future__ import annotations

import errno
import threading
import time

import numpy as np
import pytest

from optim.errors import StoreError
from optim.journal import EvaluationRow, EventKind, EventRow
from optim.outcome import Outcome
from optim.space import Parameter
from optim.store import RunWriter, layout, open_run, read_attributes
from optim.store.image import RunImage

NEVER_S = 3600.0
PATIENCE_S = 60.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


@pytest.fixture
def committed(monkeypatch) -> threading.Event:
    """Set after each commit."""
    event, commit = threading.Event(), RunImage.commit

    def commit_and_tell(image: RunImage) -> None:
        commit(image)
        event.set()

    monkeypatch.setattr(RunImage, "commit", commit_and_tell)
    return event


@pytest.fixture
def full_disk(monkeypatch):
    """Commits fail until it is called."""
    with monkeypatch.context() as patch:

        def fail(image: RunImage) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def begin() -> None:
            patch.setattr(RunImage, "commit", fail)

        begin.end = patch.undo
        yield begin


def test_what_was_added_is_committed_by_itself(path, rows, committed) -> None:
    with RunWriter.create(path, rows.parameters, flush_s=0.01) as writer:
        for place in range(3):
            committed.clear()
            writer.add_evaluation(rows.evaluation(place, optimizer=0))
            assert committed.wait(PATIENCE_S)
            assert open_run(path).evaluations().sizes["evaluation"] == place + 1


def test_many_waiting_evaluations_are_committed_before_their_time(path, rows, committed) -> None:
    with RunWriter.create(path, rows.parameters, flush_s=NEVER_S, flush_evaluations=3) as writer:
        committed.clear()
        for place in range(3):
            writer.add_evaluation(rows.evaluation(place, optimizer=0))
        assert committed.wait(PATIENCE_S)
        assert open_run(path).evaluations().sizes["evaluation"] == 3


def test_attributes_are_committed_by_themselves(path, rows, committed) -> None:
    with RunWriter.create(path, rows.parameters, {"status": "running"}, flush_s=0.01) as writer:
        committed.clear()
        writer.set_attributes(status="finished", elapsed_s=1.5)
        assert committed.wait(PATIENCE_S)
        attributes = read_attributes(path)
    assert (attributes["status"], attributes["elapsed_s"]) == ("finished", 1.5)


def test_nothing_is_committed_when_nothing_was_added(path, rows) -> None:
    with RunWriter.create(path, rows.parameters) as writer:
        before = read_attributes(path)["commit"]
        writer.flush()
        writer.flush()
    assert read_attributes(path)["commit"] == before


def test_a_full_disk_is_told_by_the_next_call_and_loses_nothing_that_was_taken(path, rows, full_disk) -> None:
    with RunWriter.create(path, rows.parameters, flush_s=0.01) as writer:
        full_disk()
        taken = 0

        def add_until_told() -> None:
            nonlocal taken
            while True:
                writer.add_evaluation(rows.evaluation(taken, optimizer=0))
                taken += 1

        with pytest.raises(StoreError, match="No space left"):
            add_until_told()
        with pytest.raises(StoreError, match="No space left"):
            writer.add_event(rows.session_start())
        with pytest.raises(StoreError, match="No space left"):
            writer.set_attributes(status="failed")
        with pytest.raises(StoreError, match="No space left"):
            writer.flush()
        full_disk.end()
        writer.flush()
        writer.add_evaluation(rows.evaluation(taken, optimizer=0))
    assert [row.sequence for row in open_run(path).evaluation_rows()] == list(range(taken + 1))


def test_who_adds_more_than_can_be_written_waits(path, rows, monkeypatch) -> None:
    written, commit = [], RunImage.commit
    writer = RunWriter.create(path, rows.parameters, flush_s=NEVER_S, flush_evaluations=2)

    def commit_slowly(image: RunImage) -> None:
        while image.size(layout.EVALUATIONS) + 8 > taken() and taken() < 50:  # as slow as can be
            time.sleep(0.001)
        written.append(image.size(layout.EVALUATIONS))
        commit(image)

    def taken() -> int:
        return writer._evaluated

    monkeypatch.setattr(RunImage, "commit", commit_slowly)
    for place in range(50):
        writer.add_evaluation(rows.evaluation(place, optimizer=0))
    writer.close()
    assert max(np.diff([0, *written])) <= 8
    assert len(list(open_run(path).evaluation_rows())) == 50


def test_who_adds_gives_way_to_a_commit(path, rows, monkeypatch) -> None:
    monkeypatch.setattr("optim.store.writer.GIVE_WAY_S", PATIENCE_S)
    began, done, commit = threading.Event(), threading.Event(), RunImage.commit

    def commit_in_a_moment(image: RunImage) -> None:
        began.set()
        time.sleep(0.05)
        done.set()
        commit(image)

    with RunWriter.create(path, rows.parameters, flush_s=0.001) as writer:
        monkeypatch.setattr(RunImage, "commit", commit_in_a_moment)
        writer.add_evaluation(rows.evaluation(0, optimizer=0))
        assert began.wait(PATIENCE_S)
        writer.add_evaluation(rows.evaluation(1, optimizer=0))
        assert done.is_set()


def test_who_adds_does_not_wait_for_a_disk_that_hangs(path, rows, monkeypatch) -> None:
    began, goes_on, commit = threading.Event(), threading.Event(), RunImage.commit

    def hang(image: RunImage) -> None:
        began.set()
        assert goes_on.wait(PATIENCE_S)
        commit(image)

    with RunWriter.create(path, rows.parameters, flush_s=0.001) as writer:
        monkeypatch.setattr(RunImage, "commit", hang)
        writer.add_evaluation(rows.evaluation(0, optimizer=0))
        assert began.wait(PATIENCE_S)
        for place in range(1, 10):
            writer.add_evaluation(rows.evaluation(place, optimizer=0))
        assert not list(open_run(path).evaluation_rows())
        goes_on.set()
    assert len(list(open_run(path).evaluation_rows())) == 10


def test_a_full_disk_at_the_end_is_told_by_close(path, rows, full_disk) -> None:
    writer = RunWriter.create(path, rows.parameters, flush_s=NEVER_S)
    writer.add_evaluation(rows.evaluation(0, optimizer=0))
    full_disk()
    with pytest.raises(StoreError, match="No space left"):
        writer.close()
    full_disk.end()
    writer.close()
    assert open_run(path).evaluations().sizes["evaluation"] == 1


def test_rows_that_the_store_cannot_hold_are_told_and_never_committed_in_part(path, rows) -> None:
    writer = RunWriter.create(path, rows.parameters, flush_s=NEVER_S)
    writer.add_evaluation(rows.evaluation(0, optimizer=0)._replace(attempts=10**6))
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot write"):
            writer.flush()
    with pytest.raises(StoreError, match="cannot write"):
        writer.close()
    assert open_run(path).evaluations().sizes["evaluation"] == 0


def test_a_closed_writer_refuses_rows_and_closes_again(path, rows) -> None:
    writer = RunWriter.create(path, rows.parameters)
    writer.close()
    writer.close()
    with pytest.raises(StoreError, match="is closed"):
        writer.add_event(rows.session_start())


def test_rows_that_do_not_fit_the_run_are_refused_at_once(path, rows) -> None:
    with RunWriter.create(path, rows.parameters, flush_s=NEVER_S) as writer:
        with pytest.raises(StoreError, match=r"shape \(2,\), got \(3,\)"):
            writer.add_evaluation(rows.evaluation(0, optimizer=0)._replace(x=np.zeros(3)))
        with pytest.raises(StoreError, match="optimizer 1 was not started"):
            writer.add_evaluation(rows.evaluation(0, optimizer=1))
        with pytest.raises(StoreError, match="next optimizer to start is 1, got 2"):
            writer.add_event(rows.spawn(0, 0, 2))
        with pytest.raises(StoreError, match="KeyError: 'x0'"):
            writer.add_event(rows.spawn(0, 0, 1)._replace(data='{"type": "Scipy"}'))
        writer.add_event(rows.spawn(0, 0, 1))
        with pytest.raises(StoreError, match="optimizer 2 was not started"):
            writer.add_event(EventRow(0, 0, EventKind.STOPPED, 2))
        with pytest.raises(StoreError, match="must be a JSON object"):
            writer.add_event(EventRow(0, 0, EventKind.STOPPED, 1, data="MaxFunctionCalls"))
        for evaluation in (0, 1):
            with pytest.raises(
                StoreError, match=f"evaluation {evaluation} cannot have been validated; there are 0"
            ):
                writer.add_validation(rows.validation(0, evaluation, optimizer=0))
    assert [row.kind for row in open_run(path).event_rows()] == [EventKind.SPAWN]


def test_validations_are_committed_by_themselves(path, rows, committed) -> None:
    with RunWriter.create(path, rows.parameters, flush_s=0.01) as writer:
        writer.add_evaluation(rows.evaluation(0, optimizer=0))
        writer.flush()
        committed.clear()
        writer.add_validation(rows.validation(1, evaluation=1, optimizer=0))
        assert committed.wait(PATIENCE_S)
        assert open_run(path).validations().sizes["validation"] == 1


def test_the_space_of_a_run_is_read_back(path) -> None:
    parameters = [
        Parameter(name="eps", initial=3e-4, lower=1e-5, upper=1e-2, scale="log", unit="hartree"),
        Parameter(name="sigma", initial=3.4, active=False),
        Parameter(name="rmin", tie="1.1225*sigma", upper=5.0),
    ]
    constraints = ["rmin > sigma"]
    with RunWriter.create(path, parameters, {"constraints": constraints}, flush_s=NEVER_S) as writer:
        writer.add_evaluation(
            EvaluationRow(0, 0, 1, 1, np.ones(3), 1.0, Outcome.OK, False, False, 1, 0.0, 0.0, 0.0, "")
        )
    reader = open_run(path)
    assert reader.space().parameters == tuple(parameters)
    assert reader.space().constraints == ("rmin > sigma",)
    assert reader.evaluations().sizes == {"evaluation": 1, "parameter": 3}
    assert reader.evaluations()["tie"].values.tolist() == ["", "", "1.1225*sigma"]


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_attributes_that_are_not_json_are_refused_at_once(value, path, rows) -> None:
    with RunWriter.create(path, rows.parameters) as writer:
        with pytest.raises(StoreError, match="must be JSON values"):
            writer.set_attributes(seed=value)
        with pytest.raises(StoreError, match="the store's own"):
            writer.set_attributes(commit=3)


def test_a_store_that_exists_is_not_overwritten(path, rows) -> None:
    RunWriter.create(path, rows.parameters).close()
    with pytest.raises(StoreError, match="exists"):
        RunWriter.create(path, rows.parameters)


def test_a_resumed_run_goes_on_where_it_was(path, rows) -> None:
    with RunWriter.create(path, rows.parameters, {"seed": 7, "status": "running"}) as writer:
        writer.add_event(rows.spawn(0, 0, 1))
        writer.add_evaluation(rows.evaluation(0, loss=2.0, worker="a"))
        writer.add_validation(rows.validation(1, evaluation=1, worker="c"))
    with RunWriter.resume(path) as writer:
        writer.set_attributes(status="finished")
        writer.add_event(rows.spawn(2, 1, 2))
        writer.add_evaluation(rows.evaluation(2, loss=1.0, worker="b"))
        writer.add_evaluation(rows.evaluation(3, optimizer=2, loss=3.0, worker="a"))
        writer.add_validation(rows.validation(4, evaluation=1, loss=0.5, worker="b"))
    reader = open_run(path)
    assert reader.attributes["seed"] == 7
    assert reader.attributes["status"] == "finished"
    assert [row.worker for row in reader.evaluation_rows()] == ["a", "b", "a"]
    assert [row.worker for row in reader.validation_rows()] == ["c", "b"]
    assert [row.sequence for row in reader.journal()] == [0, 1, 2, 3, 4]
    assert reader.evaluations()["validation_loss"].values[0] == 0.5
    assert reader.optimizers()["evaluations"].values.tolist() == [2, 1]
    assert reader.optimizers()["best_evaluation"].values.tolist() == [2, 3]


def test_a_run_whose_points_have_smaller_chunks_is_resumed_in_the_middle_of_one(
    path, rows, small_chunks, monkeypatch
) -> None:
    monkeypatch.setattr(layout, "_POINT_CHUNK_BYTES", 3 * 2 * 8)  # three points, for chunks of four rows
    written = [rows.evaluation(place, optimizer=0) for place in range(11)]
    with RunWriter.create(path, rows.parameters) as writer:
        for row in written[:6]:
            writer.add_evaluation(row)
    with RunWriter.resume(path) as writer:
        for row in written[6:]:
            writer.add_evaluation(row)
    assert rows.same(open_run(path).evaluation_rows(), written)


@pytest.mark.parametrize("dimension", [1, 10, 100, 1000, 10**6])
def test_chunks_of_points_stay_small_and_divide_those_of_the_group(dimension) -> None:
    for group in (layout.EVALUATIONS, layout.OPTIMIZERS):
        points = next(column for column in group.columns if column.is_point)
        chunk_rows, width = group.chunk_shape(points, dimension)
        assert width == dimension
        assert group.chunk_rows % chunk_rows == 0
        assert chunk_rows == 1 or chunk_rows * width * 8 <= 2**20
