"""Steering runs by the command, from another terminal, and ending them before a batch job does.

Invariants: what people ask for is done while the run goes on, is in the journal with who and when, and leaves the
inbox empty; a run that nobody works on does it when it goes on; what cannot be done, or is no wish, is refused and
said; a run whose walltime ends is paused (75), saved, and goes on to the end it would have had; a loss that outlives
the walltime, or the patience of whoever sent SIGTERM, is cut.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main, shoal
from flows.durations import seconds_of
from flows.lanes import interruption
from optim.errors import DurationError, RunNameError, SpaceError, SteeringError
from optim.journal import EventKind
from optim.session import Session
from optim.steering import read_intervention
from optim.store import open_run
from tests.flows.samples import TWO_PARAMETERS

LOSS = """\
import os
import signal
import time
import weakref


def loss(x):
    if os.environ.get("SIGNAL"):
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    time.sleep(float(os.environ.get("PAUSE_S", "0")))
    if os.environ.get("RAISES") and x[0] < 0.3:
        raise ValueError("too small")
    return float((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)
"""

RUN_FILE = f"""\
problem = "steered:loss"
seed = 3
parallel_optimizers = 2

{TWO_PARAMETERS}
[generator]
type = "Random"

[[optimizer]]
type = "CMAES"

[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 400
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "steered.py").write_text(LOSS)
    (tmp_path / "run.toml").write_text(RUN_FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def call(*words):
    return CliRunner(catch_exceptions=False).invoke(shoal, words, standalone_mode=False)


def events(place, kind):
    return [row for row in open_run(place / "runs" / "r" / "run.zarr").event_rows() if row.kind is kind]


@pytest.fixture
def going_on(place):
    """A run that another process works on, slowly."""
    command = [
        sys.executable,
        "-c",
        "from flows.cli import main; main()",
        "run",
        "run.toml",
        "--local",
        "--name",
        "r",
        "-q",
    ]
    process = subprocess.Popen(command, env={**os.environ, "PAUSE_S": "0.02"})
    store = place / "runs" / "r" / "run.zarr"
    while not (store / "zarr.json").exists() or open_run(store).evaluations().sizes["evaluation"] < 5:
        assert process.poll() is None
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def test_a_run_is_steered_while_it_goes_on(place, going_on):
    assert call("inject", "r", "a=1.25", "b=-0.5").output.startswith(
        "Done: start an optimizer at (1.25, -0.5)"
    )
    assert call("stop", "r", "--optimizer", "1").output.startswith("Done: stop optimizer 1.")
    assert call("pause", "r").output.startswith("Done: pause the run")
    assert going_on.wait(60) == 75
    asked = [read_intervention(row.data) for row in events(place, EventKind.INTERVENTION)]
    assert [one.kind for one in asked] == ["start optimizer", "stop optimizer", "pause run"]
    assert all(" on " in one.by and one.at.tzinfo for one in asked)
    assert list((place / "runs" / "r" / "inbox").iterdir()) == []
    assert call("resume", "r", "-q").return_value == 0
    shown = json.loads(call("show", "r", "--json").output)
    assert (shown["status"], shown["evaluations"]) == ("finished", 400)
    assert (shown["optimizers"][0]["end"], shown["optimizers"][0]["reason"][:10]) == ("by hand", "stopped by")


def test_a_run_that_is_stopped_has_finished(place, going_on):
    assert call("stop", "r").output.startswith("Done: stop the run")
    assert going_on.wait(60) == 0
    with pytest.raises(SteeringError, match="r has ended: stopped by"):
        call("inject", "r", "a=1")


@pytest.fixture
def paused(place):
    """A run that nobody works on."""
    assert (
        call(
            "run", "run.toml", "--local", "--name", "r", "-q", "--set", "exit_condition.1.max=40"
        ).return_value
        == 0
    )
    call("extend", "r", "--set", "exit_condition.1.max=400")
    return place


def test_what_nobody_is_there_to_do_is_done_when_the_run_goes_on(paused):
    assert "it is done when the run goes on: shoal resume r" in call("stop", "r").output
    assert call("pause", "r").output == "Nobody works on r: there is nothing to pause.\n"
    assert call("resume", "r", "-q").return_value == 0
    shown = json.loads(call("show", "r", "--json").output)
    assert (shown["status"], shown["evaluations"]) == ("finished", 40)
    assert shown["reason"].startswith("stopped by ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stop", "r", "--optimizer", "9"], "there is no optimizer 9; 2 were started"),
        (["inject", "r", "c=1"], "given 'c=1'; give PARAMETER=VALUE once for any of a, b"),
        (["inject", "r", "a=1", "a=2"], "given 'a=2'"),
        (["inject", "r", "a"], "given 'a'"),
        (["inject", "r", "a=much"], "a must be a number, and was given as 'much'"),
        (["inject", "r", "a=nan"], "a = nan is outside its bounds"),
        (["inject", "r", "a=7"], "a = 7 is outside its bounds"),
        (["stop", "../r"], "cannot be called"),
        (["pause", "other"], "there is no run 'other'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(paused, words, message):
    with pytest.raises((SteeringError, SpaceError, RunNameError), match=message.replace("(", "\\(")):
        call(*words)
    assert list((paused / "runs" / "r" / "inbox").iterdir()) == []


def test_what_is_no_wish_is_put_aside_and_said(paused):
    inbox = paused / "runs" / "r" / "inbox"
    (inbox / "1.json").write_text('{"kind": "launch missiles"}')
    (inbox / "2.json").mkdir()
    (inbox / "notes.txt").write_text("not for the run")
    assert call("resume", "r", "-q").return_value == 0
    assert {path.name for path in inbox.iterdir()} == {"1.json.refused", "2.json.refused", "notes.txt"}
    assert (paused / "runs" / "r" / "log").read_text().count("nothing that a run can be asked for") == 2


def test_a_file_system_that_fails_for_a_while_ends_no_run(paused, monkeypatch):
    inbox = paused / "runs" / "r" / "inbox"
    call("stop", "r")
    unlink, failures = Path.unlink, iter([PermissionError(13, "not now")])

    def fails_at_first(path, **options):
        if path.parent.name == "inbox" and (failure := next(failures, None)):
            raise failure
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", fails_at_first)
    assert call("resume", "r", "-q").return_value == 0
    log = (paused / "runs" / "r" / "log").read_text()
    assert (log.count("Asked to stop the run"), log.count("Cannot see what is asked of the run")) == (1, 1)
    assert call("extend", "r", "--set", "exit_condition.1.max=500").exit_code == 0
    assert call("resume", "r", "-q").return_value == 0
    assert list(inbox.iterdir()) == []
    assert len(events(paused, EventKind.INTERVENTION)) == 1


def test_an_alarm_of_somebody_elses_is_left_alone(place):
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(True))
    timer = signal.getitimer(signal.ITIMER_REAL)
    try:
        assert call("run", "run.toml", "--local", "--name", "r", "-q", "--walltime", "1h").return_value == 0
        signal.raise_signal(signal.SIGALRM)
        assert rang == [True]
        assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (timer[0] > 0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_run_ends_before_its_walltime_and_goes_on_later(place, monkeypatch):
    assert call("run", "run.toml", "--local", "--name", "whole", "-q").return_value == 0
    monkeypatch.setenv("PAUSE_S", "0.02")
    assert call("run", "run.toml", "--local", "--name", "r", "-q", "--walltime", "2s").return_value == 75
    shown = json.loads(call("show", "r", "--json").output)
    assert (shown["status"], shown["reason"][:10]) == ("paused", "walltime: ")
    monkeypatch.setenv("PAUSE_S", "0")
    assert call("resume", "r", "-q", "--walltime", "1h").return_value == 0
    whole, cut = (open_run(place / "runs" / name / "run.zarr").evaluations() for name in ("whole", "r"))
    assert (whole["x"].values.tobytes(), whole["loss"].values.tobytes()) == (
        cut["x"].values.tobytes(),
        cut["loss"].values.tobytes(),
    )


def test_a_loss_that_outlives_the_walltime_is_cut(place, monkeypatch):
    monkeypatch.setenv("PAUSE_S", "600")
    assert call("run", "run.toml", "--local", "--name", "r", "-q", "--walltime", "1s").return_value == 75
    shown = json.loads(call("show", "r", "--json").output)
    assert (shown["status"], shown["evaluations"], shown["reason"][:10]) == ("paused", 0, "walltime: ")


def test_a_loss_that_outlives_the_patience_after_sigterm_is_cut(place, monkeypatch):
    monkeypatch.setattr(interruption, "DRAIN_S", 0.2)
    monkeypatch.setenv("SIGNAL", "15")
    monkeypatch.setenv("PAUSE_S", "600")
    assert call("run", "run.toml", "--local", "--name", "r", "-q").return_value == 130
    shown = json.loads(call("show", "r", "--json").output)
    assert (shown["status"], shown["evaluations"]) == ("paused", 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("23h50m", 85800),
        ("90s", 90),
        ("90", 90),
        ("1.5s", 1.5),
        ("5min", 300),
        ("1d12h", 129600),
        ("1 h 30 m", 5400),
        ("23:50:00", 85800),
        ("0:05", 300),
        ("1-12:00:00", 129600),
    ],
)
def test_times_are_read_as_people_and_queues_write_them(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0", "-5", "5 parsecs", "1h-2m", "nan", "1:2:3:4"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(DurationError, match="a time is written as 23h50m"):
        seconds_of(text)


def test_a_walltime_that_is_none_is_bad_input(place, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["shoal", "run", "run.toml", "--local", "--walltime", "soon"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, list(Path("runs").glob("*"))) == (2, [])
    assert "given 'soon'" in capsys.readouterr().err


def test_a_run_that_is_over_is_freed_at_once(place, monkeypatch):
    """A cycle would be collected in any thread, and a suspended algorithm can only be ended in its own."""
    monkeypatch.setenv("RAISES", "1")
    sessions = []
    begin = Session.begin
    monkeypatch.setattr(
        Session, "begin", lambda self, text: (sessions.append(weakref.ref(self)), begin(self, text))
    )
    gc.disable()
    try:
        call("run", "run.toml", "--local", "--name", "r", "-q")
        assert [session() for session in sessions] == [None]
    finally:
        gc.enable()
