"""Says when having a loss evaluated costs more than the loss itself, and which setting helps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

ENOUGH = 200
"""Evaluations that are looked at together. The first so many are not: workers import the loss, and the store begins."""


class TrackingCost:
    """Compares the time of the workers' threads with what the losses took of it.

    Time counts only while all threads could have had something to do; what they then did besides evaluating losses is
    tracking, and waiting for it.

    Args:
        logger: What is said goes there, once.
        clock: Seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._since_s = clock()
        self._threads = 0
        self._losses_s: list[float] = []  # since then
        self._thread_s = self._loss_s = 0.0
        self._evaluations = 0
        self._is_warm = self._is_told = False

    def took(self, seconds: float) -> None:
        """A loss has come back that took so long."""
        self._losses_s.append(seconds)

    def look(self, threads: int) -> None:
        """A while has passed, and another begins.

        Args:
            threads: That have something to do in the one that begins; 0: not all could have, so it does not count.
        """
        now_s = self._clock()
        if self._threads:
            self._thread_s += self._threads * (now_s - self._since_s)
            self._loss_s += sum(self._losses_s)
            self._evaluations += len(self._losses_s)
        self._since_s, self._threads = now_s, threads
        self._losses_s.clear()
        if self._evaluations >= ENOUGH:
            self._judge()

    def _judge(self) -> None:
        loss_s = self._loss_s / self._evaluations
        tracking_s = self._thread_s / self._evaluations - loss_s
        if self._is_warm and not self._is_told and tracking_s > loss_s:
            self._is_told = True
            self._logger.warning(
                "Tracking costs more than the loss: %.3g ms for each evaluation, whose loss takes %.3g ms. With"
                ' evaluation.per_task = "auto" a task run carries several of them.',
                1000 * tracking_s,
                1000 * loss_s,
            )
        self._is_warm = True
        self._thread_s = self._loss_s = 0.0
        self._evaluations = 0
