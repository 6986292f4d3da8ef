"""The folder through which people steer a run: each wish is a small file, which the run takes and removes.

A wish is removed once it is in the journal and the journal is on disk, and it is known again by its id, so that a kill
at any moment neither loses it nor does it twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

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

    def look(self, session: Session) -> None:
        """Have a session do what is asked for, in the order in which it was."""
        wishes = [(path, wish) for path in sorted(self._folder.glob(WISH)) if (wish := self._read(path))]
        if not wishes:
            return
        for _, wish in wishes:
            self._logger.info("Asked to %s, by %s", wish, wish.by)
            if objection := session.steer(wish):
                self._logger.warning("Cannot %s: %s", wish, objection)
        self._commit()
        for path, _ in wishes:
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> Intervention | None:
        try:
            if not path.is_file() or path.stat().st_size > MOST_BYTES:
                raise ValueError(f"it is no file, or larger than {MOST_BYTES} bytes")
            return read_intervention(path.read_bytes())
        except FileNotFoundError:  # whoever left it took it back
            return None
        except (OSError, ValidationError, ValueError) as fault:
            self._logger.warning("%s is nothing that a run can be asked for, and put aside: %s", path, fault)
            path.rename(path.with_name(path.name + REFUSED))
            return None
