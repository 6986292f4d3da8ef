"""Random numbers that depend on the seed and on what they are for, never on timing.

Each draw has a key (its purpose and numbers such as the optimizer's); its stream is a child of the run's one
`numpy.random.SeedSequence`, so that laziness, or another rule, never shifts it.
"""

from __future__ import annotations

import zlib

import numpy as np


class Streams:
    """The random streams of a run.

    Args:
        seed: The run's seed, not negative.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def stream(self, purpose: str, *numbers: int) -> np.random.Generator:
        """A stream of its own for each purpose (such as `"optimizer"`) and numbers; the same at each call."""
        key = (zlib.crc32(purpose.encode()), *numbers)
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=key))
