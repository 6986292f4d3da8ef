"""The metadata of a store: the `zarr.json` documents of the Zarr v3 specification.

The root document holds those of all arrays ("consolidated metadata"), so that replacing this one file moves
every reader from one commit to the next. A group's own document does the same for who opens only that group.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from optim.store.chunks import codecs
from optim.store.layout import EVALUATIONS, GROUPS, VALIDATIONS, Column, Group

Document = dict[str, Any]

DOCUMENT_NAME = "zarr.json"
"""What each document is called, in the folder of its group or array."""

_SEPARATORS = ("/", ".")


def separator(group: Group, commit: int) -> str:
    """What stands between the parts of a chunk's name, at that commit.

    Rows of a view change in place. So that a commit is seen whole or not at all, a view has two sets of
    files, `c/0` and `c.0`, both allowed by the specification: commits write them in turns and name theirs.
    """
    return _SEPARATORS[commit % 2] if group.is_view else _SEPARATORS[0]


def chunk_key(column: Column, index: int, separator: str) -> str:
    """The path of a chunk below its array, as in `c/3`."""
    return separator.join(("c", str(index), "0") if column.is_point else ("c", str(index)))


def documents(
    commit: int, dimension: int, sizes: Mapping[str, int], workers: list[str], attributes: Mapping[str, Any]
) -> dict[str, Document]:
    """All documents of a store, by path; that of the root has the path "".

    Args:
        commit: Number of the commit.
        dimension: How many parameters there are.
        sizes: Number of rows, by name of the group.
        workers: Names of the workers, in the order in which every `worker` counts them.
        attributes: Of the root; JSON values.
    """
    arrays: dict[str, Document] = {}
    groups: dict[str, Document] = {}
    for group in GROUPS:
        own = {
            group.path(column): _array(group, column, commit, dimension, sizes[group.name])
            for column in group.columns
        }
        arrays |= own
        if group.name:
            groups[group.name] = _group({}, {path.removeprefix(f"{group.name}/"): own[path] for path in own})
    for group in (EVALUATIONS, VALIDATIONS):
        arrays[f"{group.name}/worker"]["attributes"]["names"] = workers
    return {"": of_root(attributes, arrays)} | groups | arrays


def of_root(attributes: Mapping[str, Any], arrays: Mapping[str, Document]) -> Document:
    """The root's document.

    Args:
        attributes: Of the root; JSON values.
        arrays: The documents of all arrays, by path.
    """
    groups = {path.rpartition("/")[0] for path in arrays} - {""}
    return _group(attributes, {name: _group({}, {}) for name in sorted(groups)} | dict(arrays))


def to_bytes(document: Document) -> bytes:
    """What a document's file holds."""
    return json.dumps(document, allow_nan=False).encode()


def _group(attributes: Mapping[str, Any], members: Mapping[str, Document]) -> Document:
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": dict(attributes),
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": dict(members)},
    }


def _array(group: Group, column: Column, commit: int, dimension: int, rows: int) -> Document:
    units = {"units": column.units} if column.units else {}
    is_nan = not column.is_string and bool(np.isnan(column.fill_value))
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [rows, dimension] if column.is_point else [rows],
        "data_type": column.dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(group.chunk_shape(column, dimension))},
        },
        "chunk_key_encoding": {
            "name": "default",
            "configuration": {"separator": separator(group, commit)},
        },
        "fill_value": "NaN" if is_nan else column.fill_value,
        "codecs": codecs(column),
        "attributes": {"long_name": column.long_name} | units | dict(column.attributes),
        "dimension_names": list(group.dims(column)),
        "storage_transformers": [],
    }
