"""A short run that really happened, with words in it that Markdown and HTML would take for their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import shoal
from optim.store import RunFolder

NAMES = ("a|b", "<b>c*d</b>")


def loss(x: NDArray[np.float64]) -> float:
    return float(((x - 0.25) ** 2).sum())


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """Run it: `run(name, exit_conditions=..., ...)` gives its folder."""
    location = tmp_path_factory.mktemp("runs")

    def ran(name: str, **settings: Any) -> RunFolder:
        parameters = [shoal.Parameter(name=each, initial=0.5, lower=0.0, upper=1.0) for each in NAMES]
        shoal.run(
            shoal.Problem(loss, parameters),
            name=name,
            **{
                "seed": 3,
                "parallel_optimizers": 2,
                "optimizers": [{"type": "Scipy"}],
                "generator": {"type": "Random"},
                "exit_conditions": [{"type": "MaxTotalFunctionCalls", "max": 60}],
                "store": {"location": str(location)},
                **settings,
            },
        )
        return RunFolder(Path(location, name))

    return ran
