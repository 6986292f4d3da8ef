"""A run's store as its writer has it in memory, and the commit that brings it to the disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from optim.errors import StoreError
from optim.journal import EvaluationRow, EventRow, ValidationRow
from optim.space import Parameter
from optim.store.atomic import replace_file
from optim.store.documents import DOCUMENT_NAME, Document, documents, to_bytes
from optim.store.layout import (
    EVALUATIONS,
    EVENTS,
    GROUPS,
    OPTIMIZERS,
    PARAMETER,
    PARAMETERS,
    SCHEMA_VERSION,
    VALIDATIONS,
    Group,
)
from optim.store.optimizers_view import OptimizersView
from optim.store.reader import open_run
from optim.store.table import Table

_OWN_ATTRIBUTES = ("schema_version", "commit")


def json_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of attributes as JSON holds them.

    Raises:
        StoreError: A value is not JSON (non-finite numbers are not), or a name is the store's own.
    """
    for name in attributes:
        if name in _OWN_ATTRIBUTES:
            raise StoreError(f"the attribute {name!r} is the store's own; choose another name")
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(attributes), allow_nan=False))
    except (TypeError, ValueError) as fault:
        raise StoreError(f"attributes must be JSON values, got {dict(attributes)!r}: {fault}") from fault
    return copy


class RunImage:
    """What a store holds; `commit` writes what changed.

    A commit writes chunks first and then, in one atomic step, the root document with the new sizes, the new
    attributes and, for the view, the names of the new chunks. Chunks that readers of the commit before look
    at are never changed, but for rows of the last chunk that lie beyond the sizes they know. So a reader, or
    whoever comes after a process was killed at any point, sees one commit, whole.

    A power failure is another matter: files are handed to the operating system, not forced to the disk.

    Args:
        path: Folder of the store.
        dimension: How many parameters there are.
    """

    def __init__(self, path: Path, dimension: int) -> None:
        self.path = path
        self.dimension = dimension
        self._tables = {group.name: Table(group, dimension) for group in GROUPS}
        self._view = OptimizersView(self._tables[OPTIMIZERS.name], dimension)
        self._workers: dict[str, int] = {}
        self._attributes: dict[str, Any] = {}
        self._written: dict[str, bytes] = {}  # documents, by path
        self._commit = 0

    @classmethod
    def create(cls, path: Path, parameters: Sequence[Parameter], attributes: Mapping[str, Any]) -> Self:
        """A new store, with its first commit.

        Raises:
            StoreError: A run is there already, or an attribute is not a JSON value.
            OSError: The file system refused.
        """
        if (path / DOCUMENT_NAME).exists():  # without a root document nothing was ever committed
            raise StoreError(f"{path} exists; resume it, or choose another place")
        image = cls(path, len(parameters))
        image.set_attributes(json_attributes(attributes))
        columns = {  # None becomes nan
            column.name: [
                getattr(one, "name" if column.name == PARAMETER else column.name) for one in parameters
            ]
            for column in PARAMETERS.columns
        }
        image._tables[PARAMETERS.name].append(columns)
        image.commit()
        return image

    @classmethod
    def load(cls, path: Path) -> Self:
        """The last commit of a store; what a killed process wrote after it is ignored, and overwritten later.

        The next commit makes a store of an older schema one of this schema.

        Raises:
            StoreError: There is no run.
            SchemaError: A newer shoal wrote it.
            DamagedStoreError: A chunk that is needed is missing or damaged.
        """
        reader = open_run(path)
        image = cls(path, reader.dimension)
        image._attributes = {
            name: value for name, value in reader.attributes.items() if name not in _OWN_ATTRIBUTES
        }
        image._workers = {name: index for index, name in enumerate(reader.workers)}
        image._commit = reader.commit
        for group in GROUPS:
            table = image._tables[group.name]
            if not reader.is_complete(group):  # some arrays have no files: write all of it
                table.append(reader.columns(group))
                continue
            start = 0 if group.is_view else reader.size(group) // group.chunk_rows * group.chunk_rows
            table.restore(start, reader.columns(group, start), image._commit)
        return image

    def size(self, group: Group) -> int:
        """How many rows a group has, those not yet committed included."""
        return self._tables[group.name].size

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes of the root, as `json_attributes` gives them; the next commit writes them."""
        self._attributes |= attributes

    def absorb(
        self,
        evaluations: Sequence[EvaluationRow],
        events: Sequence[EventRow],
        validations: Sequence[ValidationRow] = (),
    ) -> None:
        """Take the next rows of the journal; the next commit writes them."""
        first_number = self.size(EVALUATIONS) + 1
        self._append(EVALUATIONS, evaluations)
        self._append(VALIDATIONS, validations)
        self._append(EVENTS, events)
        self._view.absorb(first_number, evaluations, events)

    def commit(self) -> None:
        """Write what changed; after a failure it can be repeated.

        Raises:
            OSError: The file system refused. Readers see the commit before, or the new one.
        """
        number = self._commit + 1
        for table in self._tables.values():
            table.write(self.path, number)
        pages = self._documents(number)
        self._write_document("", pages)
        self._commit = number
        for group in GROUPS:
            if group.name:
                self._write_document(group.name, pages)

    def write_array_documents(self) -> None:
        """Bring the arrays' own documents up to date, for readers that know no consolidated metadata.

        Raises:
            OSError: The file system refused.
        """
        pages = self._documents(self._commit)
        for path, page in pages.items():
            if page["node_type"] == "array":
                self._write_document(path, pages)

    def _documents(self, number: int) -> dict[str, Document]:
        own = {"schema_version": SCHEMA_VERSION, "commit": number}
        sizes = {name: table.size for name, table in self._tables.items()}
        return documents(number, self.dimension, sizes, list(self._workers), own | self._attributes)

    def _write_document(self, path: str, pages: Mapping[str, Document]) -> None:
        data = to_bytes(pages[path])
        if self._written.get(path) != data:
            replace_file(self.path / path / DOCUMENT_NAME, data)
            self._written[path] = data

    def _append(self, group: Group, rows: Sequence[EvaluationRow | ValidationRow | EventRow]) -> None:
        if not rows:
            return
        columns: dict[str, Sequence[Any]] = dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True))
        if "worker" in columns:
            columns["worker"] = [self._worker(name) for name in columns["worker"]]
        self._tables[group.name].append(columns)

    def _worker(self, name: str) -> int:
        return self._workers.setdefault(name, len(self._workers)) if name else -1
