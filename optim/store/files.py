"""The files of a store, on this file system or behind any URL that fsspec knows."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Protocol

from optim.errors import DamagedStoreError, StoreError

MOST_BYTES = 2**28
"""Of a chunk, as a file and in memory; hundreds of times what it usually has."""


class Files(Protocol):
    """Reads whole files."""

    def read(self, key: str) -> bytes:
        """The bytes of one.

        Args:
            key: Its path in the store, as `evaluations/loss/c/0`.

        Raises:
            FileNotFoundError: There is none.
            OSError: It cannot be read.
            DamagedStoreError: It is nothing that a store is made of.
        """


def is_url(place: str) -> bool:
    """Whether it is for fsspec, and no path of this file system."""
    return "://" in place or "::" in place


def files_of(url: str) -> Files:
    """The files of a store.

    Raises:
        StoreError: Nobody knows how to read such a URL.
    """
    if not is_url(url):
        return LocalFiles(Path(url))
    import fsspec  # takes long, and most runs are here
    from fsspec.implementations.local import LocalFileSystem

    try:
        filesystem, path = fsspec.url_to_fs(url)
    except (OSError, ValueError, ImportError) as fault:  # no such protocol; its package is missing
        raise StoreError(f"cannot read {url}: {fault}") from fault
    if isinstance(filesystem, LocalFileSystem):
        return LocalFiles(Path(path))
    return RemoteFiles(filesystem, path)


class LocalFiles:
    """In a folder.

    Args:
        folder: Which one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, key: str) -> bytes:
        """See `Files`; a link may lead to a device or a pipe, which have no end."""
        path = self.folder / key
        check_file(path)
        return path.read_bytes()


class RemoteFiles:
    """Behind a URL.

    Args:
        filesystem: Of fsspec.
        path: Of the store in it.
    """

    def __init__(self, filesystem: object, path: str) -> None:
        self._filesystem = filesystem
        self._path = path

    def read(self, key: str) -> bytes:
        """See `Files`."""
        data: bytes = self._filesystem.cat_file(f"{self._path}/{key}")  # type: ignore[attr-defined]  # fsspec has no types
        return data


def check_file(path: str | os.PathLike[str]) -> None:
    """See that a file can be read to its end.

    Raises:
        DamagedStoreError: It is no regular file, or larger than any that is written here.
        OSError: There is none.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        raise DamagedStoreError(f"{path} is no plain file, or larger than {MOST_BYTES:,} bytes")
