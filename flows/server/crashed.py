"""Tells Prefect of flow runs whose process is gone; nobody else may, and the dashboard shows them as Running for ever.

A run whose store says `running` while nobody holds its lock was being worked on by a process that died. So whoever
comes by looks whether a Prefect API is there, which takes a second at the most, and never starts one.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows.server.password import read_password
from optim.errors import ServerError, StoreError
from optim.store import RunFolder, read_attributes

if TYPE_CHECKING:
    import httpx

PATIENCE_S = 1.0
"""How long an answer may take, and after which time nothing more is asked."""
MESSAGE = "The process that worked on run {name} is gone; its store has what was finished."
_SAME_TIME_S = 1.0


def mark_crashed(
    folders: Iterable[RunFolder], url: str | None = None, *, also_if_saved: bool = False
) -> None:
    """Set to Crashed the flow run of each run that a dead process has left behind, and its task runs.

    The dashboard is a view: if Prefect cannot be reached, or does not know the flow run, nothing happens.

    Args:
        folders: Of runs; those that are well are left alone.
        url: Of Prefect's API; None: that of `PREFECT_API_URL`, or else of the local server that runs now.
        also_if_saved: Look also where the run itself was saved: the process may have died before it told the server.
    """
    dead = [
        (folder, flow_run_id)
        for folder in folders
        if (flow_run_id := _flow_run_of_dead(folder, also_if_saved))
    ]
    url = url or _known_api()
    if not dead or not url:
        return
    import httpx

    until_s = time.monotonic() + PATIENCE_S
    try:
        with httpx.Client(base_url=url, timeout=PATIENCE_S, headers=_authorization(url)) as client:
            for folder, flow_run_id in dead:
                if time.monotonic() < until_s:
                    _mark(client, folder, flow_run_id)
    except (httpx.HTTPError, httpx.InvalidURL, ServerError):
        return  # whoever comes by next tries again


def _flow_run_of_dead(folder: RunFolder, also_if_saved: bool) -> str:
    """The flow run that worked on a run when its process died; empty: there is none."""
    try:
        attributes = read_attributes(folder.store)
        if (also_if_saved or attributes["status"] == "running") and not folder.is_locked:
            return str(
                UUID(attributes.get("flow_run_id", ""))
            )  # nothing else gets into the path of a request
    except (StoreError, ValueError):  # whoever reads the run says what is wrong with it
        pass
    return ""


def _mark(client: httpx.Client, folder: RunFolder, flow_run_id: str) -> None:
    answer = client.get(f"/flow_runs/{flow_run_id}")
    if answer.status_code == 404:  # it was with another server
        return
    state = answer.raise_for_status().json()["state"]
    crashed = {"type": "CRASHED", "name": "Crashed", "message": MESSAGE.format(name=folder.name)}
    for task_run_id in _running_task_runs(client, flow_run_id):
        _set_state(client, f"/task_runs/{task_run_id}", crashed)
    if state and _is_left_behind(state, folder):
        _set_state(client, f"/flow_runs/{flow_run_id}", crashed)


def _running_task_runs(client: httpx.Client, flow_run_id: str) -> list[str]:
    query = {
        "flow_runs": {"id": {"any_": [flow_run_id]}},
        "task_runs": {"state": {"type": {"any_": ["RUNNING"]}}},
    }
    answer = client.post("/task_runs/filter", json=query).raise_for_status()
    return [task_run["id"] for task_run in answer.json()]


def _set_state(client: httpx.Client, path: str, state: dict[str, str]) -> None:
    client.post(f"{path}/set_state", json={"state": state, "force": True}).raise_for_status()


def _is_left_behind(state: dict[str, Any], folder: RunFolder) -> bool:
    """Whether a state is that of the process that died, not of a retry that is about to take the lock."""
    if state["type"] != "RUNNING":
        return bool(state["type"] == "CANCELLING")
    running_since = datetime.fromisoformat(state["timestamp"])
    lock_taken = datetime.fromtimestamp((folder.path / "lock").stat().st_mtime, UTC)
    return (running_since - lock_taken).total_seconds() < _SAME_TIME_S


def _known_api() -> str | None:
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    return _local_api() or None


def _local_api() -> str:
    """Of the local server that ran last; its file outlives it."""
    try:
        return (_home() / "shoal" / "server.lock").read_text()
    except OSError:
        return ""


def _home() -> Path:
    return Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()


def _authorization(url: str) -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    words = os.environ.get("PREFECT_API_AUTH_STRING")
    if words or (words := read_password(_home()) if url == _local_api() else None):
        return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
    return {}
