"""Files that people name: each is there at once and whole, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from optim.errors import ExportError, ExportExistsError


def check_free(path: Path) -> None:
    """See that nothing would be lost.

    Raises:
        ExportExistsError: There is something already.
    """
    if os.path.lexists(path):
        raise ExportExistsError(f"{path} is there already; name another file, or write over it with --force")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or write over it; a link is replaced, not followed.

    Several processes may write the same one, as the picture of a run that goes on.

    Raises:
        ExportError: The file system refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)
        with open(partial, "xb") as file:
            file.write(data)
        os.replace(partial, path)
    except OSError as fault:
        raise ExportError(f"cannot write {path}: {fault.strerror}; name another file") from fault
    finally:
        with suppress(OSError):  # it could not be made in the first place
            partial.unlink(missing_ok=True)
