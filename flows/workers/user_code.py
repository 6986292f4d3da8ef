"""The code of a run's user on a worker."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from io import BytesIO
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from tasks import user_code


class UserCode(WorkerPlugin):
    """What a worker has of the user's code for one session of a run; with the plugin it goes.

    Args:
        session: Of `SharedContextTaskRunner`.
        archive: What is uploaded, as `flows.workers.upload` packs it; None: nothing. It is unpacked into a folder of
            its own, which is searched before the folder of the run file.
    """

    def __init__(self, session: str, archive: bytes | None) -> None:
        self._session = session
        self._archive = archive
        self._folder = ""

    def setup(self, worker: Any) -> None:
        """Unpack what is uploaded."""
        if self._archive is None:
            return
        self._folder = tempfile.mkdtemp(prefix="shoal-upload-", dir=worker.local_directory)
        with zipfile.ZipFile(BytesIO(self._archive)) as file:
            file.extractall(self._folder)
        user_code.upload(self._session, self._folder)

    def teardown(self, worker: Any) -> None:
        """Forget all of it."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        user_code.forget(self._session)
