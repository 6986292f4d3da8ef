"""One commit of a store, read only, with every chunk checked."""

from __future__ import annotations

import re

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store
from zarr.storage import WrapperStore

from optim.errors import DamagedStoreError
from optim.store.chunks import is_intact
from optim.store.documents import DOCUMENT_NAME

_CHUNK = re.compile(r".*/c[./]\d+([./]\d+)?")


class CommittedStore(WrapperStore[Store]):
    """Shows the store as its root document was at one moment, and refuses damaged chunks.

    zarr by itself takes a missing chunk for one full of fill values.

    Args:
        store: Where the chunks are.
        root: The bytes of the root document.
    """

    def __init__(self, store: Store, root: bytes) -> None:
        super().__init__(store)
        self._root = root

    def _with_store(self, store: Store) -> CommittedStore:
        return CommittedStore(store, self._root)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of a file.

        Raises:
            DamagedStoreError: It is a chunk and missing, or its checksum is wrong.
        """
        if key == DOCUMENT_NAME:
            return prototype.buffer.from_bytes(self._root)
        value = await super().get(key, prototype, byte_range)
        if _CHUNK.fullmatch(key):
            if value is None:
                raise DamagedStoreError(f"the chunk {key} of {self._store} is missing")
            if not is_intact(value.to_bytes()):
                raise DamagedStoreError(f"the chunk {key} of {self._store} is damaged: its checksum is wrong")
        return value
