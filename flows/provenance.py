"""What computes: versions and linear-algebra kernels, written into every run.

Linear algebra rounds differently on another CPU or thread count, so a replay has to know them.
"""

from __future__ import annotations

import os
import platform
import socket
from importlib.metadata import version
from typing import Any

from threadpoolctl import threadpool_info

DISTRIBUTIONS = ("shoal", "numpy", "scipy", "cma", "greenlet", "zarr", "xarray", "prefect", "distributed")


def provenance() -> dict[str, Any]:
    """Versions, platform, BLAS kernels and their threads, as JSON."""
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in DISTRIBUTIONS}},
        "platform": platform.platform(),
        "blas": [
            {key: library.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
            for library in threadpool_info()
            if library.get("user_api") == "blas"
        ],
    }


def this_process() -> str:
    """Who works on a run: process and machine."""
    return f"process {os.getpid()} on {socket.gethostname()}"
