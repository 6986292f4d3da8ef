"""The `shoal` command, without Prefect: what people type, see and get as an exit code.

Invariants: `--local` runs leave a run that `list` and `show` read; `show --json` has the contract's keys; every bad
input is one message without a traceback and with exit code 2; a signal, and a terminal that is closed, save the run;
help needs no heavy imports.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pydantic
import pytest
import xarray as xr
from click.testing import CliRunner

import tasks
from flows import lanes
from flows.cli import exit_code, main, shoal
from flows.lanes.interruption import interruptible
from optim.errors import RunLockedError, ShoalError

EXAMPLES = Path(__file__).parents[2] / "deployments/examples"

RUN_FILE = """\
problem = "bowl:loss"
seed = 3
baseline = false
parallel_optimizers = 2
exit_condition_boolean_combination = "1 | 2"

[[parameter]]
name = "a"
initial = 0.5
lower = -1.0
upper = 2.0
unit = "nm"

[[parameter]]
name = "b"
initial = 0.5
lower = 1e-3
upper = 10.0
scale = "log"

[generator]
type = "Random"

[[optimizer]]
type = "Scipy"

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 60

[[exit_condition]]
type = "MaxOptimizersConverged"
max = 50
"""

BOWL = """\
def loss(x):
    return float((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)
"""

SLOW = """\
import time


def loss(x):
    with open("started", "a") as file:
        file.write("x")
    time.sleep(0.01)
    return float((x**2).sum())
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of the user's, with a loss and a run file."""
    (tmp_path / "bowl.py").write_text(BOWL)
    (tmp_path / "run.toml").write_text(RUN_FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("SHOAL_LOCATION", raising=False)
    yield tmp_path
    for name in ("bowl", "slow"):
        sys.modules.pop(name, None)
    from tasks import user_code

    user_code.forget("")


def call(*words):
    """The command, in this process: its result, and its exit code as the shell would see it."""
    result = CliRunner().invoke(shoal, [str(word) for word in words], standalone_mode=False)
    if isinstance(result.exception, ShoalError):
        return exit_code(result.exception), str(result.exception)
    if result.exception is not None:
        raise result.exception
    return result.return_value or 0, result.stdout


def command(*words, **options):
    """The command, as a process."""
    return subprocess.run(
        [Path(sys.executable).with_name("shoal"), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def show(name):
    code, text = call("show", name, "--json")
    assert code == 0
    return json.loads(text)


def test_a_local_run_leaves_a_run_that_show_describes(place):
    code, text = call("run", "run.toml", "--local", "--name", "first")
    assert code == 0
    assert "first: finished, 60 evaluations" in text
    assert "MaxTotalFunctionCalls(fmax=60) = True |" in text
    assert "nm" in text
    shown = show("first")
    assert {
        "name",
        "status",
        "reason",
        "evaluations",
        "seed",
        "elapsed_s",
        "best",
        "optimizers",
    } <= shown.keys()
    assert shown["exit_conditions"].splitlines() == [
        "MaxTotalFunctionCalls(fmax=60) = True |",
        "MaxOptimizersConverged(nconv=50) = None",
    ]
    assert (shown["name"], shown["status"], shown["evaluations"], shown["seed"]) == (
        "first",
        "finished",
        60,
        3,
    )
    assert shown["best"].keys() == {"loss", "optimizer", "evaluation", "parameters"}
    assert shown["best"]["parameters"].keys() == {"a", "b"}
    first = shown["optimizers"][0]
    assert first.keys() >= {
        "number",
        "type",
        "start_evaluation",
        "end_evaluation",
        "evaluations",
        "end",
        "reason",
    }
    assert (first["number"], first["type"], first["start_evaluation"]) == (1, "Scipy", 0)
    assert sum(optimizer["evaluations"] for optimizer in shown["optimizers"]) == 60


def test_the_store_is_what_xarray_opens(place):
    call("run", "run.toml", "--local", "--name", "tree")
    tree = xr.open_datatree("runs/tree/run.zarr", engine="zarr")
    assert tree["evaluations"].sizes == {"evaluation": 60, "parameter": 2}
    assert tree.attrs["status"] == "finished"
    assert tree.attrs["settings"]["problem"] == "bowl:loss"
    assert Path("runs/tree/run.toml").read_text() == RUN_FILE
    assert "Exit conditions met:\n                     MaxTotal" in Path("runs/tree/log").read_text()


def test_one_seed_gives_one_run_and_another_seed_another(place):
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        call("run", "run.toml", "--local", "--name", name, "--seed", seed)
    one, two, three = (
        xr.open_datatree(f"runs/{name}/run.zarr", engine="zarr")["evaluations"].to_dataset().load()
        for name in ("one", "two", "three")
    )
    assert one["x"].values.tobytes() == two["x"].values.tobytes()
    assert one["loss"].values.tobytes() == two["loss"].values.tobytes()
    assert one["x"].values.tobytes() != three["x"].values.tobytes()


def test_runs_without_a_name_are_numbered_and_listed(place):
    for _ in range(2):
        assert call("run", "run.toml", "--local", "-q") == (0, "")
    code, text = call("list")
    assert code == 0
    assert "bowl-1" in text
    assert "bowl-2" in text
    assert "finished" in text


def test_list_says_so_when_there_is_nothing(place):
    assert call("list") == (0, "no runs in runs\n")


def test_runs_go_where_they_are_told(place, monkeypatch):
    call("run", "run.toml", "--local", "-q", "--location", "elsewhere", "--name", "x")
    assert (place / "elsewhere/x/run.zarr").is_dir()
    monkeypatch.setenv("SHOAL_LOCATION", "by_environment")
    call("run", "run.toml", "--local", "-q", "--name", "y")
    assert (place / "by_environment/y/run.zarr").is_dir()
    assert "y" in call("list")[1]


WANDERING = """\
import os
import tempfile
import time


def back(x):
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            time.sleep(0.05)  # the store is written meanwhile
            return float((x**2).sum())
        finally:
            os.chdir(before)


def away(x):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    return float((x**2).sum())
"""


@pytest.mark.parametrize("loss", ["back", "away"])
def test_a_loss_that_changes_the_working_directory_leaves_the_store_where_it_is(place, loss):
    (place / "wandering.py").write_text(WANDERING)
    changes = ("--set", f"problem=wandering:{loss}", "--set", "store.flush_s=0.01")
    done = command("run", "run.toml", "--local", "--name", "w", *changes)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "Run w in runs/w, seed 3" in done.stderr
    assert show("w")["evaluations"] == 60


@pytest.mark.parametrize("is_default", [True, False])
def test_what_the_end_says_to_type_finds_the_run(place, is_default, monkeypatch):
    if is_default:
        monkeypatch.setenv("SHOAL_LOCATION", "else where")
    done = command("run", "run.toml", "--local", "--name", "w", "--location", "else where")
    suggested = "shoal plot w" if is_default else "shoal plot w --location 'else where'"
    assert f"To look at the losses: {suggested}\n" in done.stdout
    assert call(*shlex.split(suggested)[1:])[0] == 0


def test_a_locale_of_few_characters_shows_the_others_escaped(place):
    (place / "run.toml").write_text(RUN_FILE.replace('"a"', '"\N{GREEK SMALL LETTER BETA}"'))
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = command("run", "run.toml", "--local", "--name", "w", env=environment)
    assert done.returncode == 0
    assert "\\u03b2" in done.stdout


def test_set_overrides_the_run_file(place):
    call("run", "run.toml", "--local", "-q", "--name", "x", "--set", "exit_condition.1.max=7")
    assert show("x")["evaluations"] == 7


def test_check_says_that_a_good_file_is_good(place):
    code, text = call("check", "run.toml")
    assert code == 0
    assert text == "run.toml: good. Problem bowl with a, b; optimizers Nelder-Mead.\n"


@pytest.mark.parametrize("words", [("check", "run.toml"), ("run", "run.toml", "--local")])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 3", "sede = 3"), "line 2, sede: unknown key 'sede'; did you mean 'seed'?"),
        (('"bowl:loss"', '"bowls:loss"'), "line 1, problem: "),
        (('"bowl:loss"', '"bowl:lost"'), "line 1, problem: "),
        (("initial = 0.5\nlower = -1", "initial = 9\nlower = -1"), "must lie within its bounds, -1 to 2"),
    ],
)
def test_a_bad_run_file_is_refused_with_code_2_and_starts_nothing(place, words, change, message):
    (place / "run.toml").write_text(RUN_FILE.replace(*change))
    code, text = call(*words)
    assert code == 2
    assert message in text
    assert not (place / "runs").exists()


def test_a_plain_loss_without_parameters_is_refused(place):
    head, tail = RUN_FILE.split("[[parameter]]")[0], RUN_FILE.split("[generator]")[1]
    (place / "run.toml").write_text(f"{head}[generator]{tail}")
    code, text = call("check", "run.toml")
    assert code == 2
    assert "add [[parameter]] blocks" in text


def test_an_optimizer_that_cannot_search_the_space_is_refused(place):
    one = RUN_FILE.replace(
        RUN_FILE[RUN_FILE.index('[[parameter]]\nname = "b"') : RUN_FILE.index("[generator]")], ""
    )
    (place / "run.toml").write_text(one.replace('type = "Scipy"', 'type = "CMAES"'))
    code, text = call("check", "run.toml")
    assert code == 2
    assert "at least two parameters" in text


def test_a_name_that_is_taken_or_not_allowed_is_refused(place):
    call("run", "run.toml", "--local", "-q", "--name", "x")
    code, text = call("run", "run.toml", "--local", "--name", "x")
    assert code == 2
    assert "exists" in text
    code, text = call("run", "run.toml", "--local", "--name", "../x")
    assert code == 2
    assert "allowed are" in text


def test_a_run_that_is_not_there_is_bad_input(place):
    code, text = call("show", "nobody")
    assert code == 2
    assert "there is no run 'nobody'" in text


def test_a_run_in_which_nothing_works_fails_with_code_1_and_says_why(place):
    (place / "bowl.py").write_text("def loss(x):\n    raise OSError('no licence')\n")
    (place / "run.toml").write_text(RUN_FILE.replace("max = 60", "max = 5000"))
    words = ("run", "run.toml", "--local", "--name", "x", "--set", "optimizer.1.type=CMAES")
    code, text = call(*words)
    assert code == 1
    assert "OSError: no licence" in text
    assert show("x")["status"] == "failed"
    assert show("x")["best"] is None


def test_json_has_null_for_what_is_not_finite(place):
    (place / "bowl.py").write_text("def loss(x):\n    return float('nan')\n")
    call("run", "run.toml", "--local", "-q", "--name", "x")
    shown = show("x")
    assert shown["optimizers"][0]["best_loss"] is None
    assert shown["failures"] == shown["evaluations"]


def test_a_locked_run_has_its_own_code():
    assert exit_code(RunLockedError("taken")) == 3


def test_errors_reach_people_without_a_traceback(place):
    done = command("check", "nowhere.toml")
    assert done.returncode == 2
    assert done.stderr.startswith("shoal: nowhere.toml: 1 fault; nothing was started")
    assert "Traceback" not in done.stderr
    done = command("shwo")
    assert done.returncode == 2
    assert "did you mean 'show'?" in done.stderr


@contextmanager
def slow_run(place, *before, **options):
    """A run that has made some evaluations; afterwards it is to have been interrupted, with all of them saved."""
    (place / "slow.py").write_text(SLOW)
    run_file = RUN_FILE.replace("bowl:loss", "slow:loss").replace("max = 60", "max = 100000")
    (place / "run.toml").write_text(run_file)
    words = [*before, Path(sys.executable).with_name("shoal"), "run", "run.toml", "--local", "--name", "x"]
    with subprocess.Popen(words, **options) as process:
        while not (place / "started").exists() or (place / "started").stat().st_size < 20:
            assert process.poll() is None
        yield process
        process.communicate(timeout=60)
    assert process.returncode == 130
    shown = show("x")
    assert shown["status"] == "paused"
    assert shown["evaluations"] == (place / "started").stat().st_size >= 20


class _InterruptedModel(pydantic.BaseModel):
    number: int = 1

    @pydantic.field_serializer("number")
    def _interrupt(self, number: int) -> int:
        raise KeyboardInterrupt


def test_an_interrupt_that_pydantic_wraps_is_still_one(monkeypatch, capsys):
    monkeypatch.setattr(shoal, "main", lambda **_: _InterruptedModel().model_dump())
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_what_was_finished_and_ends_with_code_130(place, name):
    with slow_run(place, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.send_signal(name)


def test_a_terminal_that_is_closed_saves_what_was_finished(place):
    ours, theirs = os.openpty()
    code = "import fcntl, os, sys, termios; fcntl.ioctl(1, termios.TIOCSCTTY); os.execv(sys.argv[1], sys.argv[1:])"
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    with slow_run(place, sys.executable, "-c", code, **terminal):
        os.close(theirs)
        os.close(ours)


def test_a_terminal_that_is_closed_may_say_so_more_than_once():
    with interruptible() as interruption:
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        assert interruption()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_a_reader_that_goes_away_ends_no_run(place):
    words = [Path(sys.executable).with_name("shoal"), "run", "run.toml", "--local", "--name", "x"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        process.stderr.readline()
        process.stderr.close()
    assert process.returncode == 0
    assert show("x")["evaluations"] == 60


def test_a_quiet_run_says_what_it_warns_of_and_nothing_else(place):
    (place / "slow.py").write_text(SLOW)
    (place / "run.toml").write_text(
        RUN_FILE.replace("bowl:loss", "slow:loss").replace("max = 60", "max = 100000")
    )
    done = command("run", "run.toml", "--local", "--name", "x", "-q", "--walltime", "1")
    assert done.returncode == 75
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "walltime" in line


def test_nohup_keeps_a_run_from_hearing_that_the_terminal_is_closed():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert not interruption()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_counts_where_nobody_can_be_told(monkeypatch):
    heard = []
    with open(os.devnull) as refusing, interruptible() as interruption:
        monkeypatch.setattr(lanes.interruption, "STANDARD_ERROR", refusing.fileno())
        interruption.on_request(lambda: heard.append(True))
        signal.raise_signal(signal.SIGTERM)
        assert (interruption(), heard) == (True, [True])


def test_a_module_of_the_users_that_hides_ours_is_refused(place):
    shutil.copytree(Path(tasks.__file__).parent, place / "tasks")
    environment = {**os.environ, "PYTHONPATH": str(place)}
    done = command("run", "run.toml", "--local", env=environment)
    assert done.returncode == 1
    assert "modules of different origin are mixed" in done.stderr
    assert not (place / "runs").exists()


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from flows.cli import shoal; shoal.main(['--help'], standalone_mode=False);"
        "print([name for name in ('prefect', 'numpy', 'scipy', 'xarray', 'dask', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Exit codes: 0 done, 1 failed, 2 bad input" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_showing_a_run_imports_nothing_heavy(place):
    assert command("run", "run.toml", "--local", "--name", "r", "-q").returncode == 0
    code = (
        "import sys; from flows.cli import shoal; shoal.main(['show', 'r', '--json'], standalone_mode=False);"
        "print([name for name in ('prefect', 'scipy', 'pandas', 'xarray', 'zarr', 'dask') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_importing_the_domain_loads_no_engine_and_no_storage():
    code = (
        "import optim, optim.manager, sys; print([name for name in ('prefect', 'distributed', 'dask', 'xarray', 'zarr')"
        " if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "[]\n"
