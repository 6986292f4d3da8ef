"""`shoal watch`: following a run of somebody else, from its store only.

Invariants: it ends, with code 0, when the run does, however it does; what there is not is bad input; a killed run is
told from one that goes on; Ctrl-C ends the watching and never the run; where a run is makes no difference.
"""

import io
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from flows.cli import exit_code, shoal
from flows.commands.watch import _follow
from flows.reports.from_store import StoreSource
from optim.errors import ShoalError
from optim.store import RunFolder, read_attributes

SHOAL = Path(sys.executable).with_name("shoal")
RUNS = []
"""Processes of runs, which end with the test."""
RUN_FILE = """\
problem = "slow:loss"
seed = 3
parallel_optimizers = 3
generator = {{ type = "Random" }}
optimizer = [{{ type = "Scipy" }}]
exit_condition = [{{ type = "MaxTotalFunctionCalls", max = {} }}]

[[parameter]]
name = "a"
initial = 0.5
lower = -1.0
upper = 2.0
"""
SLOW = """\
import os, time

def loss(x):
    while not os.path.exists("go"):
        time.sleep(0.01)
    time.sleep(0.005)
    return float((x[0] - 0.3) ** 2)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of the user's; losses wait there until a file `go` exists."""
    (tmp_path / "slow.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHOAL_LOCATION", raising=False)
    yield tmp_path
    while RUNS:
        with RUNS.pop() as process:
            process.kill()


@pytest.fixture
def finished(place, tmp_path_factory):
    """The same with a run that has finished; it is made once."""
    once = tmp_path_factory.getbasetemp() / "finished"
    if not once.exists():
        assert begin(place, 60).wait(timeout=60) == 0
        shutil.copytree(place / "runs", once)
    shutil.copytree(once, place / "runs", dirs_exist_ok=True)
    return place


def begin(place, evaluations, *, go=True):
    """A run in a process of its own."""
    (place / "run.toml").write_text(RUN_FILE.format(evaluations))
    if go:
        (place / "go").touch()
    words = [SHOAL, "run", "run.toml", "--local", "--name", "one", "-q"]
    process = subprocess.Popen(words)
    RUNS.append(process)
    while not (place / "runs/one/run.zarr/zarr.json").exists():
        assert process.poll() is None
    return process


def watching(*words):
    return subprocess.Popen(
        [SHOAL, "watch", "one", "--interval", "0.1", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(*words):
    """The command, in this process: its exit code, and what it printed."""
    result = CliRunner().invoke(shoal, ["watch", *map(str, words)], standalone_mode=False)
    if isinstance(result.exception, ShoalError):
        return exit_code(result.exception), str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value or 0, result.stdout


def test_it_follows_a_run_to_its_end(place):
    run = begin(place, 150, go=False)
    watch = watching()
    first = watch.stdout.readline()
    (place / "go").touch()
    out, err = watch.communicate(timeout=60)
    assert run.wait(timeout=60) == 0
    assert "0 evaluations, no finite loss yet, 0 alive of 0 started" in first
    assert first.startswith("[")
    assert (watch.returncode, err) == (0, "")
    assert "150 evaluations" in out
    assert "150 / 150" in out
    assert out.splitlines()[-1] == "one has finished: MaxTotalFunctionCalls(fmax=150): 150 evaluations of 150"
    # and now that it has finished, the same final snapshot
    code, text = call("one")
    assert code == 0
    assert text.splitlines()[-1] == out.splitlines()[-1]
    assert "finished" in text.splitlines()[0]


def test_a_run_that_is_paused_and_resumed_and_killed_is_followed_from_session_to_session(place):
    run = begin(place, 100_000)
    watch = watching()
    assert watch.stdout.readline()
    run.send_signal(signal.SIGTERM)
    out, err = watch.communicate(timeout=60)
    assert run.wait(timeout=60) == 130
    assert (watch.returncode, err) == (0, "")
    assert out.splitlines()[-2:] == [
        "one is paused: interrupted; what was finished is saved",
        "To go on: shoal resume one",
    ]
    resumed = subprocess.Popen([SHOAL, "resume", "one", "-q"])
    RUNS.append(resumed)
    while not RunFolder(place / "runs/one").is_locked:
        assert resumed.poll() is None
    watch = watching()  # maybe the store still says that the run is paused
    assert watch.stdout.readline()
    while read_attributes(place / "runs/one/run.zarr")["status"] != "running":
        assert resumed.poll() is None
    resumed.kill()
    resumed.wait()
    out, err = watch.communicate(timeout=60)
    assert (watch.returncode, err) == (0, "")
    gone = ["The process that worked on it is gone.", "To go on: shoal resume one"]
    assert out.splitlines()[-2:] == gone
    assert call("one")[1].splitlines()[-2:] == gone


def test_once_and_ctrl_c_leave_the_watching_and_never_the_run(place):
    run = begin(place, 150, go=False)
    code, text = call("one", "--once")
    assert code == 0
    assert text.startswith("one  slow")
    assert "running" in text.splitlines()[0]
    assert "0 / 150" in text
    watch = watching()
    assert watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    _, err = watch.communicate(timeout=60)
    assert watch.returncode == 130
    assert err.split("\n") == ["one goes on without you.", "", "interrupted", ""]
    assert run.poll() is None
    (place / "go").touch()
    assert run.wait(timeout=60) == 0


def test_a_terminal_shows_the_view_and_leaves_nothing_of_it_behind(place):
    run = begin(place, 150)
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=24)
    folder = RunFolder(place / "runs/one")
    _follow(StoreSource("one", str(folder.store), folder), console, 0.1)
    assert run.wait(timeout=60) == 0
    assert "MaxTotalFunctionCalls(fmax=150)" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")  # the last line of it, erased
    assert "\x1b[?25h" in file.getvalue()  # the cursor is back


def test_where_the_run_is_makes_no_difference(finished):
    here = call("one")
    memory = fsspec.filesystem("memory")
    memory.put(str(finished / "runs"), "/elsewhere", recursive=True)
    try:
        assert call("one", "--location", "memory://elsewhere") == here
        assert call("one", "--location", (finished / "runs").as_uri() + "/") == here
        assert call("two", "--location", "memory://elsewhere") == (
            2,
            "there is no run 'two' in memory://elsewhere",
        )
    finally:
        memory.rm("/elsewhere", recursive=True)


def test_what_there_is_not_is_bad_input(place):
    assert call("two") == (2, "there is no run 'two' in runs")
    assert call("../x")[0] == 2
    assert call("../x", "--location", "memory://elsewhere")[0] == 2
    assert call("one", "--location", "nosuchprotocol://x")[0] == 1


def test_a_damaged_run_is_one_message(finished):
    shutil.rmtree(finished / "runs/one/run.zarr/evaluations/loss")
    code, text = call("one")
    assert code == 1
    assert "evaluations/loss/c/0" in text


def test_watching_imports_nothing_heavy(finished):
    code = (
        "import sys; from flows.cli import shoal; shoal.main(['watch', 'one'], standalone_mode=False);"
        "print([name for name in ('prefect', 'scipy', 'pandas', 'xarray', 'zarr', 'dask') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
