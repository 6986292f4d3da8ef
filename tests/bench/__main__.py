"""`make bench`: measure, show one table, write `bench.json`; fails where something is not as wanted."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from flows.reports.report import wide_console
from tests.bench.in_process import in_process
from tests.bench.length import length
from tests.bench.measurement import Measurement
from tests.bench.peers import peers
from tests.bench.pool import pool
from tests.bench.start import start
from tests.bench.steady import steady
from tests.bench.tracked import tracked
from tests.bench.whole_runs import whole_runs
from tests.bench.width import width

BENCHMARKS: dict[str, Callable[[], list[Measurement]]] = {
    each.__name__: each
    for each in (start, in_process, peers, width, length, pool, tracked, whole_runs, steady)
}


def main() -> int:
    """Run the benchmarks that are named, by default all of them."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which; by default all")
    names = parser.parse_args().names or list(BENCHMARKS)
    measurements = [measurement for name in names for measurement in BENCHMARKS[name]()]
    by_name = {each.name: each for each in reversed(measurements)}
    table = Table("what", "measured", "", "compared with", "ratio", "wanted", "")
    rows, is_all_reached = [], True
    for each in measurements:
        ratio = each.value / by_name[each.reference].value if each.reference else None
        is_reached = each.is_reached(each.value if ratio is None else ratio)
        is_all_reached = is_all_reached and is_reached
        rows.append({**each._asdict(), "value": each.value, "ratio": ratio, "is_reached": is_reached})
        table.add_row(
            each.name,
            f"{each.value:,.4g}" if each.value < 1000 else f"{each.value:,.0f}",
            each.unit,
            each.reference,
            "" if ratio is None else f"{ratio:.2f}",
            each.wanted,
            "" if is_reached else "missed",
        )
    wide_console().print(table)
    Path("bench.json").write_text(json.dumps(rows, indent=2) + "\n")
    return 0 if is_all_reached else 1


if __name__ == "__main__":
    sys.exit(main())
