"""The folder of a run: its store, the run file as it was given, the lock, the inbox and the log."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from optim.errors import RunExistsError, RunNameError, StoreError
from optim.store.atomic import PARTIAL, replace_file
from optim.store.documents import DOCUMENT_NAME
from optim.store.files import is_url
from optim.store.layout import PARAMETERS
from optim.store.lock import Holder, RunLock, holder

NAME_LENGTH = 100
"""The most characters that the name of a run may have."""

_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{NAME_LENGTH - 1}}}")
_ROOM_FOR_NUMBER = 20
_STORE = "run.zarr"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`LOCATION/NAME/`. Make one with `create` or `find`.

    Attributes:
        path: The folder; absolute, as a loss may change the working directory.
    """

    path: Path

    @classmethod
    def create(
        cls,
        location: str | os.PathLike[str],
        run_file: bytes,
        *,
        name: str | None = None,
        problem: str = "run",
        numbers_taken: bool = False,
    ) -> Self:
        """Make a new folder, with `run.toml` and an empty `inbox/` in it.

        What a process left that was killed before its run began is taken over.

        Args:
            location: Where runs are; it is made if need be.
            run_file: What `run.toml` shall hold: the run file exactly as it was given.
            name: Letters, digits, `.`, `_` and `-`; None: `problem` and the next free number.
            problem: What the run is about.
            numbers_taken: Where the name is taken, put the next free number behind it, from 2 on.

        Raises:
            RunExistsError: A run (or anything else) of that name is there.
            RunNameError: The name is not allowed.
            StoreError: The file system refused.
        """
        place = Path(location).absolute()
        try:
            place.mkdir(parents=True, exist_ok=True)
            folder = cls(_make(place, problem, name, numbers_taken))
            folder.inbox.mkdir(exist_ok=True)
            replace_file(folder.run_file, run_file)
        except OSError as fault:
            raise StoreError(f"cannot make a run in {place}: {fault}") from fault
        return folder

    @classmethod
    def find(cls, location: str | os.PathLike[str], name: str) -> Self:
        """The folder of a run that exists.

        Raises:
            RunNameError: The name is not allowed, or there is no such run.
        """
        folder = cls(Path(location).absolute() / _checked(name))
        if not (folder.run_file.is_file() and folder.has_begun):
            raise RunNameError(f"there is no run {name!r} in {location}")
        return folder

    @property
    def has_begun(self) -> bool:
        """There is more in its store than what a process leaves that is killed before the first commit."""
        before = {column.name for column in PARAMETERS.columns} | {DOCUMENT_NAME + PARTIAL}
        return self.store.is_dir() and any(entry.name not in before for entry in self.store.iterdir())

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.path.name

    @property
    def store(self) -> Path:
        """What `RunWriter` writes and `open_run` reads."""
        return self.path / _STORE

    @property
    def run_file(self) -> Path:
        """The run file as it was given."""
        return self.path / "run.toml"

    @property
    def inbox(self) -> Path:
        """Where people leave what they want of a run."""
        return self.path / "inbox"

    @property
    def picture(self) -> Path:
        """The page that shows the run."""
        return self.path / "loss.html"

    @property
    def log(self) -> Path:
        """What the run said."""
        return self.path / "log"

    def lock(self) -> RunLock:
        """Become the one who writes this run; use it as a context manager.

        Raises:
            RunLockedError: Somebody else is; the message says who.
            StoreError: The file system refused, or knows no locks.
        """
        try:
            return RunLock(self.path / _LOCK)
        except OSError as fault:
            raise StoreError(f"cannot lock {self.path}: {fault}") from fault

    def holder(self) -> Holder | None:
        """Who writes this run now; None: nobody.

        Raises:
            StoreError: The file system refused, or knows no locks.
        """
        try:
            return holder(self.path / _LOCK)
        except OSError as fault:
            raise StoreError(f"cannot see who writes {self.path}: {fault}") from fault

    @property
    def is_locked(self) -> bool:
        """Somebody writes this run now."""
        return self.holder() is not None


def store_of(location: str, name: str) -> tuple[str, RunFolder | None]:
    """Where the store of a run is, and its folder; None: it is behind a URL, where nobody can tell who writes it.

    Raises:
        RunNameError: The name is not allowed, or there is no such run in this folder.
    """
    if is_url(location):
        return f"{location.rstrip('/')}/{_checked(name)}/{_STORE}", None
    folder = RunFolder.find(location, name)
    return str(folder.store), folder


def list_runs(location: str | os.PathLike[str]) -> list[RunFolder]:
    """The runs of a location, by name; none if it does not exist."""
    folders = [
        RunFolder(run_file.parent) for run_file in sorted(Path(location).absolute().glob("*/run.toml"))
    ]
    return [folder for folder in folders if folder.has_begun]


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RunNameError(
            f"a run cannot be called {name!r}; allowed are at most {NAME_LENGTH} letters (a-z), digits,"
            " '.', '_' and '-', the first one no '.' or '-'"
        )
    return name


def run_name(text: str) -> str:
    """Any text as the name of a run, with room for a number behind it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[: NAME_LENGTH - _ROOM_FOR_NUMBER] or "run"


def _make(place: Path, problem: str, name: str | None, numbers_taken: bool) -> Path:
    if name is None:
        return _make_numbered(place, run_name(problem), first=1)
    path = place / _checked(name)
    try:
        path.mkdir()
    except FileExistsError as fault:
        if _is_leftover(RunFolder(path)):
            return path
        if numbers_taken:
            return _make_numbered(place, name, first=2)
        raise RunExistsError(f"{path} exists; resume it, or choose another name") from fault
    return path


def _is_leftover(folder: RunFolder) -> bool:
    """Whether it is what remains of a process that was killed before its run began."""
    ours = {
        path.name for path in (folder.run_file, folder.inbox, folder.store, folder.log, folder.path / _LOCK)
    }
    return (
        folder.inbox.is_dir()
        and {entry.name.removesuffix(PARTIAL) for entry in folder.path.iterdir()} <= ours
        and not folder.has_begun
        and not folder.is_locked
    )


def _make_numbered(place: Path, stem: str, first: int) -> Path:
    numbered = re.compile(rf"{re.escape(stem)}-(\d+)")
    taken = [int(match[1]) for entry in place.iterdir() if (match := numbered.fullmatch(entry.name))]
    number = max([first - 1, *taken]) + 1
    while True:
        path = place / _checked(f"{stem}-{number}")
        try:
            path.mkdir()
        except FileExistsError:  # somebody was faster
            number += 1
        else:
            return path
