"""Whose code a process has imported: workers live longer than runs, and may serve several at once.

Each session of a run imports user code anew: its files may have changed since, and another run may have modules of the
same names. What an earlier session has imported lives on where it is still called; only no import finds it any more.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any

session: ContextVar[str] = ContextVar("session", default="")
"""By whose name code is loaded here; no two sessions have the same."""

_lock = threading.RLock()
_folders: list[str] = []  # of users, in `sys.path`
_uploads: dict[str, str] = {}  # of sessions
_loaded: dict[str, dict[Any, Any]] = {}  # by sessions
_latest = ""  # whose modules imports find


def loaded() -> dict[Any, Any]:
    """What the present session has loaded, to be kept for it."""
    return _loaded.setdefault(session.get(), {})


@contextmanager
def searched(folder: str | None) -> Iterator[None]:
    """Have imports find what is installed, then the upload of the present session, then its folder; afterwards, too.

    Args:
        folder: Of its run file; None: it has none.
    """
    global _latest
    with _lock:  # until its caller has imported
        if session.get() != _latest:
            _tidy()
            _latest = session.get()
        _search([folder for folder in (_uploads.get(_latest), folder) if folder is not None])
        yield


def upload(to: str, folder: str) -> None:
    """A session has a folder of uploaded code here."""
    _uploads[to] = folder


def forget(gone: str) -> None:
    """A session has ended: nobody finds any more what it has loaded, nor its upload, whose folder is gone."""
    global _latest
    _loaded.pop(gone, None)
    _uploads.pop(gone, None)
    if gone == _latest and _lock.acquire(blocking=False):  # else whoever imports just now does the rest
        try:
            _tidy()
            _latest = ""
        finally:
            _lock.release()


def run_in(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in the session of that name."""
    context = copy_context()
    context.run(session.set, name)
    return context.run(function, *args)


def _tidy() -> None:
    """Have everything in users' folders imported again by whoever wants it next, and look in none that is gone."""
    _forget_modules(_folders)
    gone = [folder for folder in _folders if not Path(folder).is_dir()]
    sys.path[:] = [path for path in sys.path if path not in gone]
    _folders[:] = [folder for folder in _folders if folder not in gone]


def _search(first: list[str]) -> None:
    before = sys.path[:]
    ours = [folder for folder in first if folder in _folders or folder not in sys.path]
    _folders[:] = ours + [folder for folder in _folders if folder not in ours]
    sys.path[:] = [path for path in sys.path if path not in _folders] + _folders
    if sys.path != before:
        importlib.invalidate_caches()


def _forget_modules(folders: list[str]) -> None:
    ours = {
        name
        for name, module in list(sys.modules.items())
        if "." not in name and name != "__main__" and _place(module) in folders
    }
    for name in list(sys.modules):
        if name.partition(".")[0] in ours:
            del sys.modules[name]


def _place(module: Any) -> str:
    """The folder in which a top-level module or package was found; empty: nobody knows."""
    paths = list(getattr(module, "__path__", None) or ())
    file = paths[0] if paths else getattr(module, "__file__", None)
    return str(Path(file).parent) if isinstance(file, str) else ""
