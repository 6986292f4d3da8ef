"""Files as a killed process, or a bad disk, may leave them.

Which files a commit is made of is worked out here from the root document alone, as any reader of Zarr would.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import shutil
from pathlib import Path
from typing import Any

from optim.store import RunFolder

GARBAGE = bytes(range(256)) * 3


def committed_chunks(store: Path) -> set[Path]:
    """The chunk files that the last commit is made of."""
    found = set()
    for path, array in _arrays(store).items():
        separator = array["chunk_key_encoding"]["configuration"]["separator"]
        shape = array["chunk_grid"]["configuration"]["chunk_shape"]
        counts = [math.ceil(size / rows) for size, rows in zip(array["shape"], shape, strict=True)]
        for index in itertools.product(*map(range, counts)):
            found.add(store / path / separator.join(["c", *map(str, index)]))
    return found


def _arrays(store: Path) -> dict[str, Any]:
    """The metadata of every array, by path, as of the last commit."""
    root = json.loads((store / "zarr.json").read_bytes())
    members = root["consolidated_metadata"]["metadata"]
    return {path: member for path, member in members.items() if member["node_type"] == "array"}


def tear(folder: RunFolder, random_numbers: random.Random) -> str:
    """Leave what a process may leave that dies in the middle of a write; nothing of it was committed.

    Returns:
        What was done, for the table.
    """
    store = folder.store
    if not (store / "zarr.json").exists():
        return "nothing was there to tear"
    committed = committed_chunks(store)
    written = sorted(path for path in store.rglob("c*") if path.is_file() and path.parent != store)
    not_committed = [path for path in written if path not in committed and path.suffix != ".partial"]
    how = random_numbers.choice(["partial", "next chunk", "truncated", "removed", "appended"])
    if how == "partial" or (how != "next chunk" and not not_committed):
        for path in random_numbers.sample(sorted(store.rglob("zarr.json")), 3):
            path.with_name(path.name + ".partial").write_bytes(
                GARBAGE[: random_numbers.randrange(len(GARBAGE))]
            )
        return "torn temporary files"
    if how == "next chunk":
        for array in random_numbers.sample(
            [store / path for path in _arrays(store) if path.startswith("ev")], 3
        ):
            following = array / "c" / str(sum(path.is_relative_to(array) for path in committed))
            if array.name == "x":  # of points, whose chunks have two indices
                following /= "0"
            following.parent.mkdir(parents=True, exist_ok=True)
            following.write_bytes(GARBAGE)
        return "garbage in chunks to come"
    for path in random_numbers.sample(not_committed, min(3, len(not_committed))):
        if how == "removed":
            path.unlink()
        elif how == "truncated":
            os.truncate(path, random_numbers.randrange(max(1, path.stat().st_size)))
        else:
            with path.open("ab") as file:
                file.write(GARBAGE)
    return f"{how} chunks that are not committed"


def damaged_copy(folder: RunFolder, name: str, random_numbers: random.Random) -> tuple[RunFolder, Path]:
    """A copy of a run with damage in what was committed.

    Returns:
        The copy, and the chunk file of it that is missing, cut or changed.
    """
    copy = RunFolder(folder.path.with_name(name))
    shutil.copytree(folder.path, copy.path)
    chunk = random_numbers.choice(sorted(committed_chunks(copy.store)))
    data = bytearray(chunk.read_bytes())
    match random_numbers.choice(["missing", "cut", "changed"]):
        case "missing":
            chunk.unlink()
        case "cut":
            chunk.write_bytes(data[: random_numbers.randrange(len(data))])
        case _:
            data[random_numbers.randrange(len(data))] ^= 1 << random_numbers.randrange(8)
            chunk.write_bytes(data)
    return copy, chunk
