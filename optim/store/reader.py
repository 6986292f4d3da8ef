"""Reading a run, also while it is being written."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, TypeVar

import fsspec
import numpy as np
import xarray as xr
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray
from pydantic import ValidationError
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from optim.errors import DamagedStoreError, ShoalError, StoreError
from optim.journal import INPUT_KINDS, EvaluationRow, EventKind, EventRow, ValidationRow
from optim.outcome import Outcome
from optim.space import Parameter, Space
from optim.store.checked import CheckedStore
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
from optim.store.older import complete
from optim.store.root import Root, read_root
from optim.store.values import Sizes, check_values

_ATTEMPTS = 20
_CHUNKS_AT_ONCE = 64
"""Memory fills no faster than chunks are found: a store may say that it has more rows than there is room for."""

_Row = TypeVar("_Row", EvaluationRow, ValidationRow, EventRow)


def read_attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The root attributes of a run (status, seed, settings, ...); faster than to open it.

    Raises:
        StoreError: There is no run.
        SchemaError: A newer shoal wrote it.
        DamagedStoreError: Its root document is damaged.
    """
    return Root.read(str(path)).attributes


def open_run(path: str | os.PathLike[str]) -> RunReader:
    """Open the last commit of a run.

    Args:
        path: Of the store (`.../run.zarr`), or any fsspec URL.

    Raises:
        StoreError: There is no run.
        SchemaError: A newer shoal wrote it.
        DamagedStoreError: Its root document, or a chunk of its optimizers, is missing or damaged.
    """
    url = str(path)
    for _ in range(_ATTEMPTS):
        root = Root.read(url)
        found: RunReader | DamagedStoreError
        try:
            found = RunReader(url, root)
        except DamagedStoreError as fault:
            found = fault
        # the files of a commit's view are rewritten only after the next commit
        if read_root(url) == root.data:
            if isinstance(found, DamagedStoreError):
                raise found
            return found
    raise StoreError(f"{url} changed {_ATTEMPTS} times while it was being opened; open a copy of it instead")


class RunReader:
    """One commit of a run: what is committed later does not show.

    Reading takes no lock, and never waits for a writer. `open_run` makes one.

    Args:
        url: Where the store is.
        root: Its root document.

    Attributes:
        completed: Names of the groups that an older shoal wrote less of; fill values stand for what it did not.
    """

    def __init__(self, url: str, root: Root) -> None:
        self._root = root
        store: Any = CheckedStore(_store(url), root)  # xarray's annotation knows no Zarr stores
        self._tree = xr.open_datatree(store, engine="zarr", consolidated=True)
        self._tree.attrs = dict(root.attributes)
        is_older = root.attributes["schema_version"] < SCHEMA_VERSION
        self.completed = complete(self._tree) if is_older else frozenset()
        self._optimizers = self._load(OPTIMIZERS)

    @property
    def attributes(self) -> dict[str, Any]:
        """The root attributes."""
        return self._root.attributes

    @property
    def commit(self) -> int:
        """Number of the commit, from 1."""
        return int(self.attributes["commit"])

    @property
    def dimension(self) -> int:
        """How many parameters there are, those that are not free included."""
        return self.size(PARAMETERS)

    @property
    def workers(self) -> list[str]:
        """The names that `worker` of evaluations and validations counts."""
        return self._root.workers

    def size(self, group: Group) -> int:
        """How many rows a group has."""
        return int(self._node(group).sizes[group.dim])

    def tree(self) -> xr.DataTree:
        """Everything, as xarray shows it; all but optimizers is read from the store when it is used.

        Using it raises DamagedStoreError where a chunk is missing or damaged.
        """
        return self._tree

    def loaded(self) -> xr.DataTree:
        """Everything, in memory.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return xr.DataTree.from_dict({f"/{group.name}": self._load(group) for group in GROUPS})

    def space(self) -> Space:
        """The space that the points are of, with its constraints.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        columns = self.columns(PARAMETERS)
        columns["name"] = columns.pop(PARAMETER)
        parameters = []
        for values in zip(*(array.tolist() for array in columns.values()), strict=True):
            options = dict(zip(columns, values, strict=True))
            # nan: it was not given
            given = {name: value for name, value in options.items() if value == value}
            try:
                parameters.append(Parameter(**given))
            except ValidationError as fault:
                raise DamagedStoreError(f"{given!r} is no parameter: {fault.errors()[0]['msg']}") from None
        try:
            return Space(parameters, self.attributes.get("constraints", ()))
        except ShoalError as fault:
            raise DamagedStoreError(f"the parameters are no space: {fault}") from fault

    def evaluations(self) -> xr.Dataset:
        """All evaluations, in memory.

        Their numbers are the coordinate `evaluation`; the table of parameters (`unit`, `lower`, ...) are
        coordinates along `parameter`. `validation_loss` is nan where the point has no finite one.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        dataset = self._with_coordinates(self._load(EVALUATIONS), EVALUATIONS)
        return dataset.assign(
            validation_loss=(EVALUATIONS.dim, self._validation_losses(), {"long_name": "validation loss"})
        )

    def validations(self) -> xr.Dataset:
        """All validations, in memory; their numbers are the coordinate `validation`.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        dataset = self._load(VALIDATIONS)
        return dataset.assign_coords({VALIDATIONS.dim: np.arange(1, dataset.sizes[VALIDATIONS.dim] + 1)})

    def events(self) -> xr.Dataset:
        """All events, in memory.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return self._load(EVENTS)

    def optimizers(self) -> xr.Dataset:
        """All optimizers, in memory, with coordinates as `evaluations` has them.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return self._with_coordinates(self._optimizers, OPTIMIZERS)

    def journal(self) -> Iterator[EvaluationRow | ValidationRow | EventRow]:
        """Every input of the manager, in order: what a replay needs.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        inputs = (row for row in self.event_rows() if row.kind in INPUT_KINDS)
        rows = (self.evaluation_rows(), self.validation_rows(), inputs)
        return heapq.merge(*rows, key=attrgetter("sequence"))

    def evaluation_rows(self) -> Iterator[EvaluationRow]:
        """All evaluations, in order; at no time all in memory.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return self._rows(EVALUATIONS, EvaluationRow)

    def validation_rows(self) -> Iterator[ValidationRow]:
        """All validations, in order; at no time all in memory.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return self._rows(VALIDATIONS, ValidationRow)

    def event_rows(self) -> Iterator[EventRow]:
        """All events, in order: inputs, decisions and notes.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return self._rows(EVENTS, EventRow)

    def columns(self, group: Group, start: int = 0, stop: int | None = None) -> dict[str, NDArray[Any]]:
        """The values of a group's arrays, from one row to another; text as objects.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        dataset = self._node(group).to_dataset()
        rows = slice(start, stop)
        columns = {
            column.name: dataset[column.name][rows].to_numpy().astype(column.numpy_dtype)
            for column in group.columns
        }
        self._check(group, columns, start)
        return columns

    def _rows(self, group: Group, row: type[_Row]) -> Iterator[_Row]:
        names = [*self.workers, ""]  # worker -1: nobody
        conversions: dict[str, Callable[[NDArray[Any]], Iterable[Any]]] = {
            "x": _read_only,
            "outcome": lambda values: map(Outcome, values),
            "worker": lambda values: [names[index] for index in values],
            "kind": lambda values: map(EventKind, values),
        }
        for start in range(0, self.size(group), group.chunk_rows):
            columns = self.columns(group, start, start + group.chunk_rows)
            values = (conversions.get(name, np.ndarray.tolist)(columns[name]) for name in row._fields)
            yield from map(row._make, zip(*values, strict=True))

    def _validation_losses(self) -> NDArray[np.float64]:
        """The finite validation loss of each evaluation, else nan; shape (evaluations,)."""
        losses = np.full(self.size(EVALUATIONS), np.nan)
        validations = self._load(VALIDATIONS)
        loss = validations["loss"].to_numpy()
        is_good = (validations["outcome"].to_numpy() == Outcome.OK) & np.isfinite(loss)
        losses[validations["evaluation"].to_numpy()[is_good] - 1] = loss[is_good]
        return losses

    def _load(self, group: Group) -> xr.Dataset:
        has_points = any(column.is_point for column in group.columns)
        dataset = self._node(group).to_dataset(inherit=has_points)
        rows = _CHUNKS_AT_ONCE * group.chunk_rows
        if self.size(group) > rows:
            blocks = [
                dataset.isel({group.dim: slice(start, start + rows)}).load()
                for start in range(0, self.size(group), rows)
            ]
            dataset = xr.concat(
                blocks, group.dim, data_vars="minimal", coords="minimal", compat="override", join="override"
            )
        dataset = dataset.load()
        self._check(group, {column.name: dataset[column.name].to_numpy() for column in group.columns})
        return dataset

    def _check(self, group: Group, columns: Mapping[str, NDArray[Any]], start: int = 0) -> None:
        check_values(group, columns, Sizes(start, self.size(EVALUATIONS), len(self.workers)))

    def _node(self, group: Group) -> xr.DataTree:
        return self._tree.children[group.name] if group.name else self._tree

    def _with_coordinates(self, dataset: xr.Dataset, group: Group) -> xr.Dataset:
        numbers = np.arange(1, dataset.sizes[group.dim] + 1)
        parameters = self._tree.to_dataset().load()
        return dataset.assign_coords({group.dim: numbers, **parameters.data_vars})


def _read_only(points: NDArray[np.float64]) -> NDArray[np.float64]:
    points.flags.writeable = False
    return points


def _store(url: str) -> Store:
    filesystem, path = fsspec.url_to_fs(url)
    if isinstance(filesystem, LocalFileSystem):
        return LocalStore(path, read_only=True)
    return FsspecStore.from_url(url, read_only=True)
