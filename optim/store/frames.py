"""The tables of a run with one column for each thing: words in place of codes, a column for each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optim.outcome import Outcome
from optim.store.layout import PARAMETER

if TYPE_CHECKING:  # they take long to import
    import pandas as pd
    import xarray as xr


def frame_of(dataset: xr.Dataset, dim: str, workers: list[str]) -> pd.DataFrame:
    """A table as a data frame, whose index are the numbers of its rows, and whose `attrs["units"]` names units.

    Args:
        dataset: Of evaluations, validations, events or optimizers.
        dim: Its first dimension.
        workers: The names that `worker` counts.
    """
    import pandas as pd

    columns = flat_columns(dataset, dim, workers)
    index = pd.Index(columns.pop(dim) if dim in columns else np.arange(dataset.sizes[dim]), name=dim)
    frame = pd.DataFrame(columns, index=index)
    units = {str(name): variable.attrs.get("units", "") for name, variable in dataset.variables.items()}
    for parameter, unit in _units(dataset).items():
        units |= {column_of(dataset, name, parameter): unit for name in map(str, dataset.data_vars)}
    frame.attrs["units"] = {name: units[name] for name in columns if units.get(name)}
    return frame


def flat_columns(dataset: xr.Dataset, dim: str, workers: list[str]) -> dict[str, NDArray[Any]]:
    """Every column by its heading.

    Args:
        dataset: Any table of a run, with the coordinate `parameter` if it has points.
        dim: Its first dimension.
        workers: The names that `worker` counts.
    """
    outcomes = [*(outcome.label for outcome in Outcome), "missing"]  # -1 is the last one
    words = {"outcome": outcomes, "worker": [*workers, ""]}
    columns: dict[str, NDArray[Any]] = {}
    for name in sorted(map(str, dataset.variables), key=lambda name: name != dim):
        variable = dataset.variables[name]
        if variable.dims == (dim,):
            is_code = name in words
            columns[name] = (
                np.array(words[name], dtype=object)[variable.values] if is_code else variable.values
            )
        elif variable.dims == (dim, PARAMETER):
            for parameter, values in zip(dataset[PARAMETER].values, variable.values.T, strict=True):
                columns[column_of(dataset, name, parameter)] = values
    return columns


def column_of(dataset: xr.Dataset, name: str, parameter: str) -> str:
    """The heading of one coordinate of points: of `x` the parameter's name, if it is free; of others as `x0_eps`."""
    return parameter if name == "x" and parameter not in dataset.variables else f"{name}_{parameter}"


def _units(dataset: xr.Dataset) -> dict[str, str]:
    if "unit" not in dataset.variables:
        return {}
    return dict(zip(dataset[PARAMETER].values.tolist(), dataset["unit"].values.tolist(), strict=True))
