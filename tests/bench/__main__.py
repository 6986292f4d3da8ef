"""`make bench`: measure, show one table, write `bench.json`; fails where less is reached than wanted."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from flows.reports.report import wide_console
from tests.bench.chunked import chunked
from tests.bench.in_process import in_process
from tests.bench.measurement import Measurement
from tests.bench.pool import pool
from tests.bench.tracked import tracked

BENCHMARKS: tuple[Callable[[], list[Measurement]], ...] = (in_process, pool, tracked, chunked)


def main() -> int:
    """Run every benchmark."""
    measurements = [measurement for benchmark in BENCHMARKS for measurement in benchmark()]
    rates = {m.name: statistics.median(m.rates) for m in measurements}
    table = Table("what", "per second", "compared with", "ratio", "wanted")
    rows, reached = [], True
    for m in measurements:
        ratio = rates[m.name] / rates[m.reference] if m.reference else None
        reached = reached and (ratio is None or m.wanted is None or ratio >= m.wanted)
        rows.append({**m._asdict(), "rate": rates[m.name], "ratio": ratio})
        table.add_row(
            m.name,
            f"{rates[m.name]:.1f}",
            m.reference,
            "" if ratio is None else f"{ratio:.2f}",
            "" if m.wanted is None else f">= {m.wanted:g}",
        )
    wide_console().print(table)
    Path("bench.json").write_text(json.dumps(rows, indent=2) + "\n")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
