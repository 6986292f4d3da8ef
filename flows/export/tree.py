"""The tree of text files that users of ParAMS look for: `summary.txt`, and a folder for each optimizer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rich.console import Console

from flows.reports.report import WIDE, report
from flows.reports.summary import RunSummary, optimizer_rows, summarize
from optim.errors import DamagedStoreError
from optim.outcome import Outcome
from optim.printable import printable
from optim.store import RunReader

LOGGING_INTERVAL = 10
"""Of runs whose settings do not say."""

FLOAT_WIDTH = 24
"""Characters of the longest float that `repr` writes."""


def write_tree(name: str, reader: RunReader, directory: Path) -> None:
    """Write the tree of a run.

    Args:
        name: Of the run.
        reader: Of the run.
        directory: It exists.
    """
    summary = summarize(name, reader)
    _write_lines(directory / "summary.txt", _summary_lines(summary))
    if summary.best is not None:
        _write_lines(directory / "best_parameters.txt", _best_lines(summary.best.parameters, summary.units))
    _write_optimizers(reader, directory)


def logged(losses: NDArray[np.float64], interval: int) -> NDArray[np.intp]:
    """Which of an optimizer's losses its running log holds: each new best, and every so many.

    Args:
        losses: In the order in which they came, shape (n,); those that are not finite are never a best.
        interval: 1: all of them.

    Returns:
        Their places, ascending.
    """
    usable = np.where(np.isfinite(losses), losses, np.inf)
    best_before = np.minimum.accumulate(np.append(np.inf, usable))[:-1]
    is_logged = usable < best_before
    is_logged[interval - 1 :: interval] = True
    return np.flatnonzero(is_logged)


class _Results(NamedTuple):
    """Losses of one data set.

    Attributes:
        numbers: Of the evaluations, over the whole run.
        losses: As they were returned; nan where none was.
        times_s: When they came, since the run began.
    """

    numbers: NDArray[np.int64]
    losses: NDArray[np.float64]
    times_s: NDArray[np.float64]

    @classmethod
    def of(cls, rows: xr.Dataset) -> _Results:
        return cls(rows["evaluation"].values, rows["loss"].values, rows["finished_s"].values)

    def at(self, places: NDArray[np.intp]) -> _Results:
        return _Results(self.numbers[places], self.losses[places], self.times_s[places])


def _write_optimizers(reader: RunReader, directory: Path) -> None:
    rows = optimizer_rows(reader)
    evaluations, validations = reader.evaluations(), reader.validations().sortby("evaluation")
    training, validation = _Results.of(evaluations), _Results.of(validations)
    usable = np.where(evaluations["outcome"] == Outcome.OK, training.losses, np.nan)
    interval = _interval(reader)
    is_free = np.array([parameter.is_free for parameter in reader.space().parameters])
    names = evaluations["parameter"].values[is_free]
    points = evaluations["x"].values
    evaluations_of = _by_optimizer(evaluations["optimizer"].values, len(rows))
    validations_of = _by_optimizer(validations["optimizer"].values, len(rows))
    for row, its, its_validations in zip(rows, evaluations_of, validations_of, strict=True):
        folder = directory / f"optimizer_{row['number']:03d}"
        _write_lines(folder / "opt_type.txt", _type_lines(row))
        _write_lines(folder / "end_condition.txt", _end_lines(row))
        shown = its[logged(usable[its], interval)]
        files = folder / "training_set_results"
        _write_lines(files / "running_loss.txt", _loss_lines("training_set", training.at(shown)))
        _write_lines(
            folder / "running_active_parameters.txt",
            _parameter_lines(names, training.numbers[shown], points[shown][:, is_free]),
        )
        if len(validation.numbers):
            files = folder / "validation_set_results"
            results = validation.at(its_validations)
            _write_lines(files / "running_loss.txt", _loss_lines("validation_set", results))


def _interval(reader: RunReader) -> int:
    interval = reader.attributes["settings"].get("logging_interval", LOGGING_INTERVAL)
    if not isinstance(interval, int) or interval < 1:
        raise DamagedStoreError(
            f"the logging_interval of the run is {interval!r:.100}; it must be a number from 1"
        )
    return interval


def _by_optimizer(owners: NDArray[np.int32], count: int) -> list[NDArray[np.intp]]:
    """For each of so many optimizers, the places of its rows, in order."""
    order = np.argsort(owners, kind="stable")
    edges = np.searchsorted(owners[order], np.arange(1, count + 2))
    return [order[start:stop] for start, stop in pairwise(edges)]


def _summary_lines(summary: RunSummary) -> Iterator[str]:
    console = Console(file=StringIO(), width=WIDE)
    with console.capture() as capture:
        console.print(report(summary))
    yield from (line.rstrip() for line in capture.get().splitlines())


def _best_lines(parameters: Mapping[str, float], units: Mapping[str, str]) -> Iterator[str]:
    for name, value in parameters.items():
        yield f"{_word(name)} {value!r} {units[name]}".rstrip()


def _type_lines(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"type: {row['type']}"
    yield f"label: {row['label']}"
    yield f"generator: {row['generator']}"
    yield "settings:"
    for key, value in json.loads(row["settings"]).items():
        if key not in ("type", "label"):
            yield f"    {key}: {json.dumps(value)}"


def _end_lines(row: Mapping[str, Any]) -> Iterator[str]:
    if not row["end"]:
        yield "end: none, it is alive"
        return
    yield f"end: {row['end']}"
    yield f"evaluation: {row['end_evaluation']}"
    yield f"reason: {row['reason']}"
    if row["verdicts"]:
        yield "stoppers:"
        yield from (f"    {line}" for line in row["verdicts"].splitlines())


def _loss_lines(data_set: str, results: _Results) -> Iterator[str]:
    yield f"#evaluation {data_set}_loss log10({data_set}_loss) time_seconds"
    logarithms = np.log10(np.where(results.losses > 0, results.losses, np.nan))
    columns = (results.numbers, results.losses, logarithms, results.times_s)
    for number, loss, logarithm, time_s in zip(*(column.tolist() for column in columns), strict=True):
        yield f"{number:06d} {loss!r:>{FLOAT_WIDTH}} {logarithm:10.6f} {time_s:13.6f}"


def _parameter_lines(
    names: Sequence[str], numbers: NDArray[np.int64], points: NDArray[np.float64]
) -> Iterator[str]:
    yield " ".join(["#evaluation", *map(_word, names)])
    for number, point in zip(numbers.tolist(), points.tolist(), strict=True):
        yield " ".join([f"{number:06d}", *(f"{value!r:>{FLOAT_WIDTH}}" for value in point)])


def _word(name: str) -> str:
    """A parameter's name as one word, so that columns can be told apart."""
    return "_".join(name.split())


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{printable(line)}\n" for line in lines), encoding="utf-8")
