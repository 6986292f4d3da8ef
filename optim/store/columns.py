"""The columns of a commit as plain arrays: chunks are decoded here, each checked before.

Not through Zarr and xarray: to import them takes longer than to read most runs.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optim.errors import DamagedStoreError
from optim.store.chunks import decode
from optim.store.documents import chunk_key, separator
from optim.store.files import MOST_BYTES, Files
from optim.store.layout import EVALUATIONS, OPTIMIZERS, Column, Group
from optim.store.root import Root
from optim.store.values import Sizes, check_values


class Columns:
    """Reads the arrays of one commit.

    Args:
        url: Where the store is; for messages.
        files: Its files.
        root: Its root document.
    """

    def __init__(self, url: str, files: Files, root: Root) -> None:
        self._url = url
        self._files = files
        self._root = root

    def read(
        self, group: Group, start: int = 0, stop: int | None = None, names: Container[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """The values of a group's arrays, from one row to another; text as objects.

        An array that an older shoal did not write is full of its fill value.

        Args:
            group: Whose arrays.
            start: The first row.
            stop: The row after the last; None: all that there are.
            names: Of the arrays; None: all of them.

        Raises:
            DamagedStoreError: A chunk is missing or damaged, or a value leads nowhere.
        """
        rows = self._root.rows(group)
        stop = rows if stop is None else min(stop, rows)
        columns = {
            column.name: self._array(group, column, start, max(start, stop))
            for column in group.columns
            if names is None or column.name in names
        }
        sizes = Sizes(
            start, self._root.rows(EVALUATIONS), self._root.rows(OPTIMIZERS), len(self._root.workers)
        )
        check_values(group, columns, sizes)
        return columns

    def _array(self, group: Group, column: Column, start: int, stop: int) -> NDArray[Any]:
        shape = group.chunk_shape(column, self._root.dimension)
        if group.path(column) not in self._root.documents:
            return _filled(column, stop - start)
        chunks = [
            self._chunk(group, column, index, shape)[max(0, start - offset) : stop - offset]
            for index in range(start // shape[0], -(-stop // shape[0]))
            for offset in [index * shape[0]]
        ]
        return np.concatenate([np.empty((0, *shape[1:]), column.numpy_dtype), *chunks])

    def _chunk(self, group: Group, column: Column, index: int, shape: tuple[int, ...]) -> NDArray[Any]:
        between = separator(group, self._root.attributes["commit"])
        key = f"{group.path(column)}/{chunk_key(column, index, between)}"
        try:
            data = self._files.read(key)
        except FileNotFoundError:
            raise DamagedStoreError(f"the chunk {key} of {self._url} is missing") from None
        except OSError as fault:
            raise DamagedStoreError(f"the chunk {key} of {self._url} cannot be read: {fault}") from fault
        try:
            return decode(data, column.numpy_dtype, int(np.prod(shape)), MOST_BYTES).reshape(shape)
        except ValueError as fault:
            raise DamagedStoreError(f"the chunk {key} of {self._url} is damaged: {fault}") from fault


def _filled(column: Column, rows: int) -> NDArray[Any]:
    """An array that takes no memory, however many rows the store says that it has."""
    return np.broadcast_to(np.array(column.fill_value, column.numpy_dtype), (rows,))
