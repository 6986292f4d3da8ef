"""The store is Zarr v3 as zarr itself writes it, and xarray reads it as it is meant.

Invariants:

* Each array's metadata is what zarr would have written for it. * Plain xarray opens a run at any time, by
the whole or by one group, with integers, floats and text as stored. * Nothing in a store is pickled. *
After a clean end, readers that know no consolidated metadata see the same.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from optim.journal import EventKind, EventRow, ValidationRow
from optim.outcome import Outcome
from optim.store import RunWriter, open_run
from optim.store.chunks import codecs
from optim.store.documents import documents
from optim.store.layout import GROUPS

NEVER_S = 3600.0


@pytest.fixture
def path(tmp_path, rows):
    """A run with three evaluations, two validations and three events, whose writer is not closed."""
    writer = RunWriter.create(
        tmp_path / "run.zarr", rows.parameters, {"seed": 7, "settings": {"a": [1]}}, flush_s=NEVER_S
    )
    writer.add_event(rows.session_start())
    writer.add_evaluation(rows.evaluation(1, optimizer=0))
    writer.add_event(rows.spawn(1, 1, 1))
    writer.add_evaluation(rows.evaluation(2, loss=np.nan, outcome=Outcome.EXCEPTION, worker=""))
    writer.add_event(EventRow(2, 2, EventKind.FAILURE, 1, 1, "ZeroDivisionError: odd \0 text \udc80"))
    writer.add_evaluation(rows.evaluation(3, loss=0.5, late=True))
    writer.add_validation(rows.validation(4, evaluation=3))
    writer.add_validation(
        rows.validation(5, evaluation=1, optimizer=0, outcome=Outcome.WORKER_LOST, worker="")
    )
    writer.flush()
    yield tmp_path / "run.zarr"
    writer.close()


@pytest.mark.parametrize(
    ("group", "column"), [pytest.param(g, c, id=g.path(c)) for g in GROUPS for c in g.columns]
)
@pytest.mark.parametrize("dimension", [3, 1000])
def test_metadata_of_an_array_is_what_zarr_would_write(group, column, dimension) -> None:
    ours = documents(1, dimension, {one.name: 5 for one in GROUPS}, ["a"], {})[group.path(column)]
    files = {}
    shuffled = {"cname": "zstd", "clevel": 3, "shuffle": "shuffle", "typesize": column.numpy_dtype.itemsize}
    zarr.create_array(
        MemoryStore(store_dict=files),
        shape=tuple(ours["shape"]),
        chunks=group.chunk_shape(column, dimension),
        dtype=column.dtype,
        fill_value=column.fill_value,
        compressors=[ZstdCodec(level=3) if column.is_string else BloscCodec(**shuffled), Crc32cCodec()],
        chunk_key_encoding=ours["chunk_key_encoding"],
        dimension_names=group.dims(column),
        attributes=ours["attributes"],
    )
    assert ours == json.loads(files["zarr.json"].to_bytes())


def test_plain_xarray_shows_a_run_that_is_being_written(path, rows) -> None:
    tree = xr.open_datatree(path, engine="zarr")
    assert tree.attrs["seed"] == 7
    assert tree.attrs["settings"] == {"a": [1]}
    assert tree["parameter"].values.tolist() == ["eps", "sigma"]
    assert tree["unit"].values.tolist() == ["hartree", ""]
    assert tree["upper"].values.tolist() == [1e-2, 6.0]
    assert tree["active"].values.tolist() == [True, True]

    evaluations = tree["evaluations"].to_dataset()
    assert evaluations.sizes == {"evaluation": 3, "parameter": 2}
    assert evaluations["x"].sel(parameter="sigma").values.tolist() == [2.5, 2.5, 2.5]
    assert evaluations["outcome"].dtype == np.int8
    assert evaluations["outcome"].values.tolist() == [Outcome.OK, Outcome.EXCEPTION, Outcome.OK]
    meanings = dict(
        zip(
            evaluations["outcome"].attrs["flag_values"],
            evaluations["outcome"].attrs["flag_meanings"].split(),
            strict=True,
        )
    )
    assert meanings == {-1: "missing"} | {int(outcome): outcome.label for outcome in Outcome}
    for name in ("submitted_s", "started_s", "finished_s"):
        assert evaluations[name].dtype == np.float64
        assert evaluations[name].attrs["units"] == "s"
    assert evaluations["finished_s"].values.tolist() == [1.75, 2.75, 3.75]
    assert evaluations["late"].values.tolist() == [False, False, True]
    assert evaluations["worker"].values.tolist() == [0, -1, 0]
    assert evaluations["worker"].attrs["names"] == ["tcp://node1:4001", "tcp://node2:4002"]

    validations = tree["validations"].to_dataset(inherit=False)
    assert validations.sizes == {"validation": 2}
    assert set(validations.variables) == set(ValidationRow._fields)
    assert validations["evaluation"].values.tolist() == [3, 1]
    assert validations["outcome"].values.tolist() == [Outcome.OK, Outcome.WORKER_LOST]
    assert validations["worker"].values.tolist() == [1, -1]
    assert validations["worker"].attrs["names"] == evaluations["worker"].attrs["names"]

    assert tree["events"]["kind"].values.tolist() == ["session start", "spawn", "failure"]
    assert tree["events"]["text"].values[2] == "ZeroDivisionError: odd \0 text \\udc80"
    assert tree["optimizers"]["best_evaluation"].values.tolist() == [3]
    assert tree["optimizers"]["x0"].sel(parameter="sigma").values.tolist() == [1.0]
    assert json.loads(str(tree["optimizers"]["settings"].values[0]))["algorithm"] == "Nelder-Mead"


def test_plain_xarray_opens_one_group_of_a_run_that_is_being_written(path) -> None:
    assert xr.open_zarr(path, group="evaluations", chunks=None)["loss"].values[2] == 0.5
    assert xr.open_zarr(path, group="validations", chunks=None)["loss"].values[0] == 2.5
    assert xr.open_zarr(path, group="events", chunks=None).sizes["event"] == 3
    assert xr.open_zarr(path, group="optimizers", chunks=None)["evaluations"].values.tolist() == [2]


def test_a_closed_run_reads_the_same_without_consolidated_metadata(rows, tmp_path) -> None:
    path = tmp_path / "run.zarr"
    with RunWriter.create(path, rows.parameters, flush_s=NEVER_S) as writer:
        writer.add_event(rows.spawn(0, 0, 1))
        for place in range(3):
            writer.add_evaluation(rows.evaluation(place))
        writer.add_validation(rows.validation(3, evaluation=2))
    consolidated = xr.open_datatree(path, engine="zarr").load()
    plain = xr.open_datatree(path, engine="zarr", consolidated=False).load()
    assert consolidated.sizes == plain.sizes
    assert consolidated.identical(plain)


def test_an_empty_run_opens_with_sizes_of_zero(rows, tmp_path) -> None:
    with RunWriter.create(tmp_path / "run.zarr", rows.parameters, {"status": "running"}):
        reader = open_run(tmp_path / "run.zarr")
    assert reader.attributes["status"] == "running"
    assert reader.evaluations().sizes["evaluation"] == 0
    assert reader.evaluations()["validation_loss"].sizes == {"evaluation": 0}
    assert reader.validations().sizes["validation"] == 0
    assert reader.optimizers().sizes["optimizer"] == 0
    assert reader.events().sizes["event"] == 0
    assert list(reader.journal()) == []


def test_nothing_in_a_store_is_pickled() -> None:
    used = {codec["name"] for group in GROUPS for column in group.columns for codec in codecs(column)}
    assert used == {"bytes", "blosc", "zstd", "vlen-utf8", "crc32c"}


def test_the_reader_adds_numbers_and_the_table_of_parameters(path) -> None:
    reader = open_run(path)
    assert reader.evaluations().sel(evaluation=3)["loss"] == 0.5
    assert reader.evaluations()["unit"].values.tolist() == ["hartree", ""]
    assert reader.evaluations()["validation_loss"].values.tolist() == pytest.approx(
        [np.nan, np.nan, 2.5], nan_ok=True
    )
    assert reader.validations().sel(validation=1)["evaluation"] == 3
    assert reader.optimizers().sel(optimizer=1)["label"] == "block 1"
    assert set(reader.events().coords) == set()
