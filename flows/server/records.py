"""What the server has recorded of a flow run: it lags behind, and may have gone away.

Nobody waits for it but at the end of a run, for the sake of the dashboard.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prefect.states import Crashed

ANSWER_S = 1.0
"""The least time in which a server must answer a question that is only for the dashboard's sake."""

SILENT = "Nobody waits for it any more; what has come of it, if anything has, the store says."
"""Why a task run is Crashed of which no more was heard."""


def wait_until_recorded(flow_run_id: UUID, task_runs: int, patience_s: float = 10.0) -> int | None:
    """Wait until the server has recorded the end of a flow run's task runs; it lags behind bursts.

    Call it while the workers, which send the events, still live.

    Args:
        flow_run_id: The flow run.
        task_runs: How many of its task runs have ended.
        patience_s: Give up when nothing new was recorded for so long.

    Returns:
        How many are recorded; fewer than `task_runs` when the server lost some. None: it does not answer.
    """
    recorded, changed_s = None, time.monotonic()
    with impatient_client(patience_s) as client:
        while True:
            count = _recorded(client, flow_run_id)
            if count != recorded:
                recorded, changed_s = count, time.monotonic()
            if (recorded or 0) >= task_runs or time.monotonic() - changed_s > patience_s:
                return recorded
            time.sleep(0.1)


def already_recorded(flow_run_id: UUID) -> int:
    """How many task runs of a flow run have ended, as far as the server knows; 0 when it does not answer."""
    with impatient_client(ANSWER_S) as client:
        return _recorded(client, flow_run_id) or 0


def crash_the_silent(flow_run_id: UUID) -> None:
    """Set to Crashed what the server takes for running when its flow run ends; nobody else would ever say more of it.

    It was given up, or its worker was killed before it could tell. One that does end later than that says so itself.
    Of very many it sets as many as Prefect lists at once (200): this process has little time left.
    """
    with suppress(httpx.HTTPError, ObjectNotFound), impatient_client(ANSWER_S) as client:
        for task_run in client.request("POST", "/task_runs/filter", json=_of(flow_run_id, "RUNNING")).json():
            client.set_task_run_state(UUID(task_run["id"]), Crashed(message=SILENT), force=True)


@contextmanager
def impatient_client(patience_s: float) -> Iterator[SyncPrefectClient]:
    """A client that asks once, and waits so long for the answer."""
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings={"timeout": max(patience_s, ANSWER_S)}, sync_client=True) as client,
    ):
        yield client


def _recorded(client: SyncPrefectClient, flow_run_id: UUID) -> int | None:
    query = _of(flow_run_id, "COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    try:
        return int(client.request("POST", "/task_runs/count", json=query).json())
    except httpx.HTTPError:  # the server has gone away, or is just coming back
        return None


def _of(flow_run_id: UUID, *states: str) -> dict[str, Any]:
    """Those task runs of a flow run that are in one of some states, as Prefect's API wants it said."""
    return {
        "flow_runs": {"id": {"any_": [str(flow_run_id)]}},
        "task_runs": {"state": {"type": {"any_": states}}},
    }
