"""`make torture`: kill, resume, compare; show one table; fails where something was lost, repeated or left behind."""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
from pathlib import Path

from rich.table import Table

from flows.reports.report import wide_console
from tests.torture.full_disk import torture_full_disk
from tests.torture.in_process import torture_in_process
from tests.torture.on_dask import torture_on_dask
from tests.torture.tally import Tally

KILLS = 200
ON_DASK = 0.15
"""How many of the kills are of flows on Dask, which take half a minute each."""


def main() -> int:
    """Torture; 0: nothing was found."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="how many at least")
    parser.add_argument("--on-dask", type=int, help=f"how many of them on Dask  [default: {ON_DASK:.0%}%]")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of moments and victims")
    given = parser.parse_args()
    on_dask = round(given.kills * ON_DASK) if given.on_dask is None else given.on_dask
    tally = Tally()
    tally.say(f"{given.kills} kills, seed {given.seed}")
    with tempfile.TemporaryDirectory(prefix="shoal-torture-", ignore_cleanup_errors=True) as folder:
        part = random.Random(
            given.seed
        ).getrandbits  # each part draws on its own: chance in one shifts no other
        torture_full_disk(Path(folder, "full-disk"), random.Random(part(32)), tally)
        torture_on_dask(Path(folder, "on-dask"), on_dask, random.Random(part(32)), tally)
        left = given.kills - tally.kills.total()
        torture_in_process(Path(folder, "in-process"), left, random.Random(part(32)), tally)
    _show(tally, given.seed)
    return 1 if tally.faults else 0


def _show(tally: Tally, seed: int) -> None:
    table = Table("killed, or tried", "times")
    for name, count in tally.kills.most_common():
        table.add_row(name, str(count))
    table.add_row("all kills", str(tally.kills.total()), end_section=True)
    for name, count in tally.checks.most_common():
        table.add_row(name, str(count))
    console = wide_console()
    console.print(table)
    console.print(
        f"{tally.repeated} finished evaluations were made again, the oldest {tally.lost_s:.2f} s old at the kill."
    )
    for fault in tally.faults:
        console.print(f"FAULT: {fault}", markup=False)
    console.print(f"{len(tally.faults) or 'No'} faults; seed {seed}.")


if __name__ == "__main__":
    sys.exit(main())
