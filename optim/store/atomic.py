"""Replacing a file at once: readers see the old bytes or the new ones."""

from __future__ import annotations

import os
from pathlib import Path

PARTIAL = ".partial"
"""What the name of a file ends with while it is written."""


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, making its folder if need be.

    Only one process may write a path at a time (runs have a lock). What a process leaves behind that dies in
    here is a file called so, which nobody reads and the next call overwrites.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        partial.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
    os.replace(partial, path)
