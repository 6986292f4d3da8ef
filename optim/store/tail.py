"""Following a run that is being written: what was committed since the last look, and nothing twice."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from typing import Any

from numpy.typing import NDArray

from optim.errors import StoreError
from optim.store.columns import Columns
from optim.store.files import files_of
from optim.store.layout import Group
from optim.store.root import Root, read_root


class Tail:
    """The new rows of a run, commit by commit. While there is no new commit, a look costs one small file.

    It has nothing of groups that are views: their rows change.

    Args:
        path: Of the store (`.../run.zarr`), or any fsspec URL.

    Raises:
        StoreError: There is no run.
        SchemaError: A newer shoal wrote it.
        DamagedStoreError: Its root document is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._url = str(path)
        self._files = files_of(self._url)
        self._root = Root.read(self._url, self._files)
        self._given: dict[str, int] = {}

    @property
    def attributes(self) -> dict[str, Any]:
        """The root attributes, of the commit that was looked at."""
        return self._root.attributes

    def look(self) -> bool:
        """Look for a new commit, and whether there is one.

        Raises:
            StoreError: The run is gone.
            SchemaError: A newer shoal has written it.
            DamagedStoreError: Its root document is damaged.
        """
        if read_root(self._url, self._files) == self._root.data:
            return False
        self._root = Root.read(self._url, self._files)
        return True

    def rows(self, group: Group, names: Container[str]) -> Iterator[dict[str, NDArray[Any]]]:
        """The rows of the commit that were not given out yet, a chunk at a time; text as objects.

        Args:
            group: Which rows.
            names: Of the arrays that are wanted.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
            StoreError: There are fewer rows than were given out: it is another run.
        """
        start, rows = self._given.get(group.name, 0), self._root.rows(group)
        if rows < start:
            raise StoreError(f"{self._url} has been replaced by another run")
        columns = Columns(self._url, self._files, self._root)
        while start < rows:
            stop = min(rows, (start // group.chunk_rows + 1) * group.chunk_rows)
            yield columns.read(group, start, stop, names)
            start = self._given[group.name] = stop
