"""Damage in what was committed is an error that names what is damaged.

Invariants:

* A chunk that is missing, truncated or changed is never read as values.
* What is no run, or a run of a newer schema, is refused with a message.
"""

from __future__ import annotations

import json

import fsspec
import pytest
import zarr

from optim.errors import DamagedStoreError, SchemaError, StoreError
from optim.journal import EventKind, EventRow
from optim.store import RunWriter, open_run, read_attributes
from optim.store.columns import Columns
from optim.store.image import RunImage
from optim.store.layout import EVALUATIONS, EVENTS, GROUPS, OPTIMIZERS, PARAMETERS, VALIDATIONS


@pytest.fixture
def path(tmp_path, rows, small_chunks):
    """A finished run of six evaluations, validations and optimizers, and seven events, in chunks of four rows."""
    with RunWriter.create(tmp_path / "run.zarr", rows.parameters, {"status": "finished"}) as writer:
        writer.add_event(rows.session_start())
        for number in range(1, 7):
            writer.add_event(rows.spawn(number, number, number))
            writer.add_evaluation(rows.evaluation(number, optimizer=number))
            writer.add_validation(rows.validation(number, evaluation=number, optimizer=number))
    return tmp_path / "run.zarr"


def read_all(path) -> None:
    reader = open_run(path)
    for group in GROUPS:
        reader.columns(group)


def chunks_of_last_commit(path) -> list[str]:
    documents = json.loads((path / "zarr.json").read_bytes())["consolidated_metadata"]["metadata"]
    keys = []
    for group in GROUPS:
        for column in group.columns:
            between = documents[group.path(column)]["chunk_key_encoding"]["configuration"]["separator"]
            for index in range(1 if group is PARAMETERS else 2):
                parts = ["c", str(index), *(["0"] if column.is_point else [])]
                keys.append(f"{group.path(column)}/{between.join(parts)}")
    return keys


def test_each_missing_chunk_is_named(path) -> None:
    keys = chunks_of_last_commit(path)
    assert len(keys) == 8 + 2 * (14 + 11 + 7 + 14)
    opened = open_run(path)
    use_of = {
        "evaluations": lambda: opened.columns(EVALUATIONS),
        "validations": lambda: opened.columns(VALIDATIONS),
        "events": lambda: opened.columns(EVENTS),
    }
    for key in keys:
        use = use_of.get(key.split("/")[0], lambda: read_all(path))
        data = (path / key).read_bytes()
        (path / key).unlink()
        with pytest.raises(DamagedStoreError, match=f"the chunk {key} of .* is missing"):
            use()
        (path / key).write_bytes(data)
    read_all(path)


@pytest.mark.parametrize(
    "key",
    ["evaluations/loss/c/1", "evaluations/x/c/0/0", "validations/loss/c/1", "events/text/c/1", "unit/c/0"],
)
def test_a_truncated_or_changed_chunk_is_named(key, path) -> None:
    data = (path / key).read_bytes()
    flipped = [data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :] for place in (0, len(data) - 1)]
    for damaged in (b"", data[:3], data[:-1], data + b"\0", *flipped):
        (path / key).write_bytes(damaged)
        with pytest.raises(DamagedStoreError, match=f"the chunk {key} of .* is damaged"):
            read_all(path)


def test_datasets_rows_the_open_tree_and_a_resumption_all_refuse_damage(path) -> None:
    reader = open_run(path)
    (path / "evaluations/loss/c/1").unlink()
    for use in (
        reader.evaluations,
        lambda: list(reader.evaluation_rows()),
        lambda: list(reader.journal()),
        lambda: reader.tree()["evaluations"]["loss"].values,
        lambda: RunWriter.resume(path),
    ):
        with pytest.raises(DamagedStoreError, match="evaluations/loss/c/1"):
            use()


def test_damage_of_a_validation_is_refused_wherever_it_shows(path) -> None:
    reader = open_run(path)
    (path / "validations/loss/c/1").unlink()
    for use in (
        reader.validations,
        reader.evaluations,
        lambda: list(reader.validation_rows()),
        lambda: list(reader.journal()),
        lambda: RunWriter.resume(path),
    ):
        with pytest.raises(DamagedStoreError, match="validations/loss/c/1"):
            use()


def test_a_damaged_root_document_is_named(path) -> None:
    (path / "zarr.json").write_bytes((path / "zarr.json").read_bytes()[:-9])
    for use in (open_run, read_attributes):
        with pytest.raises(DamagedStoreError, match=r"zarr\.json is damaged"):
            use(path)


def test_a_store_of_a_newer_schema_is_refused(path) -> None:
    document = json.loads((path / "zarr.json").read_bytes())
    document["attributes"]["schema_version"] = 99
    (path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(SchemaError, match="newer shoal"):
        open_run(path)


def test_what_is_no_run_is_refused_with_a_message(tmp_path) -> None:
    with pytest.raises(StoreError, match="there is no run"):
        open_run(tmp_path / "nothing")
    with pytest.raises(StoreError, match="cannot read nosuch://run"):
        open_run("nosuch://run")
    zarr.create_group(tmp_path / "other.zarr", zarr_format=3)
    with pytest.raises(StoreError, match="not a run of shoal"):
        open_run(tmp_path / "other.zarr")


def test_a_run_is_read_from_any_fsspec_url(path, rows) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(path), "/copy.zarr", recursive=True)
    try:
        expected = list(open_run(path).journal())
        for url in ("memory://copy.zarr", path.as_uri()):
            assert read_attributes(url)["status"] == "finished"
            assert rows.same(open_run(url).journal(), expected)
        memory.rm("/copy.zarr/evaluations/loss/c/1")
        with pytest.raises(DamagedStoreError, match="evaluations/loss/c/1"):
            open_run("memory://copy.zarr").evaluations()
    finally:
        memory.rm("/copy.zarr", recursive=True)


def test_a_reader_keeps_its_commit_while_the_run_goes_on(rows, tmp_path, small_chunks) -> None:
    image = RunImage.create(tmp_path / "run.zarr", rows.parameters, {})
    first = [rows.evaluation(place) for place in range(6)]
    image.absorb(first, [rows.spawn(0, 0, 1)])
    image.commit()
    reader = open_run(tmp_path / "run.zarr")
    for place in range(6, 12):
        image.absorb([rows.evaluation(place, loss=-1.0)], [EventRow(place, place, EventKind.STOPPED, 1)])
        image.commit()
    assert rows.same(reader.evaluation_rows(), first)
    assert reader.size(EVENTS) == 1
    assert reader.optimizers()["evaluations"].values.tolist() == [6]
    assert reader.optimizers()["end"].values.tolist() == [""]
    assert (reader.size(EVALUATIONS), reader.size(OPTIMIZERS)) == (6, 1)


def test_a_run_that_is_overtaken_while_it_is_opened_is_opened_again(rows, tmp_path, monkeypatch) -> None:
    image = RunImage.create(tmp_path / "run.zarr", rows.parameters, {})
    image.absorb([rows.evaluation(0)], [rows.spawn(0, 0, 1)])
    image.commit()
    commits = iter([[rows.evaluation(1)], [rows.evaluation(2, loss=-1.0)]])
    read = Columns.read

    def read_just_after_two_commits(columns, group, *rows):
        for new in commits:
            image.absorb(new, [])
            image.commit()
        return read(columns, group, *rows)

    monkeypatch.setattr(Columns, "read", read_just_after_two_commits)
    reader = open_run(tmp_path / "run.zarr")
    assert reader.evaluations().sizes["evaluation"] == 3
    assert reader.optimizers()["best_evaluation"].values.tolist() == [3]
