"""What a run's store and the notes of its loss say after a kill, compared with what they said before."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.errors import StoreError
from optim.journal import EventKind
from optim.outcome import Outcome
from optim.store import RunReader, open_run
from optim.store.layout import EVALUATIONS, EVENTS, GROUPS, OPTIMIZERS, VALIDATIONS, Group
from tests.torture.place import Place
from tests.torture.tally import Tally

FLUSH_S = 1.0
"""The default of the setting, which these runs use."""
_TIMES = ("submitted_s", "started_s", "finished_s", "worker")

Columns = dict[str, NDArray[Any]]


class Witness:
    """Knows what the store of one run held when it last looked.

    Args:
        place: Where the run is.
        name: Of the run.
        tally: Told of faults.
    """

    def __init__(self, place: Place, name: str, tally: Tally) -> None:
        self.name = name
        self.store = place.run_folder(name).store
        self._calls = place.calls(name)
        self._tally = tally
        self._known: dict[str, Columns] = {}
        self._noted = 0
        self._dead: set[int] = set()

    @property
    def evaluations(self) -> int:
        """How many are committed; 0: the store cannot be opened yet."""
        try:
            return open_run(self.store).size(EVALUATIONS)
        except StoreError:
            return 0

    def session_begins(self) -> None:
        """From here on the loss's notes belong to the session that starts now."""
        self._noted = len(notes(self._calls))

    def worker_died(self, pid: int) -> None:
        """What it had done, but not handed over, was not finished: others do it again."""
        self._dead.add(pid)

    def look(self, killed_at: float | None = None) -> None:
        """Compare.

        Args:
            killed_at: When the run was killed, seconds since the epoch; None: it was not.
        """
        if not (self.store / "zarr.json").exists():
            self._tally.expect(not self._known, f"{self.name}: the store is gone")
            return
        reader = open_run(self.store)
        present = {group.name: reader.columns(group) for group in (EVALUATIONS, VALIDATIONS, EVENTS)}
        for name, columns in self._known.items():
            changed = [c for c, values in columns.items() if not _starts_with(present[name][c], values)]
            self._tally.expect(not changed, f"{self.name}: rows of {name} are lost or changed: {changed}")
        for fault in journal_faults(reader):
            self._tally.expect(False, f"{self.name}: {fault}")
        self._known = present
        if killed_at is not None:
            self._note_lost(present[EVALUATIONS.name]["x"], killed_at)

    def _note_lost(self, x: NDArray[np.float64], killed_at: float) -> None:
        committed = {row.tobytes().hex() for row in x}
        session = notes(self._calls)[self._noted :]
        lost = [note.at for note in session if note.point not in committed and note.pid not in self._dead]
        if lost:
            lost_s = killed_at - min(lost)
            self._tally.repeated += len(lost)
            self._tally.lost_s = max(self._tally.lost_s, lost_s)
            # A commit takes a moment, too; and everything takes longer where processes queue for processors.
            slack_s = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            self._tally.expect(
                lost_s < FLUSH_S + slack_s,
                f"{self.name}: an evaluation that ended {lost_s:.1f} s ago is lost",
            )


class Note(NamedTuple):
    """What the loss wrote of one call.

    Attributes:
        at: When it was done, seconds since the epoch.
        pid: Of the process.
        point: Its bytes.
    """

    at: float
    pid: int
    point: str


def notes(calls: Path) -> list[Note]:
    """Of every call of the loss, in order."""
    if not calls.exists():
        return []
    lines = (line.split() for line in calls.read_text().splitlines())
    return [Note(float(at), int(pid), point) for at, pid, point in lines]


def journal_faults(reader: RunReader) -> list[str]:
    """What is wrong with a run by itself."""
    faults = []
    sequences = [row.sequence for row in reader.journal()]
    if sequences != list(range(len(sequences))):
        faults.append("the inputs of the manager are not numbered 0, 1, 2, ...")
    evaluations, optimizers = reader.columns(EVALUATIONS), reader.columns(OPTIMIZERS)
    pairs = Counter(zip(evaluations["optimizer"].tolist(), evaluations["call"].tolist(), strict=True))
    if twice := [pair for pair, count in pairs.items() if count > 1]:
        faults.append(f"counted twice: {twice[:5]}")
    if (evaluations["outcome"] < 0).any() or (evaluations["sequence"] < 0).any():
        faults.append("a row of the evaluations is torn")
    counted = Counter(evaluations["optimizer"].tolist())
    told = dict(zip(optimizers["number"].tolist(), optimizers["evaluations"].tolist(), strict=True))
    if any(counted[number] != count for number, count in told.items()):
        faults.append("the optimizers' evaluations do not add up")
    return faults


def differences(one: RunReader, other: RunReader) -> list[str]:
    """How two runs differ that should be the same, bit for bit, times and sessions aside."""
    found = []
    for group in GROUPS:
        ours, theirs = _timeless(one, group), _timeless(other, group)
        found += [f"{group.name}/{name}" for name in ours if not _equal(ours[name], theirs[name])]
    return found


def end_faults(place: Place, name: str, budget: int) -> list[str]:
    """What is wrong with the end of a run that was to use a budget up."""
    reader = open_run(place.run_folder(name).store)
    faults = []
    if (status := reader.attributes["status"]) != "finished":
        faults.append(f"{name} is {status}: {reader.attributes['reason']}")
    if (evaluations := reader.size(EVALUATIONS)) != budget:
        faults.append(f"{name} has {evaluations} evaluations of {budget}")
    outcomes = Counter(reader.columns(EVALUATIONS)["outcome"].tolist())
    if not set(outcomes) <= {int(Outcome.OK), int(Outcome.CONSTRAINT)}:
        faults.append(f"{name} has outcomes {dict(outcomes)}, and its loss never fails")
    return faults


def _timeless(reader: RunReader, group: Group) -> Columns:
    columns = {name: values for name, values in reader.columns(group).items() if name not in _TIMES}
    if group is EVENTS:
        is_kept = columns["kind"] != EventKind.SESSION_START
        columns = {name: values[is_kept] for name, values in columns.items()}
    columns.pop("sequence", None)  # each session's start takes one
    return columns


def _starts_with(values: NDArray[Any], first: NDArray[Any]) -> bool:
    return len(values) >= len(first) and _equal(values[: len(first)], first)


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype == object:
        return bool(np.array_equal(one, other))
    return one.shape == other.shape and one.tobytes() == other.tobytes()  # nan is nan
