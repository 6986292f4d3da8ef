"""The tables of a run's store as CSV files, with words in place of codes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from optim.outcome import Outcome
from optim.store import RunReader

ROWS_AT_ONCE = 8192


def write_tables(reader: RunReader, directory: Path) -> None:
    """Write `parameters.csv`, `evaluations.csv`, `validations.csv`, `events.csv` and `optimizers.csv`.

    Each coordinate of a point is a column. Floats are written so that they read back as they were.

    Args:
        reader: Of the run.
        directory: It exists.
    """
    tables = {
        "parameters": reader.tree().to_dataset().load(),
        "evaluations": reader.evaluations(),
        "validations": reader.validations(),
        "events": reader.events(),
        "optimizers": reader.optimizers(),
    }
    outcomes = [*(outcome.label for outcome in Outcome), "missing"]  # -1 is the last one
    words = {"outcome": outcomes, "worker": [*reader.workers, ""]}
    for name, dataset in tables.items():
        columns = _columns(dataset, name.removesuffix("s"))
        for column in columns.keys() & words.keys():
            columns[column] = np.array(words[column], dtype=object)[columns[column]]
        _write(directory / f"{name}.csv", columns)


def _columns(dataset: xr.Dataset, dim: str) -> dict[str, NDArray[Any]]:
    """Every column by its heading; those of `x` are called as the parameters, others as `x0_eps`."""
    names = [str(name) for name in sorted(dataset.variables, key=lambda name: name != dim)]
    columns: dict[str, NDArray[Any]] = {}
    for name in names:
        variable = dataset.variables[name]
        if variable.dims == (dim,):
            columns[name] = variable.values
        elif variable.dims == (dim, "parameter"):
            for parameter, values in zip(dataset["parameter"].values, variable.values.T, strict=True):
                is_plain = name == "x" and parameter not in dataset.variables
                columns[parameter if is_plain else f"{name}_{parameter}"] = values
    return columns


def _write(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        rows = max(map(len, columns.values()))
        for start in range(0, rows, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            writer.writerows(zip(*(values[part].tolist() for values in columns.values()), strict=True))
