"""Stores that earlier versions wrote.

Invariants:

* A store of an older schema is read as one in which what is new was never used, or is not known.
* It can be resumed, and then has everything, with a checksum, after the first commit: old rows as they read before, new
  ones with their values.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from optim.journal import EventKind, EventRow
from optim.store import SCHEMA_VERSION, RunWriter, open_run, read_attributes
from optim.store.image import RunImage
from optim.store.layout import GROUPS

NEW_IN = {2: ("validations", "active", "tie", "optimizers/verdicts"), 3: ("evaluations/asked",)}

pytestmark = pytest.mark.usefixtures("small_chunks")


@pytest.fixture(params=[1, 2])
def path(request, tmp_path, rows):
    """A store of an older schema, of six evaluations and six optimizers, in chunks of four rows."""
    path = tmp_path / "run.zarr"
    image = RunImage.create(path, rows.parameters, {})
    image.absorb(
        [rows.evaluation(number, optimizer=number) for number in range(1, 7)],
        [rows.spawn(number, number, number) for number in range(1, 7)],
    )
    image.commit()
    root = json.loads((path / "zarr.json").read_bytes())
    root["attributes"]["schema_version"] = request.param
    arrays = root["consolidated_metadata"]["metadata"]
    for new in (name for version, names in NEW_IN.items() if version > request.param for name in names):
        shutil.rmtree(path / new)
        for name in [name for name in arrays if name == new or name.startswith(f"{new}/")]:
            del arrays[name]
    (path / "zarr.json").write_text(json.dumps(root))
    return path


def test_what_an_older_store_lacks_reads_as_never_used_or_not_known(path, rows) -> None:
    reader = open_run(path)
    assert reader.space().parameters == rows.parameters
    assert reader.space().constraints == ()
    assert reader.optimizers()["verdicts"].values.tolist() == [""] * 6
    assert reader.validations().sizes["validation"] == 0
    assert np.isnan(reader.evaluations()["validation_loss"]).all()
    assert [row.asked for row in reader.evaluation_rows()] == [-1] * 6
    assert [row.sequence for row in reader.journal()] == list(range(1, 7))
    assert set(reader.tree().children) == {group.name for group in GROUPS if group.name}


def test_reading_an_older_store_does_not_change_it(path) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    open_run(path).evaluations()
    RunImage.load(path)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("commits", [1, 2])
def test_an_older_store_is_resumed_and_then_has_everything(commits, path, rows) -> None:
    verdicts = EventRow(7, 6, EventKind.STOPPED, 5, text="stuck", data='{"verdicts": "Stuck() = True"}')
    image = RunImage.load(path)
    image.absorb([], [verdicts], [rows.validation(8, evaluation=6, optimizer=6)])
    for _ in range(commits):
        image.commit()
    with RunWriter.resume(path) as writer:
        writer.add_event(rows.session_start(9, 6))
        for sequence in (10, 11, 12):
            writer.add_evaluation(rows.evaluation(sequence, optimizer=6, call=sequence))
    assert read_attributes(path)["schema_version"] == SCHEMA_VERSION
    reader = open_run(path)
    for group in GROUPS:
        reader.columns(group)  # every chunk is there
    assert reader.space().parameters == rows.parameters
    assert reader.optimizers()["verdicts"].values.tolist() == ["", "", "", "", "Stuck() = True", ""]
    assert reader.evaluations()["validation_loss"].values[5] == 2.5
    assert [row.sequence for row in reader.journal()] == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12]
    assert [row.asked for row in reader.evaluation_rows()] == [-1] * 6 + [13, 14, 15]
