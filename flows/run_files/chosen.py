"""The plain fields of the form, as overrides of a run file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.run_files.overrides import override
from flows.run_files.reading import parse

BUDGET = "MaxTotalFunctionCalls"
COMBINATION = "exit_condition_boolean_combination"


def chosen(
    run_file: str,
    overrides: Sequence[str],
    *,
    seed: int | None = None,
    workers: int | None = None,
    max_evaluations: int | None = None,
) -> list[str]:
    """What was chosen, as `key=value`; see `flows.run_files.overrides`.

    Args:
        run_file: Its path; empty: there is none, and `read_settings` is not called either.
        overrides: Come first.
        seed: Of all random numbers.
        workers: Local Dask workers.
        max_evaluations: In place of the budget that the run file has; or else besides its exit conditions.

    Raises:
        InvalidSettingsError: The run file cannot be read.
    """
    fields = {"seed": seed, "cluster.workers": workers}
    texts = [*overrides, *(f"{key}={value}" for key, value in fields.items() if value is not None)]
    if max_evaluations is None:
        return texts
    given: dict[str, Any] = {}
    if run_file:
        file = parse(Path(run_file))
        override(file.given, file.places, overrides)  # what is wrong with them is said with everything else
        given = file.given
    return [*texts, *_budget(given, max_evaluations)]


def _budget(given: dict[str, Any], most: int) -> Iterator[str]:
    key = "exit_conditions" if "exit_conditions" in given else "exit_condition"
    blocks = given.get(key, [])
    numbered = list(enumerate(blocks, start=1)) if isinstance(blocks, list) else []
    budgets = [
        number for number, block in numbered if isinstance(block, dict) and block.get("type") == BUDGET
    ]
    if budgets:
        yield from (f"{key}.{number}.max={most}" for number in budgets)
        return
    yield f"{key}.{len(numbered) + 1}={{type='{BUDGET}', max={most}}}"
    if combination := given.get(COMBINATION):
        yield f"{COMBINATION}='({combination}) | {len(numbered) + 1}'"
