"""The linear-algebra kernel of a run that is resumed, asked for before numpy is imported.

OpenBLAS chooses a kernel by the processor, and each rounds in its own way. A run that goes on elsewhere asks for the
one that it began with, if this processor has what that needs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"

_NEEDS = {
    "SkylakeX": "avx512f",
    "Cooperlake": "avx512_bf16",
    "SapphireRapids": "amx_bf16",
    "Haswell": "avx2",
    "Zen": "avx2",
    "Sandybridge": "avx",
    "Bulldozer": "avx",
}
"""What the processor must be able to do, for each kernel that not every x86-64 has."""


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


def _is_possible(kernel: str) -> bool:
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return kernel not in _NEEDS or f" {_NEEDS[kernel]}" in processor
