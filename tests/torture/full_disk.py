"""A disk that is full in the middle of a run: a clear error, and with room again the run goes on."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optim.store import open_run
from tests.torture.evidence import Witness, differences, end_faults
from tests.torture.in_process import PAUSE_S, write_run_file
from tests.torture.place import PATIENCE_S, Place
from tests.torture.tally import Tally

SIZE = 4 * 2**20
BUDGET = 1500


def torture_full_disk(folder: Path, random_numbers: random.Random, tally: Tally) -> None:
    """Fill the disk of a run, see its error, make room and resume; without the right to mount one, say so.

    Args:
        folder: For all files.
        random_numbers: The run's seed is drawn from it.
        tally: Counts.
    """
    place = Place(folder)
    name, twin = "full", "twin"
    run_file = write_run_file(place, 1, BUDGET, random_numbers)
    disk = folder / "runs"
    try:
        with _small_disk(disk):
            job = place.start("run", run_file, "--local", "--name", twin, name=twin, forked=True)
            tally.expect(job.ended(PATIENCE_S) == 0, f"{twin} did not end well: {job.said[-500:]}")
            witness = Witness(place, name, tally)
            job = place.start(
                "run", run_file, "--local", "--name", name, name=name, pause_s=PAUSE_S, forked=True
            )
            while job.ended(0.05) is None and not witness.evaluations:
                pass
            ballast = _fill(disk)
            code = job.ended(PATIENCE_S)
            is_clear = code == 1 and "No space left on device" in job.said and "Traceback" not in job.said
            tally.expect(is_clear, f"on a full disk it ended with code {code}: {job.said[-1500:]}")
            witness.look()
            ballast.unlink()
            job = place.start("resume", name, name=name, forked=True)
            code = job.ended(PATIENCE_S)
            tally.expect(code == 0, f"with room again, resume ended with code {code}: {job.said[-1500:]}")
            witness.look()
            faults = end_faults(place, name, BUDGET)
            one, other = (open_run(place.run_folder(run).store) for run in (name, twin))
            if different := differences(one, other):
                faults.append(f"{name} is not what {twin} is: {different}")
            for fault in faults:
                tally.expect(False, fault)
            tally.checks["full disk survived"] += not faults and is_clear
    except PermissionError as error:
        tally.checks[f"full disk: skipped ({error})"] += 1


@contextmanager
def _small_disk(path: Path) -> Iterator[None]:
    """A file system of a few megabytes.

    Raises:
        PermissionError: Nobody lets us mount one.
    """
    if os.geteuid() != 0:
        raise PermissionError("only root can mount a small disk")
    path.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise PermissionError(mounted.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _fill(disk: Path) -> Path:
    """Leave no room at all; gives the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast
