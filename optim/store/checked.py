"""A store of which Zarr sees only what was checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store
from zarr.storage import LocalStore, WrapperStore

from optim.errors import DamagedStoreError
from optim.store.chunks import decode
from optim.store.documents import DOCUMENT_NAME, of_root, to_bytes
from optim.store.files import MOST_BYTES, check_file
from optim.store.layout import GROUPS
from optim.store.root import Root


class CheckedStore(WrapperStore[Store]):
    """Has a root document of our own making and chunks that decode; of everything else, nothing.

    Chunks that are missing or damaged are refused by name: Zarr by itself takes a missing one for one full of fill
    values.

    Args:
        store: Where the chunks are.
        root: Of the store.
    """

    def __init__(self, store: Store, root: Root) -> None:
        super().__init__(store)
        self._root = to_bytes(of_root({}, root.documents))
        self._chunks: dict[str, tuple[np.dtype[Any], int]] = {
            f"{path}/c": (column.numpy_dtype, int(np.prod(group.chunk_shape(column, root.dimension))))
            for group in GROUPS
            for column in group.columns
            if (path := group.path(column)) in root.documents
        }

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of a file.

        Raises:
            DamagedStoreError: It is a chunk and missing, or does not decode.
        """
        if key == DOCUMENT_NAME:
            return prototype.buffer.from_bytes(self._root)
        chunk = self._chunks.get(_array_of(key))
        if chunk is None:
            return None
        value = await self._read(key, prototype)
        if value is None:
            raise DamagedStoreError(f"the chunk {key} of {self._store} is missing")
        try:
            decode(value.to_bytes(), *chunk, MOST_BYTES)
        except ValueError as fault:
            raise DamagedStoreError(f"the chunk {key} of {self._store} is damaged: {fault}") from fault
        return value

    async def _read(self, key: str, prototype: BufferPrototype) -> Buffer | None:
        if isinstance(self._store, LocalStore):
            try:
                check_file(self._store.root / key)
            except FileNotFoundError:
                return None
            except OSError as fault:
                raise DamagedStoreError(
                    f"the chunk {key} of {self._store} cannot be read: {fault}"
                ) from fault
        return await self._store.get(key, prototype)


def _array_of(key: str) -> str:
    """What is before the numbers of a chunk, as `evaluations/loss/c`; both separators are in use."""
    name = key.rstrip("0123456789./")
    return name
