"""Stores that somebody hostile has made: opening and reading one runs no code, and takes no more than its files do.

Invariants:

* Of Zarr's metadata only what our layout writes is let through: no other format, codec, data type, shape of chunks or
  encoding of their names. Arrays that the layout does not know do not exist.
* However many rows a store says that it has, memory fills only with chunks that are there; a chunk never decodes to
  more than it may.
* Links to devices and pipes are not followed.
* Whatever its root document says, a store opens or is refused with a StoreError.
* Values that count or name something else are checked.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optim.errors import DamagedStoreError, StoreError
from optim.store import RunWriter, open_run, read_attributes
from optim.store.chunks import encode
from optim.store.files import MOST_BYTES
from optim.store.layout import EVALUATIONS, EVENTS, GROUPS

Document = dict[str, Any]
MARK = "shoal_was_here"


@pytest.fixture
def path(tmp_path: Path, rows: Any) -> Path:
    """A run of three evaluations."""
    with RunWriter.create(tmp_path / "run.zarr", rows.parameters, {"status": "finished"}) as writer:
        writer.add_event(rows.session_start())
        for number in range(1, 4):
            writer.add_event(rows.spawn(number, number, number))
            writer.add_evaluation(rows.evaluation(number, optimizer=number))
        writer.add_validation(rows.validation(4, evaluation=3))
    return tmp_path / "run.zarr"


def change(path: Path, how: Callable[[Document, Document], Any]) -> None:
    """Change the root document; `how` is given it, and the documents of its arrays."""
    document = json.loads((path / "zarr.json").read_bytes())
    how(document, document["consolidated_metadata"]["metadata"])
    (path / "zarr.json").write_text(json.dumps(document))


def read_all(path: Path) -> None:
    reader = open_run(path)
    reader.space()
    for read in (reader.evaluations, reader.validations, reader.events, reader.optimizers, reader.loaded):
        read()
    list(reader.journal())


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """A store that asks for more than a few gigabytes gets a MemoryError, which is no StoreError."""
    if not sys.platform.startswith("linux"):
        yield
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 2**30, most))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


PICKLE = {"name": "numcodecs.pickle", "configuration": {"id": "pickle", "protocol": 5}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("zarr_format", 2),
        ("node_type", "group"),
        ("codecs", [PICKLE]),
        ("codecs", [PICKLE, {"name": "crc32c"}]),
        ("codecs", []),
        ("data_type", "object"),
        ("data_type", {"name": "null_terminated_bytes", "configuration": {"length_bytes": 2**40}}),
        ("fill_value", [1]),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [2**50]}}),
        ("chunk_grid", {"name": "../../etc", "configuration": {}}),
        ("chunk_key_encoding", {"name": "default", "configuration": {"separator": "/../"}}),
        ("chunk_key_encoding", {"name": "v2", "configuration": {"separator": "."}}),
        ("storage_transformers", [{"name": "run", "configuration": {}}]),
        ("dimension_names", ["parameter"]),
        ("shape", [-1]),
        ("shape", [2**70]),
        ("shape", ["3"]),
        ("shape", [3, 2**40]),
        ("shape", [2]),
    ],
)
def test_what_our_layout_does_not_write_is_refused_and_named(name, value, path) -> None:
    change(path, lambda _, arrays: arrays["evaluations/loss"].update({name: value}))
    with pytest.raises(DamagedStoreError, match=rf"not as shoal writes it: .*{name}.*evaluations/loss"):
        open_run(path)


@pytest.mark.parametrize("name", ["evaluations/loss", "parameter", "optimizers/settings"])
def test_an_array_that_is_missing_is_named(name, path) -> None:
    change(path, lambda _, arrays: arrays.pop(name))
    with pytest.raises(DamagedStoreError, match=f"the array {name} is missing"):
        open_run(path)


def test_what_the_layout_does_not_know_is_not_there(path) -> None:
    evil = {"zarr_format": 3, "node_type": "array", "codecs": [PICKLE]}

    def add(document: Document, arrays: Document) -> None:
        for name in ("../outside", "/etc", "evaluations/evil", "evil"):
            arrays[name] = evil
        document["attributes"]["coordinates"] = 5
        arrays["evaluations/loss"]["attributes"] = {"units": "days since 2000", "_FillValue": "x"}

    change(path, add)
    for name in (".zgroup", ".zattrs", ".zmetadata", "evaluations/loss/.zarray", "evaluations/.zgroup"):
        (path / name).write_text('{"zarr_format": 2, "filters": [{"id": "pickle"}]}')
    tree = open_run(path).tree()
    assert set(tree.children) == {group.name for group in GROUPS if group.name}
    assert "evil" not in tree["evaluations"].variables
    assert tree["evaluations"]["loss"].attrs == {"long_name": "loss"}
    read_all(path)


def test_a_chunk_that_is_a_pickle_is_refused_and_not_loaded(path, tmp_path) -> None:
    mark = tmp_path / MARK

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {mark}",)

    pickled = numcodecs.Pickle().encode(np.array([Evil()] * EVENTS.chunk_rows, dtype=object))
    for data in (pickled, bytes(numcodecs.CRC32C(location="end").encode(pickled))):
        (path / "events/text/c/0").write_bytes(data)
        with pytest.raises(DamagedStoreError, match=r"events/text/c/0 .* is damaged"):
            read_all(path)
    assert not mark.exists()


@pytest.mark.parametrize("group", [one for one in GROUPS if one.name], ids=lambda group: group.name)
@pytest.mark.parametrize("many", [10**6, 2**31])
def test_rows_that_are_not_there_take_no_memory(group, many, path) -> None:
    def grow(_: Document, arrays: Document) -> None:
        for column in group.columns:
            arrays[group.path(column)]["shape"][0] = many

    change(path, grow)
    with pytest.raises(StoreError):
        read_all(path)


def test_rows_that_an_older_store_does_not_have_take_no_memory(path) -> None:
    def grow(document: Document, arrays: Document) -> None:
        document["attributes"]["schema_version"] = 1
        del arrays["optimizers/verdicts"]
        for name in [name for name in arrays if name.startswith("optimizers/")]:
            arrays[name]["shape"][0] = 2**31

    change(path, grow)
    with pytest.raises(DamagedStoreError, match="is missing"):
        open_run(path)


def test_more_parameters_than_anybody_has_are_refused(path) -> None:
    def grow(_: Document, arrays: Document) -> None:
        for column in GROUPS[0].columns:
            arrays[column.name]["shape"] = [10**9]

    change(path, grow)
    with pytest.raises(DamagedStoreError, match="parameters are more than"):
        open_run(path)


def bomb(compressed: bytes) -> bytes:
    return bytes(numcodecs.CRC32C(location="end").encode(compressed))


def test_a_chunk_of_numbers_that_says_it_is_larger_is_refused(path) -> None:
    large = numcodecs.Blosc(cname="zstd").encode(np.zeros(16 * EVALUATIONS.chunk_rows))
    header = bytearray(numcodecs.Blosc(cname="zstd").encode(np.zeros(EVALUATIONS.chunk_rows)))
    header[4:8] = (2**31 - 1).to_bytes(4, "little")
    for data in (bomb(large), bomb(bytes(header)), bomb(b""), bomb(b"\2" * 16)):
        (path / "evaluations/loss/c/0").write_bytes(data)
        with pytest.raises(
            DamagedStoreError, match=r"evaluations/loss/c/0 .* is damaged: it does not decode"
        ):
            read_all(path)


def test_a_chunk_of_text_that_unfolds_to_more_is_refused(path) -> None:
    frame = bytearray(numcodecs.Zstd().encode(bytes(MOST_BYTES + 1)))  # a few kilobytes
    claims = bytearray(frame)
    claims[4] |= 0xC0  # eight bytes of size
    many = numcodecs.Zstd().encode((2**32 - 1).to_bytes(4, "little"))
    # a first frame that is small, and a second one that is not
    two = numcodecs.Zstd().encode(b"\0\0\0\0") + bytes(frame)
    for data in (bomb(bytes(frame)), bomb(bytes(claims)), bomb(many), bomb(two), bomb(frame[:4])):
        (path / "events/text/c/0").write_bytes(data)
        with pytest.raises(DamagedStoreError, match=r"events/text/c/0 .* is damaged"):
            read_all(path)


@pytest.mark.parametrize("name", ["zarr.json", "evaluations/loss/c/0"])
def test_a_link_to_a_device_or_a_pipe_is_not_followed(name, path) -> None:
    (path / name).unlink()
    (path / name).symlink_to("/dev/zero")
    with pytest.raises(DamagedStoreError, match="no plain file"):
        read_all(path)
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(DamagedStoreError, match="no plain file"):
        read_all(path)


@pytest.mark.parametrize(
    "data", [b"", b"[" * 100_000, b'{"attributes":' * 50_000, b"null", b"[]", b"\xff", b"9" * 10_000]
)
def test_a_root_document_that_is_none_is_a_store_error(data, path) -> None:
    (path / "zarr.json").write_bytes(data)
    for use in (open_run, read_attributes):
        with pytest.raises(StoreError):
            use(path)


def test_an_attribute_that_a_run_must_have_is_asked_for_by_name(path) -> None:
    with pytest.raises(DamagedStoreError, match="does not say its 'seed'"):
        _ = read_attributes(path)["seed"]
    change(path, lambda document, _: document["attributes"].update(seed="7"))
    with pytest.raises(DamagedStoreError, match="the attribute 'seed' is no int"):
        read_attributes(path)


def replaced(path: Path, key: str, values: Any) -> None:
    """Rewrite a chunk; the rest of it has fill values."""
    group, column = next((g, c) for g in GROUPS for c in g.columns if key.startswith(f"{g.path(c)}/"))
    chunk = np.full(group.chunk_shape(column, 2), column.fill_value, column.numpy_dtype)
    chunk[: len(values)] = values
    (path / key).write_bytes(encode(chunk))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("evaluations/outcome", [0, 99, 0]),
        ("evaluations/worker", [0, 3, 0]),
        ("evaluations/worker", [0, -2, 0]),
        ("evaluations/optimizer", [0, 4, 0]),
        ("evaluations/optimizer", [0, -1, 0]),
        ("validations/optimizer", [9]),
        ("validations/evaluation", [0]),
        ("validations/evaluation", [4]),
        ("events/kind", ["session start", "explosion", "spawn", "spawn"]),
        ("optimizers/number", [1, 2, 2]),
        ("optimizers/best_evaluation", [1, -1, 3]),
        ("optimizers/best_evaluation", [1, 2**40, 3]),
        ("optimizers/settings", ["{}", "[" * 10_000, "{}"]),
        ("optimizers/settings", ["{}", "[]", "{}"]),
    ],
)
def test_values_that_lead_nowhere_are_refused_and_named(name, values, path) -> None:
    for key in (f"{name}/c/0", f"{name}/c.0"):  # a view has both
        if (path / key).exists():
            replaced(path, key, values)
    with pytest.raises(DamagedStoreError, match=f"the array {name} has values that no shoal writes"):
        read_all(path)


def test_parameters_that_are_no_space_are_refused(path) -> None:
    replaced(path, "parameter/c/0", ["a\x1b[31m", "b"])
    with pytest.raises(DamagedStoreError, match="is no parameter"):
        open_run(path).space()
    replaced(path, "parameter/c/0", ["a", "a"])
    with pytest.raises(DamagedStoreError, match="are no space"):
        open_run(path).space()


def test_opening_a_store_imports_nothing_that_it_names(path, tmp_path) -> None:
    (tmp_path / "evil_code.py").write_text(f"open({str(tmp_path / MARK)!r}, 'w')")
    settings_ = {"problem": "evil_code:loss", "cluster": {"class": "evil_code.Cluster"}}
    attributes = {"entry_point": "evil_code:loss", "code_folder": str(tmp_path), "settings": settings_}
    change(path, lambda document, _: document["attributes"].update(attributes))
    script = (
        "import sys; from optim.store import open_run; r = open_run(sys.argv[1]); r.loaded(); list(r.journal());"
        " r.space(); assert 'evil_code' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), str(tmp_path)])}
    subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=True)
    assert not (tmp_path / MARK).exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_root_document_says_the_store_opens_or_is_refused(data, path) -> None:
    original = (path / "zarr.json").read_bytes()
    document = json.loads(original)
    place: Any = document
    while isinstance(place, dict) and place:
        name = data.draw(st.sampled_from(sorted(place)))
        if data.draw(st.booleans()) or not isinstance(place[name], dict):
            place[name] = data.draw(JSON)
            break
        place = place[name]
    (path / "zarr.json").write_text(json.dumps(document))
    try:
        open_run(path).space()
    except StoreError:
        pass
    finally:
        (path / "zarr.json").write_bytes(original)
