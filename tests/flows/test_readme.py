"""What the README shows works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.run_files.reading import read_settings

README = (Path(__file__).parents[2] / "README.md").read_text()
LOSS, IN_PROCESS, AS_FLOW = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
RUN_FILE = re.search(r"```toml\n(# my_fit.toml.*?)```", README, re.DOTALL)[1]
MORE_SETTINGS = re.search(r"```toml\n(constraint = .*?)```", README, re.DOTALL)[1]
BLOCKS = re.search(r"```\n(Problem my_fit:loss.*?)```", README, re.DOTALL)[1]

PROBLEM = """
import shoal

def validation_loss(x):
    return loss(x) + 0.1

initial = {"a": 0.1, "b": 0.4, "c": 3.0, "d": 0.2}
problem = shoal.Problem(
    loss, [shoal.Parameter(name=n, initial=at, lower=at - 1, upper=at + 1) for n, at in initial.items()]
)
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "my_fit.py").write_text(LOSS)
    (tmp_path / "my_fit.toml").write_text(RUN_FILE)
    (tmp_path / "in_process.py").write_text(IN_PROCESS)
    (tmp_path / "as_flow.py").write_text(AS_FLOW)
    return tmp_path


def call(place, *words):
    return subprocess.run(
        words, cwd=place, capture_output=True, text=True, check=True, env=dict(os.environ)
    ).stdout


def test_the_run_file_runs(place):
    shoal = Path(sys.executable).with_name("shoal")
    assert "good" in call(place, shoal, "check", "my_fit.toml")
    out = call(place, shoal, "run", "my_fit.toml", "--local")
    assert "MaxOptimizersConverged(nconv=5)" in out


def test_the_other_settings_run(place):
    with (place / "my_fit.py").open("a") as file:
        file.write(PROBLEM)
    (place / "more.toml").write_text(f'problem = "my_fit:problem"\n{MORE_SETTINGS}')
    shoal = Path(sys.executable).with_name("shoal")
    budget = "exit_condition.1={type = 'MaxTotalFunctionCalls', max = 60}"
    out = call(place, shoal, "run", "more.toml", "--local", "--set", budget)
    assert "MaxTotalFunctionCalls(fmax=60) = True" in out
    assert "Best validation loss" in out


def test_the_blocks_are_good_settings(place):
    (place / "my_fit.in").write_text(BLOCKS)
    found = read_settings(place / "my_fit.in")[1]
    assert found.parallel_optimizers == 5
    assert found.optimizers[0].popsize == 8
    assert found.stoppers[0].max_relative_distance == 0.01
    assert found.exit_conditions[0].max == 2500


def test_the_example_in_this_process_runs(place):
    assert call(place, sys.executable, "in_process.py").startswith("loss=")


@pytest.mark.slow
def test_the_example_as_a_flow_runs(place, server):
    out = call(place, sys.executable, "as_flow.py")
    assert "evaluation: 200" in out
    assert "Group: /optimizers" in out
