"""Uploaded user code on a worker."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import zipfile
from io import BytesIO
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from tasks.loss import load, load_loss


class Unpacked(WorkerPlugin):
    """An archive on a worker: unpacked into a folder of its own, which is searched last.

    With the plugin go the folder and the modules that came from it, so that the next run may bring others.

    Args:
        archive: As `flows.workers.upload` packs it.
    """

    def __init__(self, archive: bytes) -> None:
        self._archive = archive
        self._folder = ""

    def setup(self, worker: Any) -> None:
        """Unpack it."""
        self._folder = tempfile.mkdtemp(prefix="shoal-upload-", dir=worker.local_directory)
        with zipfile.ZipFile(BytesIO(self._archive)) as file:
            file.extractall(self._folder)
        sys.path.append(self._folder)
        importlib.invalidate_caches()

    def teardown(self, worker: Any) -> None:
        """Forget it."""
        sys.path.remove(self._folder)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(self._folder):
                del sys.modules[name]
        for cached in (load, load_loss):
            cached.cache_clear()
        shutil.rmtree(self._folder, ignore_errors=True)
