"""A template: put what you want to minimize into `loss`, and keep this file beside its run file."""

from __future__ import annotations

import numpy as np

REFERENCE = {0.0: 1.00, 1.0: 0.61, 2.0: 0.37, 3.0: 0.22, 4.0: 0.14}
"""What a simulation should reproduce: here, a signal that was measured at some times (ns)."""


def loss(x: np.ndarray) -> float:
    """How far the model is from the reference: the lower, the better.

    Args:
        x: Physical values, in the order of the parameters of the run file.

    Returns:
        One number. What it raises instead, or a number that is not finite, is recorded as a failure of this point,
        and the run goes on.
    """
    amplitude, rate = x
    times, measured = np.array([*REFERENCE.items()]).T
    return float(np.sum((amplitude * np.exp(-rate * times) - measured) ** 2))
