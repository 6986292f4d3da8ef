"""Runs that somebody hostile has made, in front of people: `list`, `show`, `watch`, `export` and `plot`.

Invariants: none of them imports or runs what a store names; what a terminal would obey is spelled out; nothing is
written outside the folder of an export; whatever is wrong with a store is one message.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.cli import shoal
from flows.export import export
from flows.pictures.page import page
from flows.pictures.reading import read_picture
from flows.reports.from_store import StoreSource
from flows.reports.snapshot import progress_line
from flows.run.stored import first_settings
from flows.server.crashed import mark_crashed
from optim.errors import ExportError, ExportExistsError, ShoalError, StoreError
from optim.journal import EvaluationRow, EventKind, EventRow
from optim.outcome import Outcome
from optim.space import Parameter
from optim.store import RunFolder, RunWriter, open_run

ROOT = Path(__file__).parents[2]
EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\r[link=file:///etc]x[/link]\u202e"
PARAMETERS = (Parameter(name="../../a", initial=0.5, lower=0.0, upper=1.0, unit=EVIL),)


def write_run(location: Path, attributes: dict[str, Any], text: str = EVIL, x: float = 0.5) -> Path:
    """A run of one evaluation in which every text is hostile."""
    folder = RunFolder.create(location, b"", name="evil")
    spawn = {"type": text, "label": f"../{text}", "settings": {text: text}, "generator": text, "x0": [x]}
    with RunWriter.create(folder.store, PARAMETERS, attributes) as writer:
        writer.add_event(EventRow(0, 0, EventKind.SESSION_START, text=text))
        writer.add_event(EventRow(1, 0, EventKind.SPAWN, 1, text=text, data=json.dumps(spawn)))
        writer.add_evaluation(
            EvaluationRow(1, 1, 1, 1, np.array([x]), 0.5, Outcome.OK, False, False, 1, 0.0, 1.0, 2.0, text)
        )
        writer.add_event(EventRow(1, 1, EventKind.FAILURE, 1, 1, text))
        writer.add_event(EventRow(1, 1, EventKind.STOPPED, 1, text=text, data=json.dumps({"verdicts": text})))
    return folder.path


ATTRIBUTES = {
    "status": EVIL,
    "reason": EVIL,
    "problem": EVIL,
    "exit_conditions": EVIL,
    "seed": 7,
    "settings": {"problem": "evil_code:loss", "logging_interval": 1},
}


@pytest.fixture
def location(tmp_path: Path) -> Path:
    write_run(tmp_path / "runs", ATTRIBUTES)
    return tmp_path / "runs"


def commands(location: Path, target: Path) -> list[list[str]]:
    place = ["--location", str(location)]
    return [
        ["list", *place],
        ["show", "evil", *place],
        ["show", "evil", "--optimizer", "1", *place],
        ["show", "evil", "--json", *place],
        ["show", "evil", "--json", "--optimizer", "1", *place],
        ["watch", "evil", *place],
        ["export", "evil", str(target), "--csv", *place],
        ["plot", "evil", *place],
    ]


def test_what_a_terminal_would_obey_is_spelled_out(location, tmp_path) -> None:
    for arguments in commands(location, tmp_path / "out"):
        result = CliRunner().invoke(shoal, arguments, standalone_mode=False)
        assert result.exception is None, arguments
        assert all(line.isprintable() for line in result.output.splitlines()), arguments
        assert "owned" in result.output or arguments[0] in ("export", "plot")
    for file in (tmp_path / "out").rglob("*.txt"):
        assert all(line.isprintable() for line in file.read_text().splitlines()), file


def test_an_export_stays_in_its_folder(location, tmp_path) -> None:
    before = set(tmp_path.rglob("*"))
    export(
        "evil", open_run(location / "evil" / "run.zarr"), tmp_path / "out", with_csv=True, with_netcdf=True
    )
    written = set(tmp_path.rglob("*")) - before
    assert written
    assert all(path.is_relative_to(tmp_path / "out") for path in written)
    assert not any(path.is_symlink() for path in written)


def test_an_export_over_another_follows_no_links(location, tmp_path) -> None:
    reader = open_run(location / "evil" / "run.zarr")
    precious, elsewhere = tmp_path / "precious", tmp_path / "elsewhere"
    precious.write_text("mine")
    elsewhere.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "summary.txt").symlink_to(precious)
    export("evil", reader, out, overwrite=True)
    assert precious.read_text() == "mine"
    assert not (out / "summary.txt").is_symlink()
    other = tmp_path / "other"
    other.mkdir()
    (other / "optimizer_001").symlink_to(elsewhere)
    with pytest.raises(ExportExistsError, match="is a link to another place"):
        export("evil", reader, other, overwrite=True)
    assert list(elsewhere.iterdir()) == []


def test_nothing_that_a_store_names_is_imported(location, tmp_path) -> None:
    code, mark = tmp_path / "code", tmp_path / "mark"
    code.mkdir()
    for name in ("evil_code", "dask_evil"):
        (code / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\n")
    named = {
        "problem": "evil_code:loss",
        "validation": {"problem": "evil_code:validation", "every": 1},
        "cluster": {"class": "dask_evil.Cluster", "upload": ["evil_code.py"]},
    }
    run = location / "evil"
    document = json.loads((run / "run.zarr/zarr.json").read_bytes())
    document["attributes"] |= {
        "entry_point": "evil_code:loss",
        "code_folder": str(code),
        "settings": named,
        "status": "running",
        "flow_run_id": "../../admin",
    }
    (run / "run.zarr/zarr.json").write_text(json.dumps(document))
    script = (
        "import sys; from flows.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{code}", "PREFECT_HOME": str(tmp_path)}
    for arguments in (words for words in commands(location, tmp_path / "out") if words[0] != "show"):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            cwd=run,
        )
        assert done.returncode == 0, done.stderr
        assert not {"evil_code", "dask_evil", "prefect", "distributed"} & set(done.stderr.split())
    assert not mark.exists()


def test_the_path_of_a_request_has_no_words_of_a_store_in_it(location, monkeypatch) -> None:
    import httpx

    asked: list[str] = []
    monkeypatch.setattr(httpx.Client, "get", lambda self, path: asked.append(path))
    run = location / "evil"
    document = json.loads((run / "run.zarr/zarr.json").read_bytes())
    document["attributes"] |= {"status": "running", "flow_run_id": "../deployments/1"}
    (run / "run.zarr/zarr.json").write_text(json.dumps(document))
    mark_crashed([RunFolder(run)], "http://127.0.0.1:9/api")
    assert asked == []


def test_a_pipe_in_place_of_the_lock_keeps_nobody_waiting(location) -> None:
    (location / "evil" / "lock").unlink(missing_ok=True)
    os.mkfifo(location / "evil" / "lock")
    result = CliRunner().invoke(shoal, ["list", "--location", str(location)], standalone_mode=False)
    assert result.exception is None


def test_settings_that_are_none_are_a_store_error(location) -> None:
    reader = open_run(location / "evil" / "run.zarr")
    reader.attributes["settings"]["exit_conditions"] = 5
    with pytest.raises(StoreError, match="settings in the store cannot be read"):
        first_settings(reader)


def test_what_netcdf_cannot_hold_is_an_export_error(tmp_path) -> None:
    path = write_run(tmp_path, {**ATTRIBUTES, "huge": 10**400}, text="a\0b")
    with pytest.raises(ExportError, match="without --netcdf"):
        export("evil", open_run(path / "run.zarr"), tmp_path / "out", with_netcdf=True)
    assert not (tmp_path / "out").exists()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(ATTRIBUTES)), value=VALUES, is_gone=st.booleans())
def test_whatever_the_attributes_say_a_run_is_exported_or_refused(name, value, is_gone, location) -> None:
    path = location / "evil" / "run.zarr" / "zarr.json"
    document = json.loads(path.read_bytes())
    attributes = {**ATTRIBUTES, name: value}
    if is_gone:
        del attributes[name]
    own = {key: document["attributes"][key] for key in ("commit", "schema_version")}
    path.write_text(json.dumps({**document, "attributes": attributes | own}))
    with suppress(ShoalError):
        export("evil", open_run(path.parent), location / "out", with_csv=True, overwrite=True)
    with suppress(ShoalError):
        progress_line(StoreSource("evil", str(path.parent), None).snapshot())
        page(read_picture("evil", open_run(path.parent)))


@pytest.mark.parametrize("x", [np.nan, np.inf, -1e308])
def test_points_that_are_in_no_space_are_exported_and_drawn_or_refused(x, tmp_path) -> None:
    path = write_run(tmp_path, ATTRIBUTES, x=x)
    with suppress(ShoalError):
        page(read_picture("evil", open_run(path / "run.zarr")))
    with suppress(ShoalError):
        export("evil", open_run(path / "run.zarr"), tmp_path / "out", with_csv=True)
