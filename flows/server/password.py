"""The password of the local Prefect server: in a file that only its owner reads, beside the locks of the server.

The file is there for as long as the server that runs now, or ran last, asks for it. Prefect calls what is in it the
authentication string; its dashboard asks for all of it.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from optim.errors import ServerError

NAME = "password"
_USER = "shoal"
_BYTES = 24


def password_file(home: Path) -> Path:
    """Where the password of the server of a `PREFECT_HOME` is."""
    return home / "shoal" / NAME


def read_password(home: Path) -> str | None:
    """The password of a home's server; None: it asks for none.

    Raises:
        ServerError: Others could have read it, or it cannot be read.
    """
    path = password_file(home)
    try:
        with open(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_IMODE(mode) & 0o077:
                raise ServerError(f"others may read {path} (mode {stat.S_IMODE(mode):o}); remove it")
            return file.read().strip()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise ServerError(f"cannot read the password of the local Prefect server: {fault}") from fault


def write_password(home: Path, password: str | None) -> None:
    """Keep the password of a server that is about to start; None: it asks for none."""
    path = password_file(home)
    path.unlink(missing_ok=True)
    if password is not None:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{password}\n")


def new_password() -> str:
    """One that nobody guesses."""
    return f"{_USER}:{secrets.token_urlsafe(_BYTES)}"
