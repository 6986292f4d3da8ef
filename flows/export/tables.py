"""The tables of a run's store as CSV files, with words in place of codes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from optim.store import RunReader, flat_columns

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
    for name, dataset in tables.items():
        _write(directory / f"{name}.csv", flat_columns(dataset, name.removesuffix("s"), reader.workers))


def _write(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        rows = max(map(len, columns.values()))
        for start in range(0, rows, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            writer.writerows(zip(*(values[part].tolist() for values in columns.values()), strict=True))
