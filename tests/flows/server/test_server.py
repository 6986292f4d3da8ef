"""The local Prefect server.

Invariants:

* A server that is configured is used, and nothing is started; one that does not answer is an error.
* A local server serves API and dashboard; who waits for its records gets them all.
* Processes with one `PREFECT_HOME` share one server. It outlives the one that started it, and ends with its last user,
  even by SIGKILL; then no worker is left either.
* A server that cannot start is an error with the end of its log.
* What is done while a new server starts finds its address in the environment, and is not done where none starts.
* Task runs of which nobody will say more are Crashed; those that have ended stay as they are.
* A server forgets old flow runs, with their task runs, if its environment says so.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect.states import Completed, Running

from flows.server.local_server import SERVER_SETTINGS, local_server
from flows.server.records import SILENT, crash_the_silent, wait_until_recorded
from optim.errors import ServerError

USER = """
import sys
from flows.workers.cluster import local_cluster
from flows.server.local_server import SERVER_SETTINGS, local_server

if __name__ == "__main__":
    with local_server() as url, local_cluster(n_workers=int(sys.argv[1]), threads_per_worker=1):
        print(url, flush=True)
        sys.stdin.read()
"""


@contextmanager
def user(folder: Path, home: Path, workers: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that uses the server of a home, until its standard input is closed."""
    script = folder / "user.py"
    script.write_text(USER)
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PREFECT_HOME": str(home), "PYTHONPATH": str(root)}
    environment.pop("PREFECT_API_URL", None)
    with subprocess.Popen(
        [sys.executable, str(script), str(workers)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def servers(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(home / "shoal" / "server.lock") in process.cmdline():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def test_a_configured_server_is_used_and_none_is_started(server, prefect_home):
    before = servers(prefect_home)
    with local_server(meanwhile=pytest.fail) as url:
        assert url == server
        assert servers(prefect_home) == before
    assert httpx.get(f"{server}/health").status_code == 200


def test_a_configured_server_that_does_not_answer_is_an_error_that_says_what_to_do(prefect_home):
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(ServerError, match="unset PREFECT_API_URL"),
        local_server(),
    ):
        pass


def test_the_dashboard_is_served_and_knows_its_api(server):
    root = server.removesuffix("/api")
    assert "<html" in httpx.get(root, follow_redirects=True, headers={"Accept": "text/html"}).text
    settings = httpx.get(f"{root}/ui-settings").json()
    assert settings["api_url"] == server


def test_waiting_for_records_that_never_come_ends(server):
    assert wait_until_recorded(uuid4(), 1, patience_s=0.2) == 0


def test_what_nobody_will_say_more_of_is_crashed(server):
    with get_client(sync_client=True) as client:
        flow_run = client.create_flow_run(twice)
        running, completed = (
            client.create_task_run(nothing, flow_run.id, str(state.type), state=state)
            for state in (Running(), Completed())
        )
        crash_the_silent(flow_run.id)
        states = [client.read_task_run(task_run.id).state for task_run in (running, completed)]
    assert [state.name for state in states] == ["Crashed", "Completed"]
    assert states[0].message == SILENT


@pytest.mark.slow
def test_a_server_outlives_who_started_it_and_ends_with_its_last_user(home_with_database, tmp_path):
    with (
        user(tmp_path, home_with_database, 0) as (first, url),
        user(tmp_path, home_with_database, 1) as (second, same_url),
    ):
        assert same_url == url
        (server,) = servers(home_with_database)

        first.communicate()
        assert first.returncode == 0
        assert httpx.get(f"{url}/health").status_code == 200

        children = psutil.Process(second.pid).children(recursive=True)
        assert children
        second.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs([server, *children], timeout=30)
        assert not alive


@pytest.mark.slow
def test_the_last_user_leaves_nothing_running(home_with_database, tmp_path):
    with user(tmp_path, home_with_database, 1) as (process, _):
        children = psutil.Process(process.pid).children(recursive=True)
        process.communicate()
        assert process.returncode == 0
    assert servers(home_with_database) == []
    _, alive = psutil.wait_procs(children, timeout=10)  # multiprocessing's tracker ends a moment later
    assert not alive


@pytest.mark.slow
def test_a_server_that_cannot_start_is_an_error_with_the_end_of_its_log(prefect_home, tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    urls: list[str | None] = []
    monkeypatch.setenv(
        "PREFECT_API_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{tmp_path}/no/such/folder.db"
    )
    with (
        temporary_settings({PREFECT_HOME: tmp_path}, restore_defaults={PREFECT_API_URL}),
        pytest.raises(ServerError, match=r"(?s)ended with code.*unable to open database file"),
        local_server(meanwhile=lambda: urls.append(os.environ.get("PREFECT_API_URL"))),
    ):
        pass
    assert [url and url.startswith("http://127.0.0.1:") for url in urls] == [True]
    assert "PREFECT_API_URL" not in os.environ


@flow
def twice() -> None:
    for x in range(2):
        nothing(x)


@task(cache_policy=NO_CACHE)
def nothing(x: int) -> int:
    return x


@pytest.mark.services
def test_a_server_that_is_told_to_forgets_old_flow_runs_and_their_task_runs(home_with_database):
    vacuum = "PREFECT_SERVER_SERVICES_DB_VACUUM"
    settings = {f"{vacuum}_ENABLED": "events,flow_runs", f"{vacuum}_LOOP_SECONDS": "1"}
    with (
        temporary_settings({PREFECT_HOME: home_with_database}, restore_defaults={PREFECT_API_URL}),
        local_server(settings={**SERVER_SETTINGS, **settings}),
        get_client(sync_client=True) as client,
    ):
        runs = [twice(return_state=True).state_details.flow_run_id for _ in range(2)]
        assert [wait_until_recorded(run, 2) for run in runs] == [2, 2]
        with closing(sqlite3.connect(home_with_database / "prefect.db", timeout=30.0)) as database, database:
            database.execute(
                "UPDATE flow_run SET end_time = '2020-01-01 00:00:00' WHERE id = ?", [str(runs[0])]
            )
        deadline_s = time.monotonic() + 60.0
        while client.read_flow_runs(flow_run_filter=FlowRunFilter(id={"any_": [runs[0]]})):
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
        assert [wait_until_recorded(run, 2, patience_s=5.0) for run in runs] == [0, 2]
