"""The folder through which people steer a run: each wish is a small file, which the run takes and removes.

A wish is removed once it is in the journal and the journal is on disk, and it is known again by its id, so that a kill
at any moment neither loses it nor does it twice.
"""

from __future__ import annotations

import logging
import stat
import time
from collections.abc import Callable
from pathlib import Path

from optim.errors import StoreError
from optim.session import Session
from optim.steering import Intervention, read_intervention
from optim.store import RunFolder
from optim.store.atomic import replace_file

WISH = "*.json"
MOST_BYTES = 1_000_000
"""A wish is a few hundred bytes, and 20 more for each parameter."""
REFUSED = ".refused"
"""What is appended to the name of a file that is no wish."""


def leave_wish(folder: RunFolder, wish: Intervention) -> Path:
    """Ask something of a run; whoever works on it takes it within a second, or when it goes on.

    Raises:
        StoreError: The file system refused.
    """
    path = folder.inbox / f"{time.time_ns():020}-{wish.id}.json"
    try:
        replace_file(path, wish.model_dump_json().encode())
    except OSError as fault:
        raise StoreError(f"cannot write {path}: {fault}") from fault
    return path


class Inbox:
    """What people ask of a run that goes on.

    Args:
        folder: Where the files are.
        logger: Says what was asked for, and what cannot be done.
        commit: Writes the journal.
    """

    def __init__(self, folder: Path, logger: logging.Logger, commit: Callable[[], None]) -> None:
        self._folder = folder
        self._logger = logger
        self._commit = commit
        self._taken: set[Path] = set()
        self._fault = ""

    def look(self, session: Session) -> None:
        """Have a session do what is asked for, in the order in which it was.

        A file system that fails for a while ends no run: it is said once, and tried again the next time.
        """
        try:
            self._look(session)
        except OSError as fault:
            if str(fault) != self._fault:
                self._logger.warning("Cannot see what is asked of the run: %s", fault)
            self._fault = str(fault)
        else:
            self._fault = ""

    def _look(self, session: Session) -> None:
        wishes = [(path, wish) for path in sorted(self._folder.glob(WISH)) if (wish := self._read(path))]
        for path, wish in wishes:
            if path not in self._taken:
                self._taken.add(path)
                self._logger.info("Asked to %s, by %s", wish, wish.by)
                if objection := session.steer(wish):
                    self._logger.warning("Cannot %s: %s", wish, objection)
        if wishes:
            self._commit()
        for path, _ in wishes:
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> Intervention | None:
        try:
            if not stat.S_ISREG((found := path.stat()).st_mode) or found.st_size > MOST_BYTES:
                raise ValueError(f"it is no file, or larger than {MOST_BYTES} bytes")
            return read_intervention(path.read_bytes())
        except FileNotFoundError:  # whoever left it took it back
            return None
        except ValueError as fault:  # also pydantic's
            self._logger.warning("%s is nothing that a run can be asked for, and put aside: %s", path, fault)
            path.rename(path.with_name(path.name + REFUSED))
            return None
