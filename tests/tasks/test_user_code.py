"""Whose code a process has imported.

Invariants: each session imports what its folders have when it first asks, whatever sessions before it have imported,
and keeps that; uploads go before folders, and what is installed before both; with a session goes what it
has loaded, and nothing else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tasks import user_code
from tasks.loss import load_loss
from tasks.user_code import run_in

ENTRY = "fit_of_somebody:loss"


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(user_code, "_folders", [])
    yield
    for session in ("", "first", "second"):
        user_code.forget(session)


def written(folder: Path, number: int) -> str:
    """A loss that says so, with a module beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "fit_of_somebody.py").write_text(
        "from number_of_somebody import NUMBER\n\ndef loss(x):\n    return NUMBER\n"
    )
    path = folder / "number_of_somebody.py"
    path.write_text(f"NUMBER = {number}")
    os.utime(
        path, (number, number)
    )  # a compiled module is taken for current where time and size are the same
    return str(folder)


def loss(session: str, folder: str | None) -> int:
    return run_in(session, load_loss, ENTRY, folder)(None)


def test_two_sessions_may_have_modules_of_the_same_names_at_the_same_time(tmp_path):
    one, other = written(tmp_path / "one", 1), written(tmp_path / "other", 2)
    losses = [run_in("first", load_loss, ENTRY, one), run_in("second", load_loss, ENTRY, other)]
    assert [its(None) for its in losses] == [1, 2]
    assert [loss("first", one), loss("second", other)] == [1, 2]
    assert run_in("first", load_loss, ENTRY, one) is losses[0]


def test_an_edit_counts_from_the_next_session_on(tmp_path):
    folder = written(tmp_path / "one", 1)
    assert loss("first", folder) == 1
    written(tmp_path / "one", 2)
    assert [loss("first", folder), loss("second", folder), loss("first", folder)] == [1, 2, 1]


def test_an_upload_goes_before_the_folder_and_before_those_of_sessions_that_were_killed(tmp_path):
    folder = written(tmp_path / "shared", 1)
    user_code.upload("first", written(tmp_path / "upload", 2))
    assert loss("first", folder) == 2
    user_code.upload("second", written(tmp_path / "later", 3))
    assert loss("second", folder) == 3


def test_with_a_session_goes_what_it_has_loaded(tmp_path):
    user_code.upload("first", written(tmp_path / "upload", 1))
    before = [*sys.path]
    assert loss("first", None) == 1
    (tmp_path / "upload").rename(tmp_path / "elsewhere")
    user_code.forget("first")
    assert (sys.path, "fit_of_somebody" in sys.modules) == (before, False)
    with pytest.raises(Exception, match="no module named 'fit_of_somebody'"):
        loss("second", None)


def test_an_environment_inside_the_folder_is_not_the_users_code(tmp_path, monkeypatch):
    folder, packages = written(tmp_path / "one", 1), tmp_path / "one" / "env" / "packages"
    packages.mkdir(parents=True)
    (packages / "installed_there.py").touch()
    monkeypatch.syspath_prepend(packages)
    import installed_there

    assert [loss("first", folder), loss("second", folder)] == [1, 1]
    assert sys.modules["installed_there"] is installed_there


def test_a_folder_that_others_have_put_into_the_search_path_stays_where_it_is(tmp_path, monkeypatch):
    folder = written(tmp_path / "one", 1)
    monkeypatch.syspath_prepend(folder)
    before = [*sys.path]
    assert loss("first", folder) == 1
    assert sys.path == before
    sys.modules.pop("fit_of_somebody")
    sys.modules.pop("number_of_somebody")
