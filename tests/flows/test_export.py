"""`shoal export`: a run as plain files, from its store alone.

Invariants: an optimizer's running log has its new bests and every n-th of its own evaluations, with the run's numbers,
exact losses and true logarithms; only free parameters are active; tables and netCDF hold every value of the store; a
directory that is not empty is left as it is unless that is asked for; a failure leaves nothing behind.
"""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flows.cli import exit_code, shoal
from flows.export import export
from flows.export.tree import logged
from optim.errors import DamagedStoreError, ExportError, ExportExistsError
from optim.journal import EvaluationRow, EventKind, EventRow, ValidationRow
from optim.outcome import Outcome
from optim.space import Parameter
from optim.store import RunFolder, RunWriter, open_run

PARAMETERS = (
    Parameter(name="eps", initial=1e-3, lower=1e-5, upper=1.0, scale="log", unit="hartree"),
    Parameter(name="loss", initial=2.0, active=False),
    Parameter(name="r min", initial=3.0, lower=1.0, upper=5.0),
)
ATTRIBUTES = {"status": "running", "problem": "bowl", "seed": 7, "settings": {"logging_interval": 3}}
FIRST = [10.0, math.nan, 8.0, 9.0, 9.5, math.inf, 7.000000000000001]
VERDICTS = "MaxFunctionCalls(max=1) = True |\nMaxStepSize(max_relative_step_size=0.05) = None"
TRAINING = "training_set_results/running_loss.txt"


def spawn(optimizer):
    data = {"type": "Scipy", "label": "Nelder-Mead", "generator": "Random", "x0": [1e-3, 2.0, 3.0]}
    data["settings"] = {"type": "Scipy", "tolerance": 1e-8}
    return EventRow(optimizer, 1, EventKind.SPAWN, optimizer, text="starts", data=json.dumps(data))


def evaluation(number, optimizer, call, loss):
    outcome = Outcome.OK if math.isfinite(loss) else Outcome.EXCEPTION
    x = np.array([number / 300, 2.0, 1 + number / 10])
    times = (number, number + 0.25, number + 0.5)
    return EvaluationRow(number, optimizer, call, call, x, loss, outcome, False, False, 1, *times, "node1")


@pytest.fixture
def location(tmp_path):
    """Runs: `full`, with three optimizers; `empty`, in which nothing has happened."""
    with RunWriter.create(RunFolder.create(tmp_path, b"", name="empty").store, PARAMETERS, ATTRIBUTES):
        pass
    store = RunFolder.create(tmp_path, b"", name="full").store
    with RunWriter.create(store, PARAMETERS, ATTRIBUTES) as writer:
        writer.add_evaluation(evaluation(1, 0, 1, 50.0))
        for optimizer in (1, 2, 3):
            writer.add_event(spawn(optimizer))
        for call, loss in enumerate(FIRST, start=1):
            writer.add_evaluation(evaluation(call + 1, 1, call, loss))
        writer.add_evaluation(evaluation(9, 2, 1, -1.5))
        stop = EventRow(9, 9, EventKind.STOPPED, 2, text="too many", data=json.dumps({"verdicts": VERDICTS}))
        writer.add_event(stop)
        for number, validated, loss in ((10, 4, 80.0), (11, 2, math.nan)):
            outcome = Outcome.OK if math.isfinite(loss) else Outcome.EXCEPTION
            times = (number, number + 0.25, number + 0.5)
            writer.add_validation(
                ValidationRow(number, 1, validated - 1, validated, loss, outcome, 1, *times, "")
            )
    return tmp_path


@pytest.fixture
def exported(location):
    """The full run, with everything but netCDF."""
    reader = open_run(location / "full/run.zarr")
    export("full", reader, location / "out", with_csv=True)
    return location / "out"


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_running_log_has_new_bests_and_every_third_evaluation(exported):
    assert (exported / "optimizer_001" / TRAINING).read_text().splitlines() == [
        "#evaluation training_set_loss log10(training_set_loss) time_seconds",
        "000002                     10.0   1.000000      2.500000",
        "000004                      8.0   0.903090      4.500000",
        "000007                      inf        inf      7.500000",
        "000008        7.000000000000001   0.845098      8.500000",
    ]


def test_the_logarithm_of_what_is_not_positive_is_nan(exported):
    assert (exported / "optimizer_002" / TRAINING).read_text().split()[4:] == [
        "000009",
        "-1.5",
        "nan",
        "9.500000",
    ]


def test_parameters_are_logged_with_the_losses_and_only_the_free_ones(exported):
    header, *rows = (exported / "optimizer_001/running_active_parameters.txt").read_text().splitlines()
    assert header == "#evaluation eps r_min"
    assert [[float(word) for word in row.split()] for row in rows] == [
        [number, number / 300, 1 + number / 10] for number in (2, 4, 7, 8)
    ]


def test_validations_have_a_log_of_their_own(exported):
    assert (exported / "optimizer_001/validation_set_results/running_loss.txt").read_text().splitlines() == [
        "#evaluation validation_set_loss log10(validation_set_loss) time_seconds",
        "000002                      nan        nan     11.500000",
        "000004                     80.0   1.903090     10.500000",
    ]


def test_type_end_summary_and_best_are_files_that_people_read(exported):
    lines = (exported / "optimizer_002/opt_type.txt").read_text().splitlines()
    assert lines[:2] == ["type: Scipy", "label: Nelder-Mead"]
    assert "    tolerance: 1e-08" in lines
    assert (exported / "optimizer_002/end_condition.txt").read_text() == (
        "end: stopped\nevaluation: 9\nreason: too many\nstoppers:\n"
        "    MaxFunctionCalls(max=1) = True |\n    MaxStepSize(max_relative_step_size=0.05) = None\n"
    )
    assert (exported / "optimizer_003/end_condition.txt").read_text() == "end: none, it is alive\n"
    assert (exported / "optimizer_003" / TRAINING).read_text().count("\n") == 1
    assert "full: running, 9 evaluations, 2 of them failed" in (exported / "summary.txt").read_text()
    assert (exported / "best_parameters.txt").read_text() == "eps 0.03 hartree\nloss 2.0\nr_min 1.9\n"


def test_tables_have_every_value_and_words_for_codes(exported):
    evaluations = table(exported / "evaluations.csv")
    assert [row["evaluation"] for row in evaluations] == [str(number) for number in range(1, 10)]
    assert [repr(float(row["loss"])) for row in evaluations] == [repr(loss) for loss in (50.0, *FIRST, -1.5)]
    assert [float(row["eps"]) for row in evaluations] == [number / 300 for number in range(1, 10)]
    # a parameter that is called as a column is told apart
    assert [row["x_loss"] for row in evaluations] == ["2.0"] * 9
    assert [row["outcome"] for row in evaluations[1:4]] == ["ok", "exception", "ok"]
    assert {row["worker"] for row in evaluations} == {"node1"}
    assert [row["validation_loss"] for row in evaluations[1:4]] == ["nan", "nan", "80.0"]
    assert [row["x0_eps"] for row in table(exported / "optimizers.csv")] == ["0.001"] * 3
    assert table(exported / "optimizers.csv")[1]["verdicts"] == VERDICTS
    assert [row["kind"] for row in table(exported / "events.csv")] == ["spawn"] * 3 + ["stopped"]
    assert [row["worker"] for row in table(exported / "validations.csv")] == ["", ""]
    assert [row["parameter"] for row in table(exported / "parameters.csv")] == ["eps", "loss", "r min"]


@pytest.mark.parametrize("name", ["full", "empty"])
def test_netcdf_opens_again_with_every_value(location, name):
    pytest.importorskip("h5netcdf", reason="the extra netcdf is not installed")
    pytest.importorskip("h5py", reason="the extra netcdf is not installed")
    reader = open_run(location / name / "run.zarr")
    export(name, reader, location / "out", with_netcdf=True)
    with xr.open_datatree(location / "out/run.nc", engine="h5netcdf") as tree:
        xr.testing.assert_equal(tree.load(), reader.tree().load())
        assert tree.attrs["status"] == "running"
        assert json.loads(tree.attrs["settings"]) == ATTRIBUTES["settings"]
        assert tree["evaluations/finished_s"].attrs["units"] == "s"
        assert json.loads(tree["evaluations/worker"].attrs["names"]) == reader.workers


def test_netcdf_without_its_packages_says_what_to_install(location, monkeypatch):
    monkeypatch.setattr("flows.export.find_spec", lambda package: None)
    reader = open_run(location / "full/run.zarr")
    with pytest.raises(ExportError, match=r"needs h5netcdf and h5py; .*pip install 'shoal\[netcdf\]'"):
        export("full", reader, location / "out", with_netcdf=True)
    assert not (location / "out").exists()


def test_a_run_in_which_nothing_has_happened_is_exported(location):
    export("empty", open_run(location / "empty/run.zarr"), location / "a/b", with_csv=True)
    assert "empty: running, 0 evaluations" in (location / "a/b/summary.txt").read_text()
    assert table(location / "a/b/evaluations.csv") == []


def test_what_is_there_already_is_left_alone_unless_it_shall_be_overwritten(location):
    reader = open_run(location / "full/run.zarr")
    out = location / "out"
    out.mkdir()
    export("full", reader, out)
    (out / "notes.txt").write_text("mine")
    (out / "summary.txt").write_text("old")
    with pytest.raises(ExportExistsError, match=r"not empty; .* --force"):
        export("full", reader, out)
    assert (out / "summary.txt").read_text() == "old"
    export("full", reader, out, overwrite=True)
    assert "9 evaluations" in (out / "summary.txt").read_text()
    assert (out / "notes.txt").read_text() == "mine"
    with pytest.raises(ExportExistsError, match="is a file"):
        export("full", reader, out / "notes.txt", overwrite=True)


def test_a_failure_leaves_nothing_behind(location):
    reader = open_run(location / "full/run.zarr")
    (location / "full/run.zarr/evaluations/loss/c/0").unlink()
    before = sorted(location.iterdir())
    with pytest.raises(DamagedStoreError):
        export("full", reader, location / "out")
    assert sorted(location.iterdir()) == before


def test_the_command_exports_and_refuses_with_code_2(location):
    words = ["export", "full", str(location / "out"), "--csv", "--location", str(location)]
    result = CliRunner().invoke(shoal, words, standalone_mode=False)
    assert result.output == f"full is in {location / 'out'}\n"
    assert (location / "out/evaluations.csv").exists()
    result = CliRunner().invoke(shoal, words, standalone_mode=False)
    assert exit_code(result.exception) == 2
    assert CliRunner().invoke(shoal, [*words, "--force"], standalone_mode=False).exception is None


@given(
    losses=st.lists(st.sampled_from([1.0, 2.0, 3.0, -1.0, math.inf, -math.inf, math.nan])),
    interval=st.integers(1, 4),
)
def test_what_is_logged_is_what_one_finds_row_by_row(losses, interval):
    best, expected = math.inf, []
    for place, loss in enumerate(losses):
        is_best = math.isfinite(loss) and loss < best
        best = loss if is_best else best
        if is_best or (place + 1) % interval == 0:
            expected.append(place)
    assert logged(np.array(losses), interval).tolist() == expected
