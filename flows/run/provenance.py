"""What computes: versions and linear-algebra kernels, written into every run.

Linear algebra rounds differently on another CPU or thread count, so a replay has to know them.
"""

from __future__ import annotations

import getpass
import os
import platform
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

import flows
import optim
import tasks
from optim.errors import ShoalError

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


def check_modules() -> None:
    """See that the three packages are ours; their names are plain, and a folder of the user's may have one.

    Raises:
        ShoalError: They come from different places.
    """
    places = {module.__name__: Path(str(module.__file__)).parent for module in (optim, tasks, flows)}
    if len({place.parent for place in places.values()}) > 1:
        found = ", ".join(f"{name} from {place}" for name, place in places.items())
        raise ShoalError(
            f"modules of different origin are mixed ({found}); rename yours, or look at PYTHONPATH"
        )


def this_process() -> str:
    """Who works on a run: process and machine."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def this_person() -> str:
    """Who asks something of a run."""
    return f"{getpass.getuser()} on {socket.gethostname()}"
