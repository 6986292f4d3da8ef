"""The whole road: the flow on a real Prefect server and real Dask workers, started as users start it.

Invariants: every evaluation is one task run of its name, completed or failed as the store says; a loss that raises or
returns NaN fails its task run and the run goes on; never more in flight than allowed; the manager imports no user code;
Ctrl-C saves what was finished; afterwards no process is left; the history is kept for the next server.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
import xarray as xr
from prefect.utilities.callables import parameter_schema

from flows.optimize import optimize
from optim.outcome import Outcome
from tests.flows.samples import TWO_PARAMETERS

pytestmark = pytest.mark.slow

FIT = """\
import os
import time
from pathlib import Path

PLACE = Path(__file__).parent


def loss(x):
    started = PLACE / f"running-{os.getpid()}-{time.monotonic_ns()}"
    started.touch()
    try:
        (PLACE / f"most-{len(list(PLACE.glob('running-*')))}").touch()
        (PLACE / f"pid-{os.getpid()}").touch()
        if x[0] > 1.5:
            raise ValueError("too far out")
        if x[1] < -0.5:
            return float("nan")
        return float((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)
    finally:
        started.unlink()
"""

RUN_FILE = f"""\
problem = "fit:loss"
seed = 3
parallel_optimizers = 4

{TWO_PARAMETERS}
[generator]
type = "Random"

[[optimizer]]
type = "CMAES"

[[optimizer]]
type = "Scipy"

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 150

[cluster]
workers = 2
"""


class Place:
    """A user's folder, with a Prefect home of its own."""

    def __init__(self, folder):
        self.folder = folder
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SHOAL_"))
        }
        self.environment = {**own, "PREFECT_HOME": str(folder / "prefect")}
        (folder / "fit.py").write_text(FIT)
        (folder / "run.toml").write_text(RUN_FILE)

    def start(self, *words):
        shoal = Path(sys.executable).with_name("shoal")
        return subprocess.Popen(
            [shoal, *words],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def shoal(self, *words):
        with self.start(*words) as process:
            out, err = process.communicate(timeout=200)
        return process.returncode, out, err

    def show(self, name):
        code, out, err = self.shoal("show", name, "--json")
        assert code == 0, err
        return json.loads(out)

    def task_runs(self):
        with sqlite3.connect(self.folder / "prefect/prefect.db") as database:
            query = "select flow_run.name, task_run.name, task_run.state_type from task_run join flow_run"
            return database.execute(f"{query} on task_run.flow_run_id = flow_run.id").fetchall()

    def artifacts(self):
        """Type, description and data by key."""
        with sqlite3.connect(self.folder / "prefect/prefect.db") as database:
            rows = database.execute("select key, type, description, data from artifact").fetchall()
        return {key: (kind, description, json.loads(str(data))) for key, kind, description, data in rows}

    def events(self):
        """How often each of ours happened."""
        with sqlite3.connect(self.folder / "prefect/prefect.db") as database:
            rows = database.execute("select event from events where event like 'shoal.%'").fetchall()
        return Counter(name for (name,) in rows)

    def processes(self):
        """Every process that was started from here: its environment names this folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if str(self.folder) in process.environ().get("PREFECT_HOME", ""):
                    found.append(process.cmdline())
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def finished(place):
    """A run to its end: what the command said."""
    return place.shoal("run", "run.toml", "--name", "done")


def test_it_ends_well_and_says_where_the_dashboard_is(finished):
    code, out, err = finished
    assert code == 0, err
    assert "done: finished, 150 evaluations" in out
    assert "Dashboard: http://127.0.0.1:" in err
    assert "Traceback" not in err


def test_every_evaluation_is_a_task_run_of_its_name_and_state(finished, place):
    rows = evaluations(place, "done")
    expected = Counter(
        (
            f"optimizer {optimizer} call {call}",
            "COMPLETED" if outcome == Outcome.OK else "FAILED",
        )
        for optimizer, call, outcome in zip(
            rows["optimizer"].values, rows["call"].values, rows["outcome"].values, strict=True
        )
    )
    assert len(rows["loss"]) == 150
    assert Counter((name, state) for run, name, state in place.task_runs() if run == "done (fit)") == expected
    assert {state for _, state in expected} == {"COMPLETED", "FAILED"}


def test_failures_have_their_outcome_and_text(finished, place):
    rows = evaluations(place, "done")
    assert {Outcome.OK, Outcome.NONFINITE, Outcome.EXCEPTION} == set(rows["outcome"].values)
    events = xr.open_datatree(place.folder / "runs/done/run.zarr", engine="zarr")["events"].to_dataset()
    texts = set(events["text"].values[events["kind"].values == "failure"])
    assert texts == {"ValueError: too far out", "the loss returned nan"}


def test_times_are_in_order_and_since_the_run_began(finished, place):
    rows = evaluations(place, "done")
    assert (rows["submitted_s"] >= 0).all()
    assert (rows["finished_s"] >= rows["started_s"]).all()
    assert float(rows["finished_s"].max()) < 200


def test_both_workers_worked_with_no_more_at_once_than_there_are_threads(finished, place):
    assert len(list(place.folder.glob("pid-*"))) == 2
    assert max(int(path.name.split("-")[1]) for path in place.folder.glob("most-*")) <= 2


def test_artifacts_say_how_it_ended(finished, place):
    artifacts = place.artifacts()
    kinds = {key: kind for key, (kind, *_) in artifacts.items() if key.startswith("shoal-done-")}
    assert kinds == {
        "shoal-done-progress": "progress",
        "shoal-done-exit-conditions": "markdown",
        "shoal-done-optimizers": "table",
        "shoal-done-losses": "markdown",
        "shoal-done-report": "markdown",
    }
    assert artifacts["shoal-done-progress"][2] == 100
    assert "150 / 150" in artifacts["shoal-done-exit-conditions"][2]
    assert "done finished" in artifacts["shoal-done-report"][2]


def test_starts_bests_and_the_end_are_events(finished, place):
    events = place.events()
    assert events["shoal.optimizer.started"] == len(place.show("done")["optimizers"])
    assert events["shoal.run.new-best"] >= 1
    assert events["shoal.run.ended"] == 1


def test_nothing_is_left_running(finished, place):
    assert place.processes() == []


def test_ctrl_c_saves_what_was_finished_and_leaves_nothing_running(finished, place):
    with place.start("run", "run.toml", "--name", "cut", "--set", "exit_condition.1.max=100000") as process:
        while "evaluations (" not in (line := process.stderr.readline()) or line.count(" 0 evaluations"):
            assert process.poll() is None, line
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everybody
        _, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    shown = place.show("cut")
    assert shown["status"] == "paused"
    assert shown["evaluations"] > 0
    assert place.processes() == []
    ended = [state for run, _, state in place.task_runs() if run == "cut (fit)"]
    assert len(ended) == shown["evaluations"]
    assert set(ended) <= {"COMPLETED", "FAILED"}


def test_the_history_of_earlier_runs_is_kept(finished, place):
    assert sum(run == "done (fit)" for run, _, _ in place.task_runs()) == 150


def test_a_bad_problem_is_refused_before_anything_is_started(place):
    code, _, err = place.shoal("run", "run.toml", "--set", "problem=fit:lost")
    assert code == 2
    assert "no attribute 'lost'" in err
    assert "Dashboard" not in err


def test_the_form_of_the_flow_can_be_drawn():
    schema = parameter_schema(optimize)
    assert {"run_file", "name", "seed", "overrides", "settings"} <= set(schema.properties)


def evaluations(place, name):
    path = place.folder / "runs" / name / "run.zarr"
    return xr.open_datatree(path, engine="zarr")["evaluations"].to_dataset().load()
