"""Runs to draw, written row by row; none of them was ever run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.pictures.reading import Picture, read_picture
from optim.journal import EvaluationRow, EventKind, EventRow, ValidationRow
from optim.outcome import Outcome
from optim.space import Parameter
from optim.store import RunFolder, RunWriter, open_run

PARAMETERS = (
    Parameter(name="eps", initial=1e-3, lower=1e-5, upper=1.0, scale="log", unit="hartree"),
    Parameter(name="fixed", initial=2.0, active=False),
    Parameter(name="rmin", initial=3.0, lower=1.0, upper=5.0),
)
ENDS = (
    EventKind.CONVERGED,
    EventKind.STOPPED,
    EventKind.EXIT,
    EventKind.GAVE_UP,
    EventKind.CRASHED,
    EventKind.BY_HAND,
    None,
)
"""How optimizers 1 to 7 of `rich` end; None: not at all."""
REASONS = {2: "MaxInteroptimizerDistance: at a distance of 0.0127 from optimizer 1, at most 0.0141"}
CALLS = 40


class Author:
    """Writes one run: `spawn`, `evaluate` and so on, in the order in which things happened."""

    def __init__(self, writer: RunWriter, parameters: Sequence[Parameter]) -> None:
        self.writer = writer
        self._x0 = [parameter.initial for parameter in parameters]
        self._calls: dict[int, int] = {}
        self.evaluations = 0
        self._sequence = 0

    def event(self, kind: EventKind, optimizer: int = -1, text: str = "", **data: Any) -> None:
        self._sequence += 1
        written = json.dumps(data) if data else ""
        self.writer.add_event(EventRow(self._sequence, self.evaluations, kind, optimizer, -1, text, written))

    def spawn(self, optimizer: int, label: str = "Nelder-Mead") -> None:
        self.event(
            EventKind.SPAWN,
            optimizer,
            "starts",
            type="Scipy",
            label=label,
            settings={},
            generator="Random",
            x0=self._x0,
        )

    def evaluate(self, optimizer: int, loss: float, x: Sequence[float] | None = None) -> int:
        self._sequence += 1
        self.evaluations += 1
        call = self._calls[optimizer] = self._calls.get(optimizer, 0) + 1
        outcome = Outcome.OK if math.isfinite(loss) else Outcome.EXCEPTION
        at_s = float(self.evaluations)
        point = np.array(self._x0 if x is None else x, dtype=np.float64)
        self.writer.add_evaluation(
            EvaluationRow(
                self._sequence,
                optimizer,
                call,
                call,
                point,
                loss,
                outcome,
                False,
                False,
                1,
                at_s,
                at_s,
                at_s,
                "here",
            )
        )
        return self.evaluations

    def validate(self, optimizer: int, evaluation: int, loss: float) -> None:
        self._sequence += 1
        outcome = Outcome.OK if math.isfinite(loss) else Outcome.EXCEPTION
        self.writer.add_validation(
            ValidationRow(self._sequence, optimizer, 1, evaluation, loss, outcome, 1, 0.0, 0.0, 1.0, "here")
        )


@pytest.fixture(scope="session")
def location(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all runs of these tests are."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def write(location: Path) -> Callable[..., Path]:
    """Write a run: `write(name, story, parameters=..., **attributes)` gives its folder; `story` is told an `Author`."""

    def written(
        name: str,
        story: Callable[[Author], None] = lambda author: None,
        parameters: Sequence[Parameter] = PARAMETERS,
        **attributes: Any,
    ) -> Path:
        folder = RunFolder.create(location, b"", name=name)
        known = {"status": "finished", "reason": "", "problem": "bowl", "seed": 7, "settings": {}}
        with RunWriter.create(folder.store, parameters, {**known, **attributes}) as writer:
            story(Author(writer, parameters))
        return folder.path

    return written


def rich(author: Author) -> None:
    """Seven optimizers of two types, each with another end; optimizer 3 has gaps, and there is everything else."""
    author.event(EventKind.SESSION_START, text="host a")
    author.evaluate(0, 500.0)
    for number in range(1, 8):
        author.spawn(number, "CMAES" if number > 4 else "Nelder-Mead")
    for call in range(CALLS):
        for number in range(1, 8):
            loss = number * 1000.0 ** (1 - call / CALLS)
            if number == 3 and call % 10 == 5:
                loss = math.nan
            evaluation = author.evaluate(
                number, loss, [10 ** (-number / 2), 2.0, 1 + number / 2 + call / 200]
            )
            if number == 1 and call % 10 == 0:
                author.validate(1, evaluation, 2 * loss)
        if call == 20:
            author.event(EventKind.SESSION_START, text="host b")
        if call == 30:
            author.event(EventKind.INTERVENTION, text="somebody: stop optimizer 6")
    for number, end in enumerate(ENDS, start=1):
        if end is not None:
            author.event(end, number, REASONS.get(number, f"because of {end}"))


@pytest.fixture(scope="session")
def rich_run(write: Callable[..., Path]) -> Path:
    return write("rich", rich, status="paused", reason="walltime")


@pytest.fixture(scope="session")
def rich_picture(rich_run: Path) -> Picture:
    return read_picture("rich", open_run(rich_run / "run.zarr"))
