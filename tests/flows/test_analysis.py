"""Python's access to a run, by its name or its folder: frames, figures, and the notebook that shows them.

Invariants: a name and a folder open the same run; frames hold what the store holds, a parameter to a column, with its
unit; the example notebook runs from the first cell to the last, and is kept without results.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

import shoal
from optim.errors import RunNameError
from optim.store import RunReader

NOTEBOOK = Path(__file__).parents[2] / "docs/analysis.ipynb"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run `bowl` in `runs/`; one parameter has the name of another column."""
    parameters = [
        shoal.Parameter(name="loss", initial=0.5, lower=-1, upper=2),
        shoal.Parameter(name="b", initial=0.5, lower=0.1, upper=2, scale="log", unit="nm"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("place"))
        patch.delenv("SHOAL_LOCATION", raising=False)
        shoal.run(
            shoal.Problem(lambda x: float(x @ x), parameters),
            name="bowl",
            seed=1,
            optimizers=[{"type": "Scipy"}],
            exit_conditions=[{"type": "MaxTotalFunctionCalls", "max": 30}],
        )
        return Path.cwd()


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch) -> RunReader:
    monkeypatch.chdir(place)
    return shoal.open_run("bowl")


def test_a_run_is_opened_by_its_name_or_its_folder(run, place, monkeypatch) -> None:
    assert shoal.open_run("runs/bowl").attributes == run.attributes
    assert shoal.open_run(place / "runs" / "bowl").attributes == run.attributes
    monkeypatch.chdir(place / "runs")
    assert shoal.open_run("bowl").attributes == run.attributes
    monkeypatch.chdir("/")
    assert shoal.open_run("bowl", place / "runs").attributes == run.attributes
    monkeypatch.setenv("SHOAL_LOCATION", str(place / "runs"))
    assert shoal.open_run("bowl").attributes == run.attributes


def test_a_name_that_is_not_there_is_said(run) -> None:
    with pytest.raises(RunNameError, match="there is no run 'nobody' in runs"):
        shoal.open_run("nobody")


def test_each_parameter_is_a_column_with_its_unit(run) -> None:
    frame, dataset = run.evaluations_frame(), run.evaluations()
    assert frame.index.name == "evaluation"
    assert list(frame.index) == list(range(1, 31))
    np.testing.assert_array_equal(frame["b"], dataset["x"].sel(parameter="b"))
    np.testing.assert_array_equal(frame["x_loss"], dataset["x"].sel(parameter="loss"))
    np.testing.assert_array_equal(frame["loss"], dataset["loss"])
    assert set(frame["outcome"]) == {"ok"}
    assert set(frame["worker"]) == {"in-process"}
    assert frame.attrs["units"] == {"b": "nm", "submitted_s": "s", "started_s": "s", "finished_s": "s"}


def test_optimizers_and_events_are_frames_too(run) -> None:
    optimizers, events = run.optimizers_frame(), run.events_frame()
    assert optimizers.loc[1, "label"] == "Nelder-Mead"
    assert optimizers.loc[1, "x0_b"] == pytest.approx(0.5)
    assert optimizers.attrs["units"] == {"x0_b": "nm"}
    assert events["kind"].tolist()[:2] == ["session start", "spawn"]


def test_figures_show_whom_they_are_asked_for(run) -> None:
    figure = shoal.figures("bowl", optimizers=[1], theme="dark").losses()
    owners = {
        int(number) for trace in figure.data if trace.customdata is not None for number in trace.customdata
    }
    assert owners == {1}
    with pytest.raises(KeyError, match="'c' is no free parameter; there are loss, b"):
        shoal.figures("bowl").parameter("c")


def test_the_notebook_runs_and_is_kept_without_results(tmp_path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert all(cell.execution_count for cell in cells)
    assert "application/vnd.plotly.v1+json" in cells[-1].outputs[0].data
    assert len(shoal.open_run("himmelblau", tmp_path / "runs").evaluations_frame()) == 1000
