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


def decode(data: bytes, dtype: np.dtype[Any], count: int, most_bytes: int) -> NDArray[Any]:
    """The values of one chunk, of which nothing is taken on trust: a few bytes can ask for all memory there is.

    Args:
        data: What `encode` gave.
        dtype: Of the values; object: text.
        count: How many there must be.
        most_bytes: How much text there may be at the most.

    Raises:
        ValueError: The checksum is wrong, or it is no such chunk.
    """
    try:
        compressed = bytes(_CRC32C.decode(data))
    except (ValueError, RuntimeError):  # shorter than a checksum; another checksum
        raise ValueError("its checksum is wrong") from None
    try:
        if dtype.hasobject:
            return _decode_text(compressed, count, most_bytes)
        return _decode_numbers(compressed, dtype, count)
    except (ValueError, RuntimeError) as fault:
        raise ValueError(f"it does not decode ({fault})") from None


def _decode_numbers(compressed: bytes, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    # https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst
    sizes = np.frombuffer(compressed[4:16], "<u4")  # uncompressed, of a block, compressed
    if sizes.tolist()[::2] != [count * dtype.itemsize, len(compressed)]:
        raise ValueError("it has another size")
    return np.frombuffer(_BLOSC.decode(compressed), dtype)


def _decode_text(compressed: bytes, count: int, most_bytes: int) -> NDArray[Any]:
    if _size_of_frame(compressed) > most_bytes:
        raise ValueError("it has too much text")
    text = _ZSTD.decode(compressed)
    if int.from_bytes(text[:4], "little") != count:
        raise ValueError("it has another size")
    values: NDArray[Any] = _UTF8.decode(text)
    return values


def _size_of_frame(compressed: bytes) -> int:
    """Bytes of the content of a Zstandard frame, as its header says (RFC 8878, 3.1.1.1); never decoded to more."""
    if compressed[:4] != b"\x28\xb5\x2f\xfd" or len(compressed) < 5:
        raise ValueError("it is no Zstandard frame")
    descriptor = compressed[4]
    flag, is_single = descriptor >> 6, bool(descriptor & 0x20)
    start = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    length = (int(is_single), 2, 4, 8)[flag]
    if not length:
        raise ValueError("its frame does not say its size")
    size = int.from_bytes(compressed[start : start + length], "little")
    return size + 256 if length == 2 else size


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
