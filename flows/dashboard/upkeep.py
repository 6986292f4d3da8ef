"""Keeps the artifacts of a run current, at a steady pace that costs next to nothing."""

from __future__ import annotations

import threading
import time
from contextvars import copy_context
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

from flows.dashboard.artifacts import Conditions, Content, contents, key_of
from flows.pictures.static import get_ready
from flows.reports.snapshot import condition_rows
from flows.run.opened import OpenRun
from flows.server.records import impatient_client
from optim.store import open_run

PACE_S = 30.0
"""So long after one update comes the next one ..."""
SHARE = 0.01
"""... or longer: this share of the time at most goes into them."""
READY_S = 1.0
"""So often it looks whether the first evaluation is there. Then it gets ready to draw, for which somebody would wait at
the end of the run."""
PATIENCE_S = 5.0
"""How long the server may take to answer."""


class Artifacts:
    """The artifacts of one flow run; a context manager, which at its end waits for the last update.

    A thread reads the store, as everybody else may, and of the session only how far its exit conditions are. What goes
    wrong is logged once.
    """

    def __init__(self) -> None:
        self._known: dict[str, UUID] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._run: OpenRun | None = None
        self._flow_run_id: UUID | None = None
        self._has_failed = False

    def follow(self, run: OpenRun, flow_run_id: UUID) -> None:
        """Begin to keep the artifacts of a run current."""
        self._run, self._flow_run_id = run, flow_run_id
        # In a copy of this context, in which Prefect finds its settings.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._update_now_and_then,), name="shoal-artifacts", daemon=True
        )
        self._thread.start()

    def conclude(self) -> None:
        """The run is saved: update for the last time, in the background."""
        self._over.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def _update_now_and_then(self) -> None:
        wait_s = PACE_S
        due_s = time.monotonic() + PACE_S
        while not self._over.wait(READY_S):
            if self._has_evaluations() or time.monotonic() > due_s:
                get_ready()
                break
        while not self._over.wait(wait_s):
            began_s = time.monotonic()
            self._try_to_update(has_ended=False)
            wait_s = max(PACE_S, (time.monotonic() - began_s) / SHARE)
        self._try_to_update(has_ended=True)

    def _has_evaluations(self) -> bool:
        """Whether the workers have begun; while they start, they need the processor."""
        return self._run is not None and self._run.session.standing().evaluations > 0

    def _try_to_update(self, has_ended: bool) -> None:
        run = self._run
        if run is None:
            return
        try:
            strategy, standing = run.session.manager.strategy, run.session.standing()
            conditions = Conditions(
                condition_rows(strategy.exit_conditions, standing),
                strategy.exit_condition_boolean_combination,
            )
            self._send(
                run.folder.name, contents(run.folder.name, open_run(run.folder.store), conditions, has_ended)
            )
        except Exception as error:  # noqa: BLE001  whatever is wrong with what people look at ends no run
            if not self._has_failed:
                kind = type(error).__name__
                run.logger.warning("The dashboard's artifacts are not up to date: %s: %s", kind, error)
            self._has_failed = True

    def _send(self, name: str, found: dict[str, Content]) -> None:
        with impatient_client(PATIENCE_S) as client:
            for about, content in found.items():
                if about in self._known:
                    update = ArtifactUpdate(data=content.data, description=content.description)
                    client.update_artifact(self._known[about], update)
                    continue
                create = ArtifactCreate(
                    key=key_of(name, about),
                    type=content.kind,
                    description=content.description,
                    data=content.data,
                    flow_run_id=self._flow_run_id,
                )
                self._known[about] = client.create_artifact(create).id
