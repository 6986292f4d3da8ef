"""The linear algebra of a run: the kernel that it began with, and one thread.

OpenBLAS chooses a kernel by the processor, and each rounds in its own way. A run that goes on elsewhere asks for the
one that it began with, if this processor has what that needs; it has to do so before numpy is imported.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"

_NEEDS = {
    "Prescott": "pni",
    "Core2": "ssse3",
    "Penryn": "sse4_1",
    "Nehalem": "sse4_2",
    "Barcelona": "sse4a",
    "Sandybridge": "avx",
    "Bulldozer": "fma4",
    "Haswell": "avx2",
    "Zen": "avx2",
    "SkylakeX": "avx512f",
    "Cooperlake": "avx512_bf16",
    "SapphireRapids": "amx_bf16",
}
"""What an x86-64 processor must be able to do for a kernel, as Linux calls it: with another, OpenBLAS would crash."""


def ask_for_kernel(store: Path) -> None:
    """Ask for the kernel that a run began with; without effect once numpy is loaded, or where somebody has chosen.

    Args:
        store: Of the run. What cannot be read is left to whoever opens it properly.
    """
    if VARIABLE in os.environ or "numpy" in sys.modules:
        return
    try:
        libraries = json.loads((store / "zarr.json").read_bytes())["attributes"]["blas"]
        kernels = {library["architecture"] for library in libraries if library["internal_api"] == "openblas"}
    except (OSError, ValueError, KeyError, TypeError):
        return
    if len(kernels) == 1 and _is_possible(kernel := str(kernels.pop())):
        os.environ[VARIABLE] = kernel


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra in one thread, as several add up in another order.

    SciPy brings a library of its own besides numpy's. It is loaded first, as what loads later has all threads again.
    """
    from threadpoolctl import threadpool_limits

    importlib.import_module("scipy.linalg")
    with threadpool_limits(1, user_api="blas"):
        yield


def _is_possible(kernel: str) -> bool:
    try:
        words = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return kernel in _NEEDS and _NEEDS[kernel] in words
