"""What the artifacts of a run say.

Invariants: there is one of each kind, and a report only at the end; progress follows the combination of the exit
conditions; what people wrote is text, never Markdown or HTML; pictures are whole PNG files; a run without evaluations
has all of them.
"""

from __future__ import annotations

import json
from base64 import b64decode

import pytest

from flows.dashboard.artifacts import Conditions, contents, key_of
from flows.reports.snapshot import ConditionRow
from optim.progress import Progress
from optim.store import open_run

BUDGET = ConditionRow("MaxTotalFunctionCalls(fmax=80)", Progress(60, 80, "evaluations"))
CONVERGED = ConditionRow("MaxOptimizersConverged(nconv=10)", Progress(1, 10))
SILENT = ConditionRow("Unknown()", None)
PNG = b"\x89PNG\r\n\x1a\n"
PICTURE = "![Losses](data:image/png;base64,"


@pytest.fixture(scope="module")
def finished(run):
    return "short", open_run(run("short").store)


@pytest.fixture(scope="module")
def paused(run):
    """Nothing of it was evaluated."""
    folder = run("paused", baseline=False, exit_conditions=[{"type": "TimeLimit", "seconds": 1e-9}])
    return "paused", open_run(folder.store)


@pytest.fixture(scope="module")
def report(finished):
    return contents(*finished, Conditions((BUDGET,), None), has_ended=True)["report"].data


def test_a_run_that_goes_on_has_no_report_yet(finished):
    found = contents(*finished, Conditions((BUDGET,), None))
    assert {about: content.kind for about, content in found.items()} == {
        "progress": "progress",
        "exit-conditions": "markdown",
        "optimizers": "table",
        "losses": "markdown",
    }


@pytest.mark.parametrize(
    ("rows", "combination", "percent"),
    [
        ((BUDGET, CONVERGED), None, 75.0),
        ((BUDGET, CONVERGED), "1 & 2", 10.0),
        ((BUDGET, SILENT), None, 75.0),
        ((SILENT,), None, 0.0),
    ],
)
def test_progress_is_that_of_the_combination(paused, rows, combination, percent):
    assert contents(*paused, Conditions(rows, combination))["progress"].data == percent


def test_what_is_finished_is_done_whatever_the_conditions_say(finished):
    assert contents(*finished, Conditions((CONVERGED,), None))["progress"].data == 100.0


def test_each_condition_says_how_far_it_is(paused):
    markdown = contents(*paused, Conditions((BUDGET, SILENT), "1 | 2"))["exit-conditions"].data
    assert "| MaxTotalFunctionCalls\\(fmax=80\\) | 60 / 80 | 75% |" in markdown
    assert "| Unknown\\(\\) |  |  |" in markdown
    assert "`1 | 2`" in markdown


def test_optimizers_are_rows_the_latest_first(finished):
    rows = json.loads(contents(*finished, Conditions((), None))["optimizers"].data)
    assert [row["#"] for row in rows] == sorted((row["#"] for row in rows), reverse=True)
    assert {row["optimizer"] for row in rows} == {"Nelder-Mead"}
    assert {"exit"} <= {row["how"] for row in rows}


def test_losses_are_a_picture(finished):
    markdown = contents(*finished, Conditions((), None))["losses"].data
    assert markdown.startswith(PICTURE)
    assert b64decode(markdown.removeprefix(PICTURE).removesuffix(")"), validate=True).startswith(PNG)


def test_the_report_has_all_that_people_ask_for(report):
    assert report.startswith("# short finished\n")
    for part in ("## Best, at evaluation", PICTURE, "## Exit conditions", "## What was found", "Seed 3;"):
        assert part in report


def test_names_of_people_are_text(report):
    assert "| a\\|b | 0.2" in report
    assert "\\<b\\>c\\*d\\</b\\>" in report


def test_a_run_without_evaluations_has_all_of_them(paused):
    found = contents(*paused, Conditions((CONVERGED,), None), has_ended=True)
    assert "no finite loss yet" in found["progress"].description
    assert json.loads(found["optimizers"].data)
    assert "## Best" not in found["report"].data


def test_keys_are_what_prefect_allows():
    assert key_of("Fit_3.b", "losses") == "shoal-fit-3-b-losses"
    assert key_of("___", "losses") == "shoal-losses"
