"""What a run has come to, read from its store: the object that `shoal show --json` prints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict

from optim.outcome import Outcome
from optim.store import RunReader


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


class RunSummary(BaseModel):
    """A run; null where there is nothing yet, or no finite number."""

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


def summarize(name: str, reader: RunReader) -> RunSummary:
    """Read a run's summary; works while it is being written."""
    attributes = reader.attributes
    evaluations = reader.evaluations()
    parameters = [str(parameter) for parameter in evaluations["parameter"].values]
    units = [str(unit) for unit in evaluations["unit"].values]
    return RunSummary(
        name=name,
        status=attributes["status"],
        reason=attributes.get("reason", ""),
        problem=attributes["problem"],
        seed=attributes["seed"],
        evaluations=evaluations.sizes["evaluation"],
        failures=int((evaluations["outcome"] != Outcome.OK).sum()),
        elapsed_s=_elapsed_s(evaluations),
        best=_best(evaluations, parameters),
        exit_conditions=attributes.get("exit_conditions", ""),
        optimizers=[_optimizer(row) for row in _rows(reader.optimizers())],
        units=dict(zip(parameters, units, strict=True)),
    )


def _elapsed_s(evaluations: xr.Dataset) -> float:
    if not evaluations.sizes["evaluation"]:
        return 0.0
    return float(np.nanmax(evaluations["finished_s"]) - np.nanmin(evaluations["submitted_s"]))


def _best(evaluations: xr.Dataset, parameters: list[str]) -> BestSummary | None:
    losses = np.where(evaluations["outcome"] == Outcome.OK, evaluations["loss"], np.inf)
    if not losses.size or not np.isfinite(losses.min()):
        return None
    at = int(losses.argmin())
    return BestSummary(
        loss=float(losses[at]),
        optimizer=int(evaluations["optimizer"][at]),
        evaluation=at + 1,
        parameters=dict(zip(parameters, map(float, evaluations["x"].values[at]), strict=True)),
    )


def _rows(optimizers: xr.Dataset) -> list[dict[str, Any]]:
    columns = {
        str(name): variable.values.tolist()
        for name, variable in optimizers.variables.items()
        if variable.dims == ("optimizer",)
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _optimizer(row: dict[str, Any]) -> OptimizerSummary:
    has_ended = row["end"] != ""
    return OptimizerSummary(
        number=row["number"],
        type=row["type"],
        label=row["label"],
        start_evaluation=row["start_evaluation"],
        end_evaluation=row["end_evaluation"] if has_ended else None,
        evaluations=row["evaluations"],
        end=row["end"] or None,
        reason=row["reason"],
        best_loss=row["best_loss"] if math.isfinite(row["best_loss"]) else None,
    )
