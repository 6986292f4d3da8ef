"""Waiting for what other processes do."""

import time
from collections.abc import Callable

PATIENCE_S = 240.0


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    given_up_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < given_up_s
        time.sleep(0.1)
