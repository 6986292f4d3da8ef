"""Following a run that is being written.

Invariants: every row is given out once, in order, over the borders of chunks; only what was committed shows; a look
without a new commit reads the root document and nothing else; another run in the same place is an error.
"""

import shutil

import pytest

from optim.errors import DamagedStoreError, StoreError
from optim.store import EVALUATIONS, EVENTS, VALIDATIONS, RunWriter, Tail, open_run
from optim.store.files import LocalFiles

pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.fixture
def writer(tmp_path, rows):
    with RunWriter.create(tmp_path / "run.zarr", rows.parameters, {"status": "running"}, flush_s=999) as made:
        made.add_event(rows.spawn(0, 0, 1))
        made.flush()
        yield made


@pytest.fixture
def tail(tmp_path, writer):
    return Tail(tmp_path / "run.zarr")


def calls(tail):
    return [call for rows in tail.rows(EVALUATIONS, ["call"]) for call in rows["call"].tolist()]


def add(writer, rows, numbers):
    for number in numbers:
        writer.add_evaluation(rows.evaluation(number, call=number))
    writer.flush()


def test_each_row_is_given_out_once_and_in_order(tail, writer, rows):
    assert calls(tail) == []
    add(writer, rows, range(1, 11))
    assert calls(tail) == []  # nobody has looked
    assert tail.look()
    assert calls(tail) == [*range(1, 11)]
    assert calls(tail) == []
    add(writer, rows, range(11, 14))
    add(writer, rows, range(14, 15))
    assert tail.look()
    assert calls(tail) == [11, 12, 13, 14]


def test_what_is_not_committed_does_not_show(tail, writer, rows):
    writer.add_evaluation(rows.evaluation(1))
    assert not tail.look()
    writer.flush()
    assert tail.look()


def test_groups_are_followed_independently_and_only_named_arrays_are_read(tail, writer, rows):
    add(writer, rows, [1, 2])
    writer.add_validation(rows.validation(3, evaluation=1))
    writer.set_attributes(status="paused")
    writer.flush()
    tail.look()
    (events,) = tail.rows(EVENTS, ["kind", "text"])
    assert {name: values.tolist() for name, values in events.items()} == {
        "kind": ["spawn"],
        "text": ["started at random"],
    }
    assert [rows["loss"].tolist() for rows in tail.rows(VALIDATIONS, ["loss"])] == [[2.5]]
    assert calls(tail) == [1, 2]
    assert tail.attributes["status"] == "paused"


def test_a_look_without_news_reads_one_file(tail, writer, rows, monkeypatch):
    add(writer, rows, range(1, 9))
    tail.look()
    calls(tail)
    read = []
    monkeypatch.setattr(
        LocalFiles, "read", lambda self, key, real=LocalFiles.read: read.append(key) or real(self, key)
    )
    assert not tail.look()
    assert calls(tail) == []
    assert read == ["zarr.json"]


def test_it_reads_from_any_url(writer, tmp_path, rows):
    add(writer, rows, [1, 2, 3])
    assert calls(Tail((tmp_path / "run.zarr").as_uri())) == [1, 2, 3]


def test_another_run_in_its_place_is_an_error(tail, writer, tmp_path, rows):
    add(writer, rows, [1, 2, 3])
    tail.look()
    calls(tail)
    shutil.rmtree(tmp_path / "run.zarr")
    with pytest.raises(StoreError, match="there is no run"):
        tail.look()
    with RunWriter.create(tmp_path / "run.zarr", rows.parameters, {}):
        assert tail.look()
        with pytest.raises(StoreError, match="replaced by another run"):
            calls(tail)


def test_damage_is_an_error_that_names_the_chunk(tail, writer, tmp_path, rows):
    add(writer, rows, [1, 2, 3])
    tail.look()
    (tmp_path / "run.zarr/evaluations/loss/c/0").unlink()
    with pytest.raises(DamagedStoreError, match="evaluations/loss/c/0"):
        list(tail.rows(EVALUATIONS, ["loss"]))


def test_columns_by_name_are_those_that_a_reader_gives(tail, writer, tmp_path, rows):
    add(writer, rows, range(1, 8))
    tail.look()
    whole = open_run(tmp_path / "run.zarr").columns(EVALUATIONS)
    found = [chunk["finished_s"].tolist() for chunk in tail.rows(EVALUATIONS, ["finished_s", "worker"])]
    assert [*found[0], *found[1]] == whole["finished_s"].tolist()
