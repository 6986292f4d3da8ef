"""What the README shows works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
LOSS, IN_PROCESS, AS_FLOW = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
RUN_FILE = re.search(r"```toml\n(# my_fit.toml.*?)```", README, re.DOTALL)[1]


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


def test_the_example_in_this_process_runs(place):
    assert call(place, sys.executable, "in_process.py").startswith("loss=")


@pytest.mark.slow
def test_the_example_as_a_flow_runs(place, server):
    out = call(place, sys.executable, "as_flow.py")
    assert "evaluation: 200" in out
    assert "Group: /optimizers" in out
