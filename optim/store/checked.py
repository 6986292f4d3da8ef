"""A store that is read with every chunk checked."""

from __future__ import annotations

import re

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store
from zarr.storage import WrapperStore

from optim.errors import DamagedStoreError
from optim.store.chunks import is_intact

_CHUNK = re.compile(r".*/c[./]\d+([./]\d+)?")


class CheckedStore(WrapperStore[Store]):
    """Refuses chunks that are missing or damaged, by name.

    zarr by itself takes a missing chunk for one full of fill values.

    Args:
        store: Where the chunks are.
    """

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of a file.

        Raises:
            DamagedStoreError: It is a chunk and missing, or its checksum is wrong.
        """
        value = await super().get(key, prototype, byte_range)
        if _CHUNK.fullmatch(key):
            if value is None:
                raise DamagedStoreError(f"the chunk {key} of {self._store} is missing")
            if not is_intact(value.to_bytes()):
                raise DamagedStoreError(f"the chunk {key} of {self._store} is damaged: its checksum is wrong")
        return value
