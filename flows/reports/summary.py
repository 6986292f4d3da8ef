"""What a run has come to, read from its store: the objects that `shoal show --json` prints."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from flows.reports.statistics import (
    MinimumSummary,
    StopperSummary,
    ValidationSummary,
    find_minima,
    summarize_validations,
    what_stoppers_saved,
)
from optim.outcome import Outcome
from optim.printable import printable
from optim.space import Space
from optim.store import EVALUATIONS, OPTIMIZERS, VALIDATIONS, RunReader


class BestSummary(BaseModel):
    """The lowest finite loss, where it was seen first, and the parameters there (physical units)."""

    loss: float
    optimizer: int
    evaluation: int
    parameters: dict[str, float]


class OptimizerSummary(BaseModel):
    """One optimizer; `start_evaluation` is how many evaluations the run had when it was started."""

    number: int
    type: str
    label: str
    start_evaluation: int
    end_evaluation: int | None
    evaluations: int
    end: str | None
    reason: str
    best_loss: float | None


class OptimizerDetail(OptimizerSummary):
    """Everything about one optimizer; `verdicts` are the stoppers as they stood when they ended it."""

    model_config = ConfigDict(ser_json_inf_nan="null")

    settings: dict[str, Any]
    generator: str
    start: dict[str, float]
    verdicts: str
    best_evaluation: int | None
    best_parameters: dict[str, float] | None
    units: dict[str, str]


class RunSummary(BaseModel):
    """A run; null where there is nothing yet, or no finite number.

    `on_bounds` has the parameters whose best values lie on a bound, with `lower` or `upper`.
    """

    model_config = ConfigDict(ser_json_inf_nan="null")

    name: str
    status: str
    reason: str
    problem: str
    seed: int
    evaluations: int
    failures: int
    elapsed_s: float
    best: BestSummary | None
    exit_conditions: str
    optimizers: list[OptimizerSummary]
    units: dict[str, str]
    on_bounds: dict[str, str]
    minima: list[MinimumSummary]
    stoppers: StopperSummary
    validation: ValidationSummary | None


def summarize(name: str, reader: RunReader) -> RunSummary:
    """Read a run's summary; works while it is being written."""
    attributes = reader.attributes
    evaluations = reader.columns(EVALUATIONS)
    space = reader.space()
    rows = optimizer_rows(reader)
    best = _best(evaluations, space)
    return RunSummary(
        name=printable(name),
        status=printable(attributes["status"]),
        reason=printable(attributes.get("reason", "")),
        problem=printable(attributes["problem"]),
        seed=attributes["seed"],
        evaluations=reader.size(EVALUATIONS),
        failures=int((evaluations["outcome"] != Outcome.OK).sum()),
        elapsed_s=_elapsed_s(evaluations),
        best=best,
        exit_conditions=printable(attributes.get("exit_conditions", "")),
        optimizers=[OptimizerSummary(**_optimizer(row)) for row in rows],
        units=_units(space),
        on_bounds=_on_bounds(best, evaluations, space),
        minima=find_minima(rows, evaluations["x"], space),
        stoppers=what_stoppers_saved(rows),
        validation=summarize_validations(reader.columns(VALIDATIONS), best.evaluation if best else None),
    )


def describe_optimizer(reader: RunReader, number: int) -> OptimizerDetail:
    """Everything about one optimizer.

    Args:
        reader: Of its run.
        number: Of one that was started.
    """
    space = reader.space()
    row = optimizer_rows(reader, number - 1, number)[0]
    best_evaluation = row["best_evaluation"] if math.isfinite(row["best_loss"]) else None
    best_parameters = None
    if best_evaluation is not None:
        best = reader.columns(EVALUATIONS, best_evaluation - 1, best_evaluation)
        best_parameters = dict(space.named(best["x"][0]))
    return OptimizerDetail(
        **_optimizer(row),
        settings=_plain(json.loads(row["settings"])),
        generator=row["generator"],
        start=dict(space.named(np.array(row["x0"]))),
        verdicts=row["verdicts"],
        best_evaluation=best_evaluation,
        best_parameters=best_parameters,
        units=_units(space),
    )


def optimizer_rows(reader: RunReader, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
    """The table of optimizers row by row, as plain values; text as a terminal may show it, settings as JSON."""
    columns = {
        name: values.tolist() if name == "settings" else _plain(values.tolist())
        for name, values in reader.columns(OPTIMIZERS, start, stop).items()
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    """A JSON value, its text as a terminal may show it."""
    if isinstance(value, dict):
        return {printable(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return list(map(_plain, value))
    return printable(value) if isinstance(value, str) else value


def _elapsed_s(evaluations: Mapping[str, NDArray[Any]]) -> float:
    finished_s = evaluations["finished_s"][np.isfinite(evaluations["finished_s"])]
    if not finished_s.size:  # there is none, or nobody was left to say when any of them ended
        return 0.0
    return float(finished_s.max() - np.nanmin(evaluations["submitted_s"]))


def _best(evaluations: Mapping[str, NDArray[Any]], space: Space) -> BestSummary | None:
    losses = np.where(evaluations["outcome"] == Outcome.OK, evaluations["loss"], np.inf)
    if not losses.size or not np.isfinite(losses.min()):
        return None
    at = int(losses.argmin())
    return BestSummary(
        loss=float(losses[at]),
        optimizer=int(evaluations["optimizer"][at]),
        evaluation=at + 1,
        parameters=dict(space.named(evaluations["x"][at])),
    )


def _on_bounds(
    best: BestSummary | None, evaluations: Mapping[str, NDArray[Any]], space: Space
) -> dict[str, str]:
    if best is None:
        return {}
    x = evaluations["x"][best.evaluation - 1]
    return {parameter.name: side for parameter, side in space.on_bounds(x)}


def _units(space: Space) -> dict[str, str]:
    return {parameter.name: printable(parameter.unit) for parameter in space.parameters}


def _optimizer(row: dict[str, Any]) -> dict[str, Any]:
    has_ended = row["end"] != ""
    return {
        "number": row["number"],
        "type": row["type"],
        "label": row["label"],
        "start_evaluation": row["start_evaluation"],
        "end_evaluation": row["end_evaluation"] if has_ended else None,
        "evaluations": row["evaluations"],
        "end": row["end"] or None,
        "reason": row["reason"],
        "best_loss": row["best_loss"] if math.isfinite(row["best_loss"]) else None,
    }
