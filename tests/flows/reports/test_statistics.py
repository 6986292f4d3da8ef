"""What the optimizers of a run found together, and how `shoal show` says it.

Invariants: each optimizer with a finite best is in exactly one minimum, those that are alive too; hits are counted
against all that were started with that label; what stoppers saved is never below zero and never guessed; a best value
on a bound is a warning; one optimizer can be shown with everything there is to know.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xarray as xr
from click import BadParameter
from click.testing import CliRunner
from rich.console import Console, Group

import shoal as face
from flows.cli import shoal
from flows.reports.findings import findings
from flows.reports.statistics import find_minima, summarize_validations, what_stoppers_saved
from flows.reports.summary import BestSummary, OptimizerSummary, RunSummary
from optim.outcome import Outcome
from optim.space import Parameter, Space

SPACE = Space([Parameter(name=name, initial=1.0, lower=0.0, upper=10.0) for name in ("a", "b")])
POINTS = np.array([[1.0, 1.0], [1.01, 1.0], [8.0, 8.0], [1.0, 1.02], [10.0, 0.0]])


def row(number, label, end, calls, best_loss, best_evaluation=-1):
    return {
        "number": number,
        "label": label,
        "end": end,
        "evaluations": calls,
        "best_loss": best_loss,
        "best_evaluation": best_evaluation,
    }


ROWS = [
    row(1, "Nelder-Mead", "converged", 120, 0.5, 2),
    row(2, "CMAES", "", 40, 0.499, 1),
    row(3, "Nelder-Mead", "stopped", 20, 3.0, 3),
    row(4, "Nelder-Mead", "exit", 7, math.nan),
    row(5, "CMAES", "stopped", 60, 0.9, 4),
]


def summary(rows, points=POINTS, **changes):
    optimizers = [
        OptimizerSummary(
            number=row["number"],
            type="Scipy",
            label=row["label"],
            start_evaluation=0,
            end_evaluation=None,
            evaluations=row["evaluations"],
            end=row["end"] or None,
            reason="",
            best_loss=None,
        )
        for row in rows
    ]
    best = BestSummary(loss=0.499, optimizer=2, evaluation=1, parameters={"a": 10.0, "b": 0.0})
    given = {
        "name": "x",
        "status": "finished",
        "reason": "",
        "problem": "bowl",
        "seed": 1,
        "evaluations": 5,
        "failures": 0,
        "elapsed_s": 1.0,
        "best": best,
        "exit_conditions": "",
        "optimizers": optimizers,
        "units": {"a": "", "b": ""},
        "on_bounds": {},
        "minima": find_minima(rows, points, SPACE),
        "stoppers": what_stoppers_saved(rows),
        "validation": None,
    }
    return RunSummary(**given | changes)


def said(summary):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(Group(*findings(summary)))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_optimizers_in_one_minimum_are_counted_by_label():
    lowest, *others = find_minima(ROWS, POINTS, SPACE)
    assert (lowest.loss, lowest.optimizer, lowest.evaluation) == (0.499, 2, 1)
    assert lowest.parameters == {"a": 1.0, "b": 1.0}
    assert (lowest.hits, lowest.alive, lowest.optimizers) == (2, 1, [1, 2])
    assert lowest.hits_by_label == {"CMAES": 1, "Nelder-Mead": 1}
    # 5 is as near as 1, but not as low; 4 has found nothing
    assert [minimum.optimizers for minimum in others] == [[5], [3]]


def test_the_report_says_who_found_the_best_minimum():
    lines = said(summary(ROWS))
    assert "Of 3 Nelder-Mead, 1 found the best minimum; of 2 CMAES, 1 did." in lines
    assert any("CMAES 1 of 2, Nelder-Mead 1 of 3  1, 2        a=1, b=1" in line for line in lines)
    lines = said(summary([ROWS[1], ROWS[2]]))
    assert "Of 1 CMAES, 1 found the best minimum; of 1 Nelder-Mead, none did." in lines


def test_only_the_first_minima_are_listed():
    points = np.array([[place / 2, place / 2] for place in range(13)])
    rows = [row(place + 1, "CMAES", "exit", 1, float(place), place + 1) for place in range(13)]
    lines = said(summary(rows, points))
    assert "... and 3 more" in lines
    assert lines[-1] == "Of 13 CMAES, 1 found the best minimum."


def test_what_stoppers_saved_is_said_with_its_numbers_by_label():
    rows = [row(place, "Nelder-Mead", "stopped", 21, math.nan) for place in range(84)]
    rows += [row(place, "Nelder-Mead", "converged", 118, math.nan) for place in range(5)]
    rows += [row(0, "CMAES", "stopped", 300, math.nan), row(0, "CMAES", "gave up", 200, math.nan)]
    rows += [row(0, "Sobol", "stopped", 10, math.nan)]
    saved = what_stoppers_saved(rows)
    assert (saved.evaluations_saved, saved.not_compared) == (84 * 97 - 100, 1)
    assert said(summary(rows)) == [
        "Stoppers ended 84 Nelder-Mead after 21 calls on average; the 5 that ended by themselves took 118:"
        " about 8,100 evaluations saved.",
        "Stoppers ended 1 CMAES after 300 calls on average; the 1 that ended by itself took 200: nothing saved.",
        "In all, stoppers saved about 8,000 evaluations.",
        "1 more were stopped, of labels of which none ended by itself: what that saved is not known.",
    ]


def test_stoppers_that_cost_more_than_they_saved_saved_nothing():
    rows = [row(1, "CMAES", "stopped", 300, math.nan), row(2, "CMAES", "converged", 200, math.nan)]
    assert what_stoppers_saved(rows).evaluations_saved == 0


def test_without_both_kinds_of_end_nothing_is_said():
    for rows in ([], ROWS[:2], [row(1, "CMAES", "stopped", 5, math.nan)]):
        assert what_stoppers_saved(rows).evaluations_saved is None
        assert not [line for line in said(summary(rows)) if "topped" in line]


def test_the_best_validation_and_that_of_the_best_evaluation_are_told():
    outcomes = [Outcome.OK, Outcome.OK, Outcome.EXCEPTION, Outcome.OK]
    validations = xr.Dataset(
        {
            "evaluation": ("validation", [1, 3, 4, 6]),
            "loss": ("validation", [5.0, 4.0, 1.0, math.nan]),
            "outcome": ("validation", [int(outcome) for outcome in outcomes]),
        }
    )
    found = summarize_validations(validations, best_evaluation=1)
    assert found is not None
    assert (found.best_loss, found.best_evaluation, found.loss_at_best_evaluation) == (4.0, 3, 5.0)
    text = "Best validation loss 4, at evaluation 3; that of the best evaluation is 5"
    assert said(summary([], validation=found)) == [text]
    found = summarize_validations(validations, best_evaluation=6)
    assert found is not None
    assert found.loss_at_best_evaluation is None
    assert summarize_validations(validations.isel(validation=[]), 1) is None


def test_a_best_value_on_a_bound_is_a_warning():
    lines = said(summary([], on_bounds={"a": "upper"}))
    assert lines == ["Warning: a = 10 lies on its upper bound"]


@pytest.fixture
def sloping_run(tmp_path, monkeypatch):
    """A run, in this process, whose minimum lies on a bound."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHOAL_LOCATION", raising=False)
    problem = face.Problem(lambda x: float(x[0] + (x[1] - 5) ** 2), SPACE.parameters, name="slope")
    return face.run(
        problem,
        seed=1,
        parallel_optimizers=2,
        optimizers=[face.Scipy(label="simplex"), face.CMAES()],
        generator=face.Random(),
        stoppers=[face.MaxFunctionCalls(max=60)],
        apply_stoppers_to_best_optimizer=True,
        exit_conditions=[face.MaxTotalFunctionCalls(max=200)],
        name="x",
    )


def call(*words):
    return (
        CliRunner()
        .invoke(shoal, ["show", "x", *map(str, words)], standalone_mode=False, catch_exceptions=False)
        .stdout
    )


def test_a_run_and_its_optimizers_are_shown_with_all_of_it(sloping_run):
    assert sloping_run.on_bounds == {"a": "lower"}
    shown = json.loads(call("--json"))
    assert shown["on_bounds"] == {"a": "lower"}
    assert shown["minima"][0]["loss"] == min(one["best_loss"] for one in shown["optimizers"])
    assert sum(minimum["hits"] for minimum in shown["minima"]) == len(shown["optimizers"])
    text = call()
    assert "Warning: a = " in text
    assert "found the best minimum" in text
    assert "Scipy  simplex" in text
    detail = json.loads(call("--optimizer", 1, "--json"))
    assert detail.items() >= shown["optimizers"][0].items()
    assert detail["settings"]["algorithm"] == "Nelder-Mead"
    assert detail["start"].keys() == detail["best_parameters"].keys() == {"a", "b"}
    text = call("--optimizer", 1)
    assert text.startswith("Optimizer 1: Scipy (simplex)\n")
    stopped = next(one["number"] for one in shown["optimizers"] if one["end"] == "stopped")
    assert "Stoppers:\n    MaxFunctionCalls(max=60) = True" in call("--optimizer", stopped)
    with pytest.raises(BadParameter, match="there is no optimizer 99; the run has 1 to"):
        call("--optimizer", 99)
