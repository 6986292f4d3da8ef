"""How the values of a chunk become the bytes of a file, and how metadata says so.

The bytes are made with numcodecs, which zarr itself uses, and not through zarr's own pipeline: writing one
array through that costs about 1.5 ms of processor time, of which 0.1 ms is encoding (measured), and a flush
writes some twenty arrays next to a manager that waits for the interpreter.
"""

from __future__ import annotations

import sys
from typing import Any

import numcodecs  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from optim.store.layout import Column

# Process-wide, and zarr does the same: threads of Blosc's own do not survive a fork.
numcodecs.blosc.use_threads = False

_LEVEL = 3
_BLOSC = numcodecs.Blosc(cname="zstd", clevel=_LEVEL, shuffle=numcodecs.Blosc.SHUFFLE)
_ZSTD = numcodecs.Zstd(level=_LEVEL)
_UTF8 = numcodecs.VLenUTF8()
_CRC32C = numcodecs.CRC32C(location="end")


def encode(values: NDArray[Any]) -> bytes:
    """The bytes of one chunk, with a checksum at their end.

    Args:
        values: A whole chunk; numbers, or (dtype object) strings that UTF-8 can hold.
    """
    if values.dtype == object:
        compressed = _ZSTD.encode(_UTF8.encode(values))
    else:
        compressed = _BLOSC.encode(np.ascontiguousarray(values))
    return bytes(_CRC32C.encode(compressed))


def storable(text: str) -> str:
    """The text, with what UTF-8 cannot hold (half a surrogate pair, as in odd file names) spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_intact(data: bytes) -> bool:
    """Whether the checksum at the end of a chunk's bytes is that of the others."""
    try:
        _CRC32C.decode(data)
    except (ValueError, RuntimeError):  # shorter than a checksum; another checksum
        return False
    return True


def codecs(column: Column) -> list[dict[str, Any]]:
    """What `encode` does to the values of that column, as Zarr v3 metadata."""
    if column.is_string:
        return [
            {"name": "vlen-utf8", "configuration": {}},
            {"name": "zstd", "configuration": {"level": _LEVEL, "checksum": False}},
            {"name": "crc32c"},
        ]
    itemsize = column.numpy_dtype.itemsize
    blosc = {"typesize": itemsize, "cname": "zstd", "clevel": _LEVEL, "shuffle": "shuffle", "blocksize": 0}
    return [
        # a single byte has no order
        {"name": "bytes", "configuration": {"endian": sys.byteorder}} if itemsize > 1 else {"name": "bytes"},
        {"name": "blosc", "configuration": blosc},
        {"name": "crc32c"},
    ]
