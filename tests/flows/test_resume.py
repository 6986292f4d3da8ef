"""Resuming and extending runs by the command, without Prefect.

Invariants: a run that was killed or paused goes on to the same end, bit for bit; one that has finished is left as it
is; a run with a larger budget given later equals one that had it from the start; an optimizer that does something else
than before is an error until that is accepted; what would make another run of it, or is not right, is refused and
changes nothing.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import shoal
from flows.run_files.faults import InvalidSettingsError
from optim.errors import DivergenceError, RunLockedError, RunNameError
from optim.journal import EventKind
from optim.optimizers.cmaes import CMAES
from optim.store import RunFolder, open_run
from tests.flows.samples import LOSS_THAT_DIES, TWO_PARAMETERS

RUN_FILE = f"""\
problem = "bowl:loss"
seed = 3
parallel_optimizers = 2

[store]
flush_s = 0.001

{TWO_PARAMETERS}
[generator]
type = "Random"

[[optimizer]]
type = "Scipy"

[[optimizer]]
type = "CMAES"

[[stopper]]
type = "MaxFunctionCalls"
max = 25

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 120
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "bowl.py").write_text(LOSS_THAT_DIES)
    (tmp_path / "run.toml").write_text(RUN_FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "bowl", raising=False)
    return tmp_path


def call(*words):
    outcome = CliRunner().invoke(shoal, words, standalone_mode=False)
    if outcome.exception:
        raise outcome.exception
    return outcome


def rows(name):
    return [
        (row.optimizer, row.call, row.x.tobytes(), row.loss)
        for row in open_run(RunFolder(Path("runs") / name).store).evaluation_rows()
    ]


def test_a_killed_run_goes_on_to_the_same_end(place):
    call("run", "run.toml", "--local", "--name", "whole", "-q")
    command = [
        str(Path(sys.executable).with_name("shoal")),
        "run",
        "run.toml",
        "--local",
        "--name",
        "cut",
        "-q",
    ]
    killed = subprocess.run(command, env={**os.environ, "KILL_AT": "70"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert json.loads(call("show", "cut", "--json").output)["evaluations"] < 70
    assert call("resume", "cut", "-q").return_value == 0
    assert rows("cut") == rows("whole")
    summary = json.loads(call("show", "cut", "--json").output)
    assert summary["status"] == "finished"
    assert sum(optimizer["evaluations"] for optimizer in summary["optimizers"]) == 119


def test_a_finished_run_is_left_as_it_is(place):
    call("run", "run.toml", "--local", "--name", "one", "-q")
    before = {path: path.read_bytes() for path in Path("runs/one").rglob("*") if path.is_file()}
    outcome = call("resume", "one")
    assert outcome.return_value == 0
    assert "has finished: MaxTotalFunctionCalls(fmax=120)" in outcome.output
    assert {path: path.read_bytes() for path in Path("runs/one").rglob("*") if path.is_file()} == before


def test_a_larger_budget_later_is_a_larger_budget_from_the_start(place):
    call("run", "run.toml", "--local", "--name", "one", "-q")
    call("extend", "one", "--set", "exit_condition.1.max=200")
    shown = json.loads(call("show", "one", "--json").output)
    assert (shown["status"], shown["exit_conditions"]) == ("paused", "")
    assert call("resume", "one", "-q").return_value == 0
    call("run", "run.toml", "--local", "--name", "whole", "-q", "--set", "exit_condition.1.max=200")
    assert rows("one") == rows("whole")
    (change,) = [
        row
        for row in open_run(RunFolder(Path("runs/one")).store).event_rows()
        if row.kind is EventKind.SETTINGS_CHANGED
    ]
    assert change.text.startswith("exit_condition.1.max=200 (by ")


def test_a_divergence_can_be_accepted_until_the_budget_is_used_up(place, monkeypatch):
    """With optimizers on both sides of the end of a budget: only CMA-ES does something else."""
    call("run", "run.toml", "--local", "--name", "one", "-q", "--set", "exit_condition.1.max=118")
    call("extend", "one", "--set", "exit_condition.1.max=120")
    before = rows("one")
    other_way = CMAES.steps
    monkeypatch.setattr(
        CMAES, "steps", lambda self, start: other_way(self.model_copy(update={"popsize": 9}), start)
    )
    with pytest.raises(DivergenceError, match="with --accept-divergence, optimizer 2 goes on from its best"):
        call("resume", "one")
    assert call("resume", "one", "-q", "--accept-divergence").return_value == 0
    call("extend", "one", "--set", "exit_condition.1.max=150")
    assert call("resume", "one", "-q").return_value == 0
    assert rows("one")[:118] == before
    assert len(rows("one")) == 150


def test_rules_can_be_added_and_hold_after_the_next_resume_too(place):
    call("run", "run.toml", "--local", "--name", "one", "-q", "--set", "exit_condition.1.max=60")
    call("extend", "one", "--set", "exit_condition.1.max=90", "--set", "parallel_optimizers=3")
    assert call("resume", "one", "-q").return_value == 0
    call("extend", "one", "--set", "exit_condition.2={type = 'MaxOptimizersStopped', max = 5}")
    call("extend", "one", "--set", "exit_condition.1.max=500")
    assert call("resume", "one", "-q").return_value == 0
    summary = json.loads(call("show", "one", "--json").output)
    assert summary["reason"] == "MaxOptimizersStopped(nstop=5): 5 optimizers stopped of 5"
    assert sum(optimizer["end"] == "exit" for optimizer in summary["optimizers"]) >= 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed=4", "--set seed=4, seed: cannot be changed; start another run"),
        ("parameter.1.lower=-3.0", "parameters: cannot be changed"),
        ("exit_condition.3.max=5", "there are 1 such blocks, numbered from 1"),
        ("exit_condition.1.mix=5", "did you mean 'max'?"),
        ("stopper_boolean_combination=1 & 2", "it names 2, but there are 1"),
        ("optimizer.1.parameters=['z']", "'z' is no free parameter"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_changes_nothing(place, change, message):
    call("run", "run.toml", "--local", "--name", "one", "-q")
    before = Path("runs/one/run.zarr/zarr.json").read_bytes()
    with pytest.raises(InvalidSettingsError) as caught:
        call("extend", "one", "--set", change)
    assert message in str(caught.value)
    assert Path("runs/one/run.zarr/zarr.json").read_bytes() == before


def test_a_run_that_somebody_works_on_is_neither_resumed_nor_changed(place):
    call("run", "run.toml", "--local", "--name", "one", "-q", "--set", "exit_condition.1.max=30")
    call("extend", "one", "--set", "exit_condition.1.max=40")
    with RunFolder(Path("runs/one")).lock():
        with pytest.raises(RunLockedError, match=f"process {os.getpid()}"):
            call("resume", "one")
        with pytest.raises(RunLockedError):
            call("extend", "one", "--set", "exit_condition.1.max=50")


def test_a_run_that_is_not_there_is_not_resumed(place):
    with pytest.raises(RunNameError, match="there is no run 'none'"):
        call("resume", "none")
