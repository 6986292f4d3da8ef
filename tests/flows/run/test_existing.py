"""What a new run does when there is one of its name, by the command and as a flow.

Invariants: told to resume, a run begins, goes on by what its store says as often as need be, and is left as it is once
it has finished; one that another process works on is refused. Told to be new, it gets a number. By default it is
refused.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flows.cli import exit_code, shoal
from flows.optimize import optimize
from flows.run.extension import extend
from optim.errors import RunLockedError, RunNameError
from optim.store import EVALUATIONS, RunFolder, open_run, read_attributes
from tests.flows.samples import LOSS_THAT_DIES, TWO_PARAMETERS

RUN_FILE = f"""\
problem = "pit:loss"
seed = 3

{TWO_PARAMETERS}
[[optimizer]]
type = "CMAES"

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 60

[store]
flush_s = 0.001
"""

WORDS = ("run", "run.toml", "--local", "-q", "--name", "one")


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "pit.py").write_text(LOSS_THAT_DIES)
    (tmp_path / "run.toml").write_text(RUN_FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pit", raising=False)
    return tmp_path


def call(*words: str) -> Any:
    outcome = CliRunner().invoke(shoal, words, standalone_mode=False)
    if outcome.exception:
        raise outcome.exception
    return outcome


def folder(name: str) -> RunFolder:
    return RunFolder(Path("runs") / name)


def evaluations(name: str) -> int:
    return open_run(folder(name).store).size(EVALUATIONS)


def names() -> set[str]:
    return {path.name for path in Path("runs").iterdir()}


def test_one_command_begins_a_run_goes_on_with_it_and_leaves_it_when_it_has_finished(place):
    command = [str(Path(sys.executable).with_name("shoal")), *WORDS, "--if-exists", "resume"]
    killed = subprocess.run(command, env={**os.environ, "KILL_AT": "30"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert evaluations("one") < 60  # the last of them may not have been committed

    Path("run.toml").write_text(RUN_FILE.replace("pit:loss", "nowhere"))  # what counts is the store
    assert call(*WORDS, "--if-exists", "resume").return_value == 0
    assert read_attributes(folder("one").store)["status"] == "finished"
    assert evaluations("one") == 60

    before = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}
    outcome = call(*WORDS, "--if-exists", "resume")
    assert outcome.return_value == 0
    assert "one has finished" in outcome.output
    assert {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()} == before


def test_a_run_of_another_process_is_refused_with_its_own_code(place):
    call(*WORDS)
    extend(folder("one"), ["exit_condition.1.max=90"])
    with folder("one").lock(), pytest.raises(RunLockedError) as error:
        call(*WORDS, "--if-exists", "resume")
    assert exit_code(error.value) == 3
    assert evaluations("one") == 60


def test_a_new_run_gets_a_number_behind_its_name_if_that_is_taken(place):
    for _ in range(3):
        call(*WORDS, "--if-exists", "new")
    assert names() == {"one", "one-2", "one-3"}
    assert evaluations("one-3") == 60


def test_what_goes_on_if_it_exists_needs_a_name(place):
    with pytest.raises(RunNameError, match="needs a name") as error:
        call("run", "run.toml", "--local", "--if-exists", "resume")
    assert exit_code(error.value) == 2
    assert not Path("runs").exists()


def test_a_run_is_looked_for_where_its_run_file_keeps_it(place):
    Path("run.toml").write_text(f'{RUN_FILE}location = "elsewhere"\n')
    call(*WORDS)
    assert "one has finished" in call(*WORDS, "--if-exists", "resume").output
    assert not Path("runs").exists()


@pytest.mark.slow
def test_the_flow_does_as_the_command(cluster, place):
    Path("run.toml").write_text(f'{RUN_FILE}\n[cluster]\naddress = "{cluster.scheduler_address}"\n')

    def run(if_exists: str) -> Any:
        given = {"run_file": "run.toml", "name": "one", "overrides": [""]}  # as prefect.yaml may leave it
        return optimize(**given, if_exists=if_exists, return_state=True)

    assert run("resume").is_completed()
    assert evaluations("one") == 60
    extend(folder("one"), ["exit_condition.1.max=90"])
    with folder("one").lock():
        assert "is being worked on by" in run("resume").message
    assert run("resume").is_completed()
    assert evaluations("one") == 90
    assert "nothing was changed" in run("resume").message
    assert run("refuse").is_failed()
    assert run("new").is_completed()
    assert names() == {"one", "one-2"}
