"""The root document of a store, read as if somebody hostile had written it.

Of all that Zarr metadata may say, only what this layout writes is let through: Zarr itself would also follow it to
other codecs (one of numcodecs' is pickle), to chunks of any size, and into arrays of any shape. So the document is
compared with the one that we would have written for as many rows, and Zarr is given ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optim.errors import DamagedStoreError, SchemaError, StoreError
from optim.store.documents import DOCUMENT_NAME, Document, documents
from optim.store.files import Files
from optim.store.layout import EVALUATIONS, GROUPS, PARAMETERS, SCHEMA_VERSION, VALIDATIONS, Group

MOST_PARAMETERS = 2**20
MOST_ROWS = 2**31

_ATTRIBUTES: Mapping[str, type] = {
    "status": str,
    "reason": str,
    "problem": str,
    "entry_point": str,
    "code_folder": str,
    "lane": str,
    "seed": int,
    "settings": dict,
    "constraints": list,
    "exit_conditions": str,
    "flow_run_id": str,
    "flow_run_ids": list,
    "versions": dict,
    "session_began_at": float,
    "session_began_s": float,
}
"""What attributes must be, where a store has them."""
_LISTS_OF_WORDS = ("constraints", "flow_run_ids")


class Attributes(dict[str, Any]):
    """The root attributes; to ask for one that every run has, and this does not, is to find damage.

    Args:
        url: Of the store.
        values: By name.
    """

    def __init__(self, url: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._url = url

    def __missing__(self, name: str) -> Any:
        raise DamagedStoreError(f"{self._url} is no whole run: it does not say its {name!r}")


@dataclass(frozen=True, slots=True)
class Root:
    """What a root document says, checked.

    Attributes:
        data: The bytes of its file.
        attributes: Those of the root.
        dimension: How many parameters there are.
        workers: The names that each `worker` counts.
        documents: What Zarr is told of: by path, the document of each array that the store has.
    """

    data: bytes
    attributes: Attributes
    dimension: int
    workers: list[str]
    documents: dict[str, Document]

    @classmethod
    def read(cls, url: str, files: Files) -> Root:
        """Read and check the root document of a store; arguments as for `read_root`.

        Raises:
            StoreError: There is no run.
            SchemaError: A newer shoal wrote it.
            DamagedStoreError: It is damaged, or no shoal has written it.
        """
        return _checked(url, read_root(url, files))

    def rows(self, group: Group) -> int:
        """How many rows a group has."""
        arrays = (self.documents.get(group.path(column)) for column in group.columns)
        return next((int(array["shape"][0]) for array in arrays if array), 0)


def read_root(url: str, files: Files) -> bytes:
    """The bytes of the root document.

    Args:
        url: Where the store is; for messages.
        files: Its files.

    Raises:
        StoreError: There is none, or it cannot be read.
    """
    try:
        return files.read(DOCUMENT_NAME)
    except (FileNotFoundError, NotADirectoryError) as fault:
        raise StoreError(f"there is no run at {url}") from fault
    except (OSError, ValueError) as fault:
        raise StoreError(f"cannot read {url}: {fault}") from fault


def _checked(url: str, data: bytes) -> Root:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise DamagedStoreError(f"{url}/{DOCUMENT_NAME} is damaged: {fault}") from fault
    attributes = _at(document, "attributes")
    version = _at(attributes, "schema_version")
    if not _is_number(version) or "commit" not in attributes:
        raise StoreError(f"{url} is not a run of shoal")
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"{url} was written by a newer shoal (schema {version}); this one reads up to {SCHEMA_VERSION}:"
            " upgrade it"
        )
    try:
        _check_attributes(attributes)
        dimension, workers, arrays = _arrays(document, attributes["commit"], version)
    except _Odd as fault:
        raise DamagedStoreError(f"{url}/{DOCUMENT_NAME} is not as shoal writes it: {fault}") from None
    return Root(data, Attributes(url, attributes), dimension, workers, arrays)


class _Odd(Exception):  # noqa: N818  becomes an error with the place of the document
    """Something that no shoal writes."""


def _is_number(value: Any, most: float = float("inf")) -> bool:
    return type(value) is int and 0 <= value <= most


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    if not _is_number(attributes["commit"], MOST_ROWS):
        raise _Odd(f"commit is {attributes['commit']!r:.100}")
    for name, kind in _ATTRIBUTES.items():
        if name in attributes and type(attributes[name]) is not kind:
            raise _Odd(f"the attribute {name!r} is no {kind.__name__}")
    for name in _LISTS_OF_WORDS:
        if not all(isinstance(word, str) for word in attributes.get(name, ())):
            raise _Odd(f"the attribute {name!r} has other things than words")


def _arrays(document: Document, commit: int, version: int) -> tuple[int, list[str], dict[str, Document]]:
    """Dimension, names of the workers, and the documents of all arrays, as we would have written them."""
    metadata = _at(document, "consolidated_metadata", "metadata")
    if not isinstance(metadata, dict):
        raise _Odd("it has no consolidated metadata")
    sizes = {group.name: _rows(group, metadata) for group in GROUPS}
    dimension = sizes[PARAMETERS.name]
    if dimension > MOST_PARAMETERS:
        raise _Odd(f"{dimension:,} parameters are more than {MOST_PARAMETERS:,}")
    workers = _at(metadata, f"{EVALUATIONS.name}/worker", "attributes", "names")
    if not isinstance(workers, list) or not all(isinstance(name, str) for name in workers):
        raise _Odd("the names of its workers are no words")
    expected = documents(commit, dimension, sizes, workers, {})
    arrays = {}
    for group in GROUPS:
        for column in group.columns:
            path = group.path(column)
            if path in metadata:
                arrays[path] = expected[path]
                _compare(path, metadata[path], expected[path])
            elif version == SCHEMA_VERSION or column.is_point:
                raise _Odd(f"the array {path} is missing")
    for group in (EVALUATIONS, VALIDATIONS):
        path = f"{group.name}/worker"
        if path in arrays and _at(metadata[path], "attributes", "names") != workers:
            raise _Odd(f"the array {path} counts other workers")
    return dimension, workers, arrays


def _rows(group: Group, metadata: Mapping[str, Any]) -> int:
    """How many rows the arrays of a group have; 0: it has no arrays yet."""
    for column in group.columns:
        if group.path(column) in metadata:
            shape = _at(metadata, group.path(column), "shape")
            if not isinstance(shape, list) or not shape or not _is_number(shape[0], MOST_ROWS):
                raise _Odd(f"the array {group.path(column)} has the shape {shape!r:.100}")
            return int(shape[0])
    return 0


def _compare(path: str, given: Any, expected: Document) -> None:
    for name, value in expected.items():
        if name != "attributes" and _at(given, name) != value:  # those are for people
            raise _Odd(f"{name} of the array {path} is {_at(given, name)!r:.100}; it must be {value!r}")


def _at(given: Any, *names: str) -> Any:
    for name in names:
        given = given.get(name) if isinstance(given, dict) else None
    return given
