"""`make tutorial`: what the tutorial's stoppers buy, at equal numbers of evaluations.

Runs 1 and 2 of the tutorial without the convergence exit, in-process, over many seeds: how often the optimum of
argon was found within 300, 600 and 1,120 evaluations, and how many optimizers were started.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from flows.reports.report import wide_console
from flows.run_files.reading import read_settings
from optim.exit_conditions.max_total_function_calls import MaxTotalFunctionCalls
from optim.in_process import drive
from optim.journal import EvaluationRow, EventRow, ValidationRow
from optim.manager import Manager
from optim.outcome import Outcome
from optim.problems.lj_argon import problem
from optim.session import Session
from optim.strategy import Strategy

EXAMPLES = Path(__file__).parents[2] / "deployments/examples"
RUNS = {"without stoppers (run 1)": "lj_argon_1.toml", "with stoppers (run 2)": "lj_argon_2.toml"}
SEEDS = 60
BUDGETS = (300, 600, 1120)
FOUND = 0.3113
"""A loss below this is the optimum."""


class Seeded(NamedTuple):
    """One run: the evaluation that found the optimum (inf: none did), and the optimizers started."""

    found_at: float
    started: int


class _Watch:
    """A journal that only notes when the optimum was found."""

    def __init__(self) -> None:
        self.evaluations = 0
        self.found_at = float("inf")

    def add_evaluation(self, row: EvaluationRow) -> None:
        self.evaluations += 1
        if row.outcome is Outcome.OK and row.loss < FOUND and self.found_at == float("inf"):
            self.found_at = self.evaluations

    def add_validation(self, row: ValidationRow) -> None:
        pass

    def add_event(self, row: EventRow) -> None:
        pass


def run(strategy: Strategy, seed: int) -> Seeded:
    """One run of argon to the end of its budget."""
    watch = _Watch()
    session = Session(Manager(strategy, problem.space, seed), watch, lambda: 0.0)
    session.begin("comparison at equal evaluations")
    drive(session, problem.loss)
    return Seeded(watch.found_at, session.manager.run.started)


def main(seeds: int) -> None:
    """Compare, and print the table."""
    table = Table("", *(f"optimum within {budget}" for budget in BUDGETS), "optimizers started")
    started = {}
    for title, name in RUNS.items():
        strategy = read_settings(EXAMPLES / name)[1].model_copy(
            update={"exit_conditions": (MaxTotalFunctionCalls(max=BUDGETS[-1]),)}
        )
        runs = [run(strategy, seed) for seed in range(seeds)]
        started[title] = sum(each.started for each in runs) / seeds
        hits = [sum(each.found_at <= budget for each in runs) / seeds for budget in BUDGETS]
        table.add_row(title, *(f"{hit:.2f}" for hit in hits), f"{started[title]:.1f}")
    without, with_stoppers = started.values()
    wide_console().print(table)
    wide_console().print(f"{seeds} seeds; with stoppers {with_stoppers / without:.2f} times the starts")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
