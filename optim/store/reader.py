"""Reading a run, also while it is being written."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from optim.errors import DamagedStoreError, ShoalError, StoreError
from optim.journal import INPUT_KINDS, EvaluationRow, EventKind, EventRow, ValidationRow
from optim.outcome import Outcome
from optim.space import Parameter, Space
from optim.store.columns import Columns
from optim.store.files import Files, files_of
from optim.store.frames import frame_of
from optim.store.layout import (
    EVALUATIONS,
    EVENTS,
    GROUPS,
    OPTIMIZERS,
    PARAMETER,
    PARAMETERS,
    VALIDATIONS,
    Column,
    Group,
)
from optim.store.root import Root, read_root

if TYPE_CHECKING:  # they take long to import, and most of what is read is not shown by them
    import pandas as pd
    import xarray as xr

_ATTEMPTS = 20

_Row = TypeVar("_Row", EvaluationRow, ValidationRow, EventRow)


def read_attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The root attributes of a run (status, seed, settings, ...); faster than to open it.

    Raises:
        StoreError: There is no run.
        SchemaError: A newer shoal wrote it.
        DamagedStoreError: Its root document is damaged.
    """
    return Root.read(str(path), files_of(str(path))).attributes


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
    files = files_of(url)
    for _ in range(_ATTEMPTS):
        root = Root.read(url, files)
        found: RunReader | DamagedStoreError
        try:
            found = RunReader(url, files, root)
        except DamagedStoreError as fault:
            found = fault
        # the files of a commit's view are rewritten only after the next commit
        if read_root(url, files) == root.data:
            if isinstance(found, DamagedStoreError):
                raise found
            return found
    raise StoreError(f"{url} changed {_ATTEMPTS} times while it was being opened; open a copy of it instead")


class RunReader:
    """One commit of a run: what is committed later does not show.

    Reading takes no lock, and never waits for a writer. `open_run` makes one.

    Args:
        url: Where the store is.
        files: Its files.
        root: Its root document.
    """

    def __init__(self, url: str, files: Files, root: Root) -> None:
        self._url = url
        self._root = root
        self._columns = Columns(url, files, root)
        self._optimizers = self._columns.read(OPTIMIZERS)

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
        return self._root.dimension

    @property
    def workers(self) -> list[str]:
        """The names that `worker` of evaluations and validations counts."""
        return self._root.workers

    def size(self, group: Group) -> int:
        """How many rows a group has."""
        return self._root.rows(group)

    def is_complete(self, group: Group) -> bool:
        """Whether the store has all arrays of a group; for what an older shoal did not write, fill values stand."""
        return all(group.path(column) in self._root.documents for column in group.columns)

    def columns(self, group: Group, start: int = 0, stop: int | None = None) -> dict[str, NDArray[Any]]:
        """The values of a group's arrays, from one row to another; text as objects.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        if group is not OPTIMIZERS:
            return self._columns.read(group, start, stop)
        return {name: values[start:stop] for name, values in self._optimizers.items()}

    def tree(self) -> xr.DataTree:
        """Everything, as xarray shows it; all but optimizers is read from the store when it is used.

        Using it raises DamagedStoreError where a chunk is missing or damaged.
        """
        from optim.store.tree import open_tree

        tree = open_tree(self._url, self._root)
        tree[OPTIMIZERS.name].dataset = self._dataset(OPTIMIZERS).drop_vars(PARAMETER)
        return tree

    def loaded(self) -> xr.DataTree:
        """Everything, in memory.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        import xarray as xr

        return xr.DataTree.from_dict({f"/{group.name}": self._dataset(group) for group in GROUPS})

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
        dataset = self._with_coordinates(EVALUATIONS)
        return dataset.assign(
            validation_loss=(EVALUATIONS.dim, self._validation_losses(), {"long_name": "validation loss"})
        )

    def validations(self) -> xr.Dataset:
        """All validations, in memory; their numbers are the coordinate `validation`.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        dataset = self._dataset(VALIDATIONS)
        return dataset.assign_coords({VALIDATIONS.dim: np.arange(1, dataset.sizes[VALIDATIONS.dim] + 1)})

    def events(self) -> xr.Dataset:
        """All events, in memory.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return self._dataset(EVENTS)

    def optimizers(self) -> xr.Dataset:
        """All optimizers, in memory, with coordinates as `evaluations` has them.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return self._with_coordinates(OPTIMIZERS)

    def evaluations_frame(self) -> pd.DataFrame:
        """All evaluations as a pandas frame: a row for each number, each parameter a column in its own unit.

        `frame.attrs["units"]` has the unit of each column that has one. The validation loss is a column, too.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return frame_of(self.evaluations(), EVALUATIONS.dim, self.workers)

    def optimizers_frame(self) -> pd.DataFrame:
        """All optimizers as a pandas frame: a row for each number; starting points are columns as `x0_eps`.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return frame_of(self.optimizers(), OPTIMIZERS.dim, self.workers)

    def events_frame(self) -> pd.DataFrame:
        """All events as a pandas frame.

        Raises:
            DamagedStoreError: A chunk is missing or damaged.
        """
        return frame_of(self.events(), EVENTS.dim, self.workers)

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
        validations = self.columns(VALIDATIONS)
        loss = validations["loss"]
        is_good = (validations["outcome"] == Outcome.OK) & np.isfinite(loss)
        losses[validations["evaluation"][is_good] - 1] = loss[is_good]
        return losses

    def _dataset(self, group: Group) -> xr.Dataset:
        import xarray as xr

        values = self.columns(group)
        arrays: dict[str, Any] = {
            column.name: (group.dims(column), values[column.name], self._attributes_of(group, column))
            for column in group.columns
        }
        coordinates: dict[str, Any] = {}
        if group is PARAMETERS:
            coordinates = {PARAMETER: arrays.pop(PARAMETER)}
        elif any(column.is_point for column in group.columns):
            coordinates = {PARAMETER: self.columns(PARAMETERS)[PARAMETER]}
        return xr.Dataset(arrays, coordinates, self.attributes if group is PARAMETERS else {})

    def _attributes_of(self, group: Group, column: Column) -> dict[str, Any]:
        document = self._root.documents.get(group.path(column))
        return dict(document["attributes"] if document else column.attributes)

    def _with_coordinates(self, group: Group) -> xr.Dataset:
        dataset = self._dataset(group)
        numbers = np.arange(1, self.size(group) + 1)
        return dataset.assign_coords({group.dim: numbers, **self._dataset(PARAMETERS).data_vars})


def _read_only(points: NDArray[np.float64]) -> NDArray[np.float64]:
    points.flags.writeable = False
    return points
