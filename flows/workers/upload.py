"""User code that is sent to the workers, where they see neither the folder of the run file nor an installed package."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from optim.strategy import Contradiction, ContradictionsError

MOST_BYTES = 64 * 2**20
"""Of all files together: each worker gets them. Data belongs into a shared folder, or onto each machine."""
_SKIPPED = "__pycache__"


def packed(names: Sequence[str], folder: str | None) -> bytes:
    """User code as one archive, with the paths that it has in its folder.

    Args:
        names: Files and folders, relative to `folder` and inside it.
        folder: Of the run file.

    Raises:
        ContradictionsError: With every one that is not there, lies elsewhere, or is too large.
    """
    faults, files, size = [], dict[str, Path](), 0
    for place, name in enumerate(names):
        try:
            found = dict(_files(name, folder))
            size += sum(path.stat().st_size for path in found.values())
            if size > MOST_BYTES:
                raise ValueError(
                    f"with {name!r} it is more than {MOST_BYTES / 2**20:g} MiB; leave out what is data"
                )
            files |= found
        except (ValueError, OSError) as fault:
            faults.append(Contradiction(("cluster", "upload", place), str(fault)))
    if faults:
        raise ContradictionsError(faults)
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, path in sorted(files.items()):
            file.write(path, name)
    return archive.getvalue()


def _files(name: str, folder: str | None) -> Iterator[tuple[str, Path]]:
    """The files of one entry: their names in the archive, and where they are.

    Raises:
        ValueError: It is not in the folder, or there is nothing of that name.
    """
    if folder is None:
        raise ValueError(f"there is no folder in which {name!r} could be; start the run by a run file")
    top = Path(folder).resolve()
    given = top / name
    if Path(name).is_absolute() or ".." in Path(name).parts or not given.resolve().is_relative_to(top):
        raise ValueError(
            f"{name!r} is not in {folder}; what is uploaded must be below the folder of the run file"
        )
    if not given.exists():
        raise ValueError(f"there is no {name!r} in {folder}")
    for path in sorted(given.rglob("*")) if given.is_dir() else [given]:
        if path.is_file() and _SKIPPED not in path.parts:
            if not path.resolve().is_relative_to(top):
                raise ValueError(f"{path} is a link that leads out of {folder}")
            yield path.relative_to(top).as_posix(), path
