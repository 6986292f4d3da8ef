"""The rows of one group in memory: as many chunks as are still needed, and which of them must be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optim.store.atomic import replace_file
from optim.store.chunks import encode, storable
from optim.store.documents import chunk_key, separator
from optim.store.layout import Column, Group


class Table:
    """A group that grows.

    Of a journal only the last chunk of each array stays in memory once it is written; of a view, everything.

    Args:
        group: Which one.
        dimension: How many parameters there are.
    """

    def __init__(self, group: Group, dimension: int) -> None:
        self.group = group
        self.size = 0
        self._arrays = {column.name: _Array(group, column, dimension) for column in group.columns}

    def append(self, rows: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
        """Add rows.

        Args:
            rows: The values of each column, all of one length.
        """
        start = self.size
        for name, array in self._arrays.items():
            self.size = array.put(start, rows[name])

    def restore(self, start: int, rows: Mapping[str, Sequence[Any] | NDArray[Any]], commit: int) -> None:
        """Take over rows that an earlier process committed.

        Args:
            start: The first of them: of the last chunk of every array, at the latest; of a view, 0.
            rows: The values of each column, from `start` on.
            commit: Number of that commit.
        """
        for name, array in self._arrays.items():
            self.size = array.put(start, rows[name])
            array.mark_written(commit, self.size)

    def get(self, name: str, row: int) -> Any:
        """One value of a view."""
        return self._arrays[name].get(row)

    def set(self, name: str, row: int, value: ArrayLike) -> None:
        """Change one value of a view."""
        self._arrays[name].put(row, [value])

    def write(self, store: Path, commit: int) -> None:
        """Write the files of every chunk that changed; repeat it if it failed.

        Raises:
            OSError: The file system refused.
        """
        for array in self._arrays.values():
            array.write(store, commit)
            array.mark_written(commit, self.size)


class _Array:
    def __init__(self, group: Group, column: Column, dimension: int) -> None:
        self._group = group
        self._column = column
        self._shape = group.chunk_shape(column, dimension)
        self._chunks: dict[int, NDArray[Any]] = {}
        # by separator: each set of files that this array has lags behind on its own
        self._unwritten: dict[str, set[int]] = {separator(group, commit): set() for commit in (0, 1)}

    def put(self, start: int, values: Sequence[Any] | NDArray[Any]) -> int:
        if self._column.is_string:
            values = [storable(text) for text in values]
        new = np.asarray(values, dtype=self._column.numpy_dtype)
        rows = self._shape[0]
        end = start + len(new)
        for index in range(start // rows, -(-end // rows)):
            offset = index * rows
            first, last = max(start, offset), min(end, offset + rows)
            if index not in self._chunks:
                self._chunks[index] = np.full(self._shape, self._column.fill_value, self._column.numpy_dtype)
            self._chunks[index][first - offset : last - offset] = new[first - start : last - start]
            for unwritten in self._unwritten.values():
                unwritten.add(index)
        return end

    def get(self, row: int) -> Any:
        index, offset = divmod(row, self._shape[0])
        return self._chunks[index][offset]

    def write(self, store: Path, commit: int) -> None:
        between = separator(self._group, commit)
        folder = store / self._group.path(self._column)
        for index in sorted(self._unwritten[between]):
            replace_file(folder / chunk_key(self._column, index, between), encode(self._chunks[index]))

    def mark_written(self, commit: int, size: int) -> None:
        self._unwritten[separator(self._group, commit)].clear()
        if not self._group.is_view:
            last_if_open = size // self._shape[0]
            self._chunks = {index: self._chunks[index] for index in self._chunks if index == last_if_open}
