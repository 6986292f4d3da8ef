"""The schema of a run's store: every array, as one table.

The groups hang below one root, whose own arrays are the table of parameters; a group's arrays share its first
dimension, and those that are a point of the space have the dimension `parameter` as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optim.outcome import Outcome

SCHEMA_VERSION = 3
"""Rises with every change that an older reader would misread; `older` reads what came before."""

PARAMETER = "parameter"
"""The dimension of a point, and the coordinate that holds the parameters' names."""

MISSING_OUTCOME = -1
"""What `outcome` reads where nothing was written."""

_POINT_CHUNK_BYTES = 2**20
"""Points of many dimensions get fewer rows in a chunk: the last chunk is rewritten at every commit."""


@dataclass(frozen=True, slots=True)
class Column:
    """One array.

    Attributes:
        name: Its name in the group.
        dtype: In the words of Zarr; `string` is of any length.
        fill_value: What reads where nothing was written.
        long_name: What it is, for people and axis labels.
        units: Empty: a number without a unit, or one unit per parameter (see the root's `unit`).
        is_point: It has the dimension `parameter` too.
        attributes: More attributes of the array.
    """

    name: str
    dtype: str
    fill_value: float | str
    long_name: str
    units: str = ""
    is_point: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_string(self) -> bool:
        """Its values are text of any length."""
        return self.dtype == "string"

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """What a chunk of it is in memory."""
        return np.dtype(object if self.is_string else self.dtype)


@dataclass(frozen=True, slots=True)
class Group:
    """Arrays with one first dimension.

    Attributes:
        name: Path in the store; empty: the root.
        dim: The first dimension of each of its arrays.
        chunk_rows: Rows in a chunk, a power of two.
        columns: Its arrays.
        is_view: Its rows change after they were written, because they are derived from the other groups.
    """

    name: str
    dim: str
    chunk_rows: int
    columns: tuple[Column, ...]
    is_view: bool = False

    def path(self, column: Column) -> str:
        """Where the array is in the store, as in `evaluations/loss`."""
        return f"{self.name}/{column.name}" if self.name else column.name

    def dims(self, column: Column) -> tuple[str, ...]:
        """The names of the array's dimensions."""
        return (self.dim, PARAMETER) if column.is_point else (self.dim,)

    def chunk_shape(self, column: Column, dimension: int) -> tuple[int, ...]:
        """The shape of the array's chunks in so many dimensions; its rows divide `chunk_rows`."""
        if not column.is_point:
            return (self.chunk_rows,)
        rows = self.chunk_rows
        while rows > 1 and rows * dimension * column.numpy_dtype.itemsize > _POINT_CHUNK_BYTES:
            rows //= 2
        return (rows, dimension)


# Times are in "s": xarray would decode "seconds" into timedelta64, which holds no fraction of a nanosecond
# and no plain arithmetic.
PARAMETERS = Group(
    name="",
    dim=PARAMETER,
    chunk_rows=1024,
    columns=(
        Column(PARAMETER, "string", "", "name of the parameter"),
        Column("unit", "string", "", "unit of its values; empty: dimensionless"),
        Column("scale", "string", "", "how optimizers see it: linear or log"),
        Column("lower", "float64", np.nan, "smallest allowed value; nan: none given"),
        Column("upper", "float64", np.nan, "largest allowed value; nan: none given"),
        Column("initial", "float64", np.nan, "value that people start from; nan: none given"),
        Column("active", "bool", True, "is varied, unless it is tied; else keeps its initial value"),
        Column("tie", "string", "", "what it equals instead of being varied; empty: not tied"),
    ),
)

_OUTCOME = Column(
    "outcome",
    "int8",
    MISSING_OUTCOME,
    "how it ended",
    attributes={
        "flag_values": [MISSING_OUTCOME, *(int(outcome) for outcome in Outcome)],
        "flag_meanings": " ".join(["missing", *(outcome.label for outcome in Outcome)]),
    },
)
_WORKER = Column(
    "worker", "int32", -1, "who ran it: index into `names`; -1: nobody", attributes={"names": []}
)

EVALUATIONS = Group(
    name="evaluations",
    dim="evaluation",
    chunk_rows=8192,
    columns=(
        Column("sequence", "int64", -1, "place among all inputs of the manager"),
        Column("optimizer", "int32", -1, "number of the optimizer; 0: the baseline"),
        Column("call", "int32", -1, "the optimizer's own number of the evaluation"),
        Column("asked", "int32", -1, "how many its optimizer had asked for once this was told; -1: unknown"),
        Column("x", "float64", np.nan, "point, each parameter in its own unit", is_point=True),
        Column("loss", "float64", np.nan, "loss"),
        _OUTCOME,
        Column("late", "bool", False, "came back after its optimizer had been stopped"),
        Column("probe", "bool", False, "finite-difference point: no step of its optimizer"),
        Column("attempts", "int16", -1, "how often it was tried"),
        Column("submitted_s", "float64", np.nan, "handed to a worker, since the run began", "s"),
        Column("started_s", "float64", np.nan, "loss began to run, since the run began", "s"),
        Column("finished_s", "float64", np.nan, "loss returned, since the run began", "s"),
        _WORKER,
    ),
)

VALIDATIONS = Group(
    name="validations",
    dim="validation",
    chunk_rows=8192,
    columns=(
        Column("sequence", "int64", -1, "place among all inputs of the manager"),
        Column("optimizer", "int32", -1, "number of the optimizer; 0: the baseline"),
        Column("call", "int32", -1, "the optimizer's own number of the evaluation"),
        Column("evaluation", "int64", -1, "number of the evaluation whose point was validated"),
        Column("loss", "float64", np.nan, "validation loss"),
        _OUTCOME,
        Column("attempts", "int16", -1, "how often it was tried"),
        Column("submitted_s", "float64", np.nan, "handed to a worker, since the run began", "s"),
        Column("started_s", "float64", np.nan, "validation began to run, since the run began", "s"),
        Column("finished_s", "float64", np.nan, "validation returned, since the run began", "s"),
        _WORKER,
    ),
)

EVENTS = Group(
    name="events",
    dim="event",
    chunk_rows=1024,
    columns=(
        Column("sequence", "int64", -1, "of an input its place among all inputs, else that of its cause"),
        Column("evaluation", "int64", -1, "how many evaluations the run had"),
        Column("kind", "string", "", "what happened"),
        Column("optimizer", "int32", -1, "number of the optimizer; -1: none in particular"),
        Column(
            "call", "int32", -1, "call of the optimizer; of a start or end: the last one asked for; -1: none"
        ),
        Column("text", "string", "", "what a person reads"),
        Column("data", "string", "", "detail, as a JSON object; empty: none"),
    ),
)

OPTIMIZERS = Group(
    name="optimizers",
    dim="optimizer",
    chunk_rows=1024,
    columns=(
        Column("number", "int32", -1, "number of the optimizer"),
        Column("type", "string", "", "type of the optimizer"),
        Column("label", "string", "", "what its settings are called"),
        Column("settings", "string", "", "its settings, as a JSON object"),
        Column("generator", "string", "", "which generator gave its starting point"),
        Column("x0", "float64", np.nan, "starting point, each parameter in its own unit", is_point=True),
        Column("start_evaluation", "int64", -1, "how many evaluations the run had when it started"),
        Column("end_evaluation", "int64", -1, "how many evaluations the run had when it ended; -1: alive"),
        Column("end", "string", "", "how it ended; empty: alive"),
        Column("reason", "string", "", "why it ended"),
        Column("verdicts", "string", "", "stoppers as they stood when they stopped it; empty: they did not"),
        Column("evaluations", "int64", 0, "how many evaluations it has, late ones too"),
        Column("best_loss", "float64", np.nan, "its lowest finite loss; nan: none yet"),
        Column("best_evaluation", "int64", -1, "number of the evaluation that gave it; -1: none yet"),
    ),
    is_view=True,
)

GROUPS = (PARAMETERS, EVALUATIONS, VALIDATIONS, EVENTS, OPTIMIZERS)
"""Every group, the root first."""
