"""A run's folder and its lock.

Invariants:

* Names stay inside the location; a name that is taken is refused; default names never collide.
* One writer at a time; the second is told who the first is.
* A folder whose run never began is nobody's: it is not found, and the next run of its name has it.
* The lock ends with the process that took it, whatever children it left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from optim.errors import RunExistsError, RunLockedError, StoreError
from optim.store import RunFolder, RunWriter, list_runs, lock

# the module by its file: importing the package would bring xarray, and take a second
HOLD = f"""
import importlib.util, os, pathlib, sys
spec = importlib.util.spec_from_file_location("lock", {lock.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
held = module.RunLock(pathlib.Path(sys.argv[1]))
"""
HOLD_AND_WAIT = HOLD + "print('held', flush=True); sys.stdin.read()"
HOLD_FORK_AND_DIE = (
    HOLD
    + """
if os.fork() == 0:
    print('child lives', flush=True)
    sys.stdin.read()
    os._exit(0)
os._exit(0)
"""
)


def begun(folder: RunFolder) -> RunFolder:
    folder.store.mkdir()
    (folder.store / "zarr.json").touch()
    return folder


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return begun(RunFolder.create(tmp_path, b"seed = 7\n", name="first"))


def start(script: str, folder: RunFolder) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder.path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_new_folder_has_the_run_file_as_given_and_an_inbox(tmp_path) -> None:
    given = b"# mine\r\nseed = 7\n\xff"
    folder = RunFolder.create(tmp_path / "deep" / "runs", given, name="A.b_c-1")
    assert folder.path == tmp_path / "deep" / "runs" / "A.b_c-1"
    assert folder.run_file.read_bytes() == given
    assert folder.inbox.is_dir()
    assert not folder.store.exists()
    assert folder.log.parent == folder.path
    begun(folder)
    assert RunFolder.find(tmp_path / "deep" / "runs", "A.b_c-1") == folder


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc",
        ".hidden",
        "-rf",
        "a b",
        "a\0b",
        "a\n",
        "ä",
        "x" * 101,
        "a\\b",
        "~",
    ],
)
def test_names_that_leave_the_location_or_hide_are_refused(name, tmp_path) -> None:
    for use in (lambda: RunFolder.create(tmp_path, b"", name=name), lambda: RunFolder.find(tmp_path, name)):
        with pytest.raises(StoreError, match="a run cannot be called"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(folder) -> None:
    with pytest.raises(RunExistsError, match="first exists"):
        RunFolder.create(folder.path.parent, b"", name="first")
    assert folder.run_file.read_bytes() == b"seed = 7\n"


def test_a_name_that_is_taken_gets_the_next_free_number_if_that_is_wanted(tmp_path) -> None:
    (tmp_path / "fit-7").touch()
    names = [begun(RunFolder.create(tmp_path, b"", name="fit", numbers_taken=True)).name for _ in range(3)]
    assert names == ["fit", "fit-8", "fit-9"]


@pytest.mark.parametrize("left", [["inbox"], ["inbox", "run.toml.partial"]])
def test_what_a_run_left_that_was_killed_at_once_is_taken_over(tmp_path, left) -> None:
    (tmp_path / "first").mkdir()
    for name in left:
        path = tmp_path / "first" / name
        path.touch() if "." in name else path.mkdir()
    assert RunFolder.create(tmp_path, b"seed = 8\n", name="first").run_file.read_bytes() == b"seed = 8\n"


@pytest.mark.parametrize("name", ["", "inbox", "notes.txt"])
def test_a_folder_of_somebody_elses_is_left_alone(tmp_path, name) -> None:
    (tmp_path / "first" / name).mkdir(parents=True)
    if name == "inbox":
        (tmp_path / "first" / "notes.txt").touch()
    with pytest.raises(RunExistsError):
        RunFolder.create(tmp_path, b"", name="first")


def test_what_a_run_left_that_never_began_is_taken_over(tmp_path, rows) -> None:
    folder = RunFolder.create(tmp_path, b"seed = 7\n", name="first")
    RunWriter.create(folder.store, rows.parameters).close()
    for path in folder.store.iterdir():  # as if killed in the middle of the first commit
        if path.name in {"zarr.json", "evaluations", "events", "optimizers", "validations"}:
            shutil.rmtree(path) if path.is_dir() else path.rename(path.with_name("zarr.json.partial"))
    with folder.lock(), pytest.raises(RunExistsError):
        RunFolder.create(tmp_path, b"", name="first")
    with pytest.raises(StoreError, match="there is no run 'first'"):
        RunFolder.find(tmp_path, "first")
    assert RunFolder.create(tmp_path, b"seed = 8\n", name="first") == folder
    assert folder.run_file.read_bytes() == b"seed = 8\n"
    RunWriter.create(folder.store, rows.parameters).close()
    assert RunFolder.find(tmp_path, "first") == folder


@pytest.mark.parametrize("entry", ["notes.txt", "run.zarr/evaluations"])
def test_what_may_be_of_use_is_not_taken_over(entry, tmp_path) -> None:
    folder = RunFolder.create(tmp_path, b"", name="first")
    (folder.path / entry).mkdir(parents=True)
    with pytest.raises(RunExistsError, match="first exists"):
        RunFolder.create(tmp_path, b"", name="first")


def test_default_names_count_on_from_the_highest(tmp_path) -> None:
    names = [RunFolder.create(tmp_path, b"", problem="lj_argon").name for _ in range(2)]
    (tmp_path / "lj_argon-11").mkdir()
    (tmp_path / "lj_argon-x").touch()
    names.append(RunFolder.create(tmp_path, b"", problem="lj_argon").name)
    assert names == ["lj_argon-1", "lj_argon-2", "lj_argon-12"]


@pytest.mark.parametrize(
    ("problem", "name"),
    [("my.package:loss", "my.package-loss-1"), ("../..", "run-1"), ("p" * 300, "p" * 80 + "-1")],
)
def test_a_default_name_is_a_name_that_is_allowed(problem, name, tmp_path) -> None:
    assert begun(RunFolder.create(tmp_path, b"", problem=problem)).name == name
    RunFolder.find(tmp_path, name)


def test_runs_that_start_at_the_same_time_get_different_names(tmp_path) -> None:
    barrier = threading.Barrier(8)

    def create(_: int) -> str:
        barrier.wait()
        return RunFolder.create(tmp_path, b"").name

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(create, range(8)))
    assert len(names) == 8


def test_runs_are_listed_and_other_folders_are_not(folder) -> None:
    location = folder.path.parent
    (location / "notes").mkdir()
    second = begun(RunFolder.create(location, b"", name="another"))
    RunFolder.create(location, b"", name="killed-at-once")
    assert list_runs(location) == [second, folder]
    assert list_runs(location / "nowhere") == []
    with pytest.raises(StoreError, match="there is no run 'notes'"):
        RunFolder.find(location, "notes")


def test_a_second_writer_is_refused_and_told_who_the_first_is(folder) -> None:
    assert not folder.is_locked
    with folder.lock():
        assert folder.is_locked
        assert folder.holder().pid == os.getpid()
        with pytest.raises(RunLockedError, match=f"process {os.getpid()} on {socket.gethostname()} since 20"):
            folder.lock()
        assert folder.is_locked
    assert folder.holder() is None
    folder.lock().release()


def test_the_lock_ends_when_its_process_is_killed(folder) -> None:
    with start(HOLD_AND_WAIT, folder) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunLockedError, match=f"process {process.pid} on"):
            folder.lock()
        process.send_signal(signal.SIGKILL)
        process.wait()
        folder.lock().release()


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(folder) -> None:
    with start(HOLD_FORK_AND_DIE, folder) as process:
        assert process.stdout.readline() == "child lives\n"
        assert process.wait() == 0
        folder.lock().release()
        process.stdin.close()


def test_looking_who_holds_a_lock_does_not_turn_a_writer_away(folder, monkeypatch) -> None:
    folder.lock().release()
    looking = os.open(folder.path / "lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda seconds: fcntl.flock(looking, fcntl.LOCK_UN))
    folder.lock().release()
    os.close(looking)
