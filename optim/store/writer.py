"""Writing a run: rows are taken at once, and committed in the background."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optim.errors import StoreError
from optim.journal import END_KINDS, EvaluationRow, EventKind, EventRow, ValidationRow
from optim.space import Parameter
from optim.store.image import RunImage, json_attributes
from optim.store.layout import EVALUATIONS, OPTIMIZERS
from optim.store.optimizers_view import Spawn, stop_verdicts

FLUSH_S = 1.0
"""How much finished work a killed process may lose, by default; seconds."""

FLUSH_EVALUATIONS = 10_000
"""How many evaluations wait at most before they are written, by default."""

GIVE_WAY_S = 0.2
"""So long at most whoever adds waits for a commit that has begun; seconds."""

MOST_WAITING = 4
"""So many times as many: whoever adds more waits for those before to be written."""


class RunWriter:
    """The journal of a run, as a store.

    Adding takes microseconds. A thread commits what was added within `flush_s`, also while the caller is busy
    with a long evaluation. Who adds while it does gives way to it for a moment: each of the hundreds of times that a
    commit enters the file system it would have to wait for the interpreter again, 5 ms each time, and the caller would
    wake it for every array that it copies. Who adds more than can be written waits now and then, so that neither
    memory nor what a kill may take grows. What cannot be written is kept; the error is raised by the next call. Make
    one with `create` or `resume`, under the lock of the run's folder, and `close` it, or use it as a context manager.

    Args:
        image: The store; nobody else may use it.
        flush_s: What was added is committed within that time, seconds.
        flush_evaluations: It is committed earlier once so many evaluations wait.
    """

    def __init__(
        self, image: RunImage, flush_s: float = FLUSH_S, flush_evaluations: int = FLUSH_EVALUATIONS
    ) -> None:
        self._image = image
        self._flush_s = flush_s
        self._flush_evaluations = flush_evaluations
        self._spawned = image.size(OPTIMIZERS)
        self._evaluated = image.size(EVALUATIONS)
        self._evaluations: list[EvaluationRow] = []
        self._validations: list[ValidationRow] = []
        self._events: list[EventRow] = []
        self._attributes: dict[str, Any] = {}
        self._is_pending = False
        self._pending_since_s = 0.0
        self._committing_since_s: float | None = None
        self._is_closed = False
        self._is_torn = False  # the image took only part of some rows: never commit it
        self._failure: Exception | None = None
        self._lock = threading.Lock()  # taken as it is: a condition's own `with` is slower
        self._changed = threading.Condition(self._lock)
        self._committing = threading.Lock()
        self._thread = threading.Thread(target=self._flush_in_background, name="shoal store", daemon=True)
        self._thread.start()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        parameters: Sequence[Parameter],
        attributes: Mapping[str, Any] | None = None,
        *,
        flush_s: float = FLUSH_S,
        flush_evaluations: int = FLUSH_EVALUATIONS,
    ) -> Self:
        """Start a new store; it can be read at once.

        Args:
            path: Where it will be, on a file system.
            parameters: Of the space, in the order of the points' coordinates.
            attributes: Of the root; JSON values.
            flush_s: See the class.
            flush_evaluations: See the class.

        Raises:
            StoreError: A run is there already, an attribute is not JSON, or the file system refused.
        """
        try:
            image = RunImage.create(Path(path), parameters, attributes or {})
        except OSError as fault:
            raise StoreError(f"cannot write {path}: {fault}") from fault
        return cls(image, flush_s, flush_evaluations)

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        *,
        flush_s: float = FLUSH_S,
        flush_evaluations: int = FLUSH_EVALUATIONS,
    ) -> Self:
        """Go on after the last commit of a store.

        Args:
            path: Where it is, on a file system.
            flush_s: See the class.
            flush_evaluations: See the class.

        Raises:
            StoreError: There is no run.
            SchemaError: A newer shoal wrote it.
            DamagedStoreError: A chunk that is needed is missing or damaged.
        """
        return cls(RunImage.load(Path(path)), flush_s, flush_evaluations)

    def add_evaluation(self, row: EvaluationRow) -> None:
        """Take the next evaluation; its `x` must not change any more.

        Raises:
            StoreError: It does not fit the run, earlier rows could not be written, or the writer is closed.
        """
        if row.x.shape != (self._image.dimension,):
            raise StoreError(f"a point must have shape ({self._image.dimension},), got {row.x.shape}")
        self._check_is_known(row.optimizer)
        with self._lock:
            self._check_can_add()
            self._evaluated += 1
            self._evaluations.append(row)
            self._note_pending()
            if len(self._evaluations) >= self._flush_evaluations:
                self._have_written()

    def add_validation(self, row: ValidationRow) -> None:
        """Take the next validation.

        Raises:
            StoreError: It does not fit the run, earlier rows could not be written, or the writer is closed.
        """
        if not 1 <= row.evaluation <= self._evaluated:
            raise StoreError(
                f"evaluation {row.evaluation} cannot have been validated; there are {self._evaluated}, from 1"
            )
        self._check_is_known(row.optimizer)
        with self._changed:
            self._check_can_add()
            self._validations.append(row)
            self._note_pending()

    def add_event(self, row: EventRow) -> None:
        """Take the next event.

        Raises:
            StoreError: It does not fit the run, earlier rows could not be written, or the writer is closed.
        """
        if row.kind is EventKind.SPAWN:
            Spawn.of(row, self._image.dimension)
            if row.optimizer != self._spawned + 1:
                raise StoreError(f"the next optimizer to start is {self._spawned + 1}, got {row.optimizer}")
        elif row.kind in END_KINDS:
            stop_verdicts(row)
            self._check_is_known(row.optimizer)
        with self._changed:
            self._check_can_add()
            self._spawned += row.kind is EventKind.SPAWN
            self._events.append(row)
            self._note_pending()

    def set_attributes(self, **attributes: Any) -> None:
        """Set attributes of the root (status, seed, settings, ...), in order with the rows.

        Raises:
            StoreError: A value is not JSON, earlier rows could not be written, or the writer is closed.
        """
        copy = json_attributes(attributes)
        with self._changed:
            self._check_can_add()
            self._attributes |= copy
            self._note_pending()

    def flush(self) -> None:
        """Commit everything that was added.

        Raises:
            StoreError: It cannot be written. It is kept, and the next call tries again.
        """
        self._commit()
        self._check_failure()

    def close(self) -> None:
        """Commit everything, and end. Idempotent; repeat it if it failed.

        Raises:
            StoreError: It cannot be written.
        """
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()
        self.flush()
        try:
            self._image.write_array_documents()
        except OSError as fault:
            raise StoreError(f"cannot write {self._image.path}: {fault}") from fault

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _flush_in_background(self) -> None:
        took_s = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or (self._is_pending and not self._failure))
                self._changed.wait_for(
                    lambda: self._is_closed or len(self._evaluations) >= self._flush_evaluations,
                    max(0.0, self._pending_since_s + self._flush_s - took_s - time.monotonic()),
                )
                if self._is_closed:
                    return
            began_s = time.monotonic()
            self._commit()
            # what a commit takes is taken off the wait for the next one, so that rows are on the disk in time
            took_s = min(time.monotonic() - began_s, self._flush_s / 2)

    def _commit(self) -> None:
        with self._committing:
            with self._changed:
                if not self._is_pending or self._is_torn:
                    return
                evaluations, self._evaluations = self._evaluations, []
                validations, self._validations = self._validations, []
                events, self._events = self._events, []
                attributes, self._attributes = self._attributes, {}
                self._is_pending = False
                self._committing_since_s = time.monotonic()
                self._changed.notify_all()
            failure = None
            try:
                self._is_torn = True
                self._image.set_attributes(attributes)
                self._image.absorb(evaluations, events, validations)
                self._is_torn = False
                self._image.commit()
            except Exception as fault:  # noqa: BLE001  raised by the next call, in the caller's thread
                failure = fault
            with self._changed:
                self._failure = failure
                self._is_pending |= failure is not None
                self._committing_since_s = None
                self._changed.notify_all()

    def _have_written(self) -> None:
        if len(self._evaluations) == self._flush_evaluations:
            self._changed.notify_all()
        self._changed.wait_for(
            lambda: self._failure or len(self._evaluations) < MOST_WAITING * self._flush_evaluations
        )

    def _note_pending(self) -> None:
        if not self._is_pending:
            self._is_pending = True
            self._pending_since_s = time.monotonic()
            self._changed.notify_all()

    def _check_is_known(self, optimizer: int) -> None:
        if optimizer > self._spawned:
            raise StoreError(f"optimizer {optimizer} was not started; the last one is {self._spawned}")

    def _give_way(self) -> None:
        while self._committing_since_s is not None:
            left_s = self._committing_since_s + GIVE_WAY_S - time.monotonic()
            if left_s <= 0:
                return
            self._changed.wait(left_s)

    def _check_can_add(self) -> None:
        self._give_way()
        self._check_failure()
        if self._is_closed:
            raise StoreError(f"the writer of {self._image.path} is closed")

    def _check_failure(self) -> None:
        if self._failure:
            raise StoreError(f"cannot write {self._image.path}: {self._failure}") from self._failure
