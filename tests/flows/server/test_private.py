"""Private runs, and what listens where.

Invariants:

* Nothing of a run listens beyond loopback: not the server, the scheduler, the workers, their nannies or their pages.
* A private server answers nobody without its password, which is in a file that only its owner reads, and on no command
  line. Later users of the server find it there, private ones or not.
* A private run refuses a server that asks for no password.
* Nobody connects to the Dask cluster of a private run without its certificate, and its pages are closed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dask
import httpx
import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, PREFECT_HOME, temporary_settings
from pydantic import ValidationError

from flows.server.local_server import local_server, require_password, where_password_is
from flows.server.password import new_password, password_file, read_password, write_password
from flows.settings import ClusterSettings, RunSettings
from flows.workers.cluster import local_cluster, task_runner
from optim.errors import ClusterError, ServerError
from optim.store import open_run

ROOT = Path(__file__).parents[3]
LOSS = """
import os, httpx
from distributed.worker import Worker

def loss(x):
    url = os.environ["PREFECT_API_URL"]
    assert httpx.post(f"{url}/flow_runs/filter", json={}).status_code == 401
    user, _, word = os.environ["PREFECT_API_AUTH_STRING"].partition(":")
    assert httpx.post(f"{url}/flow_runs/filter", json={}, auth=(user, word)).status_code == 200
    (worker,) = Worker._instances
    address = worker.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    return float(x[0] ** 2)
"""
RUN_FILE = """
problem = "open_door:loss"
[[parameter]]
name = "a"
initial = 0.5
lower = -1.0
upper = 1.0
[generator]
type = "Random"
[[optimizer]]
type = "Scipy"
[[exit_condition]]
type = "MaxTotalFunctionCalls"
max = 3
[cluster]
workers = 1
"""


def listening() -> set[str]:
    """The addresses at which this process and its children listen."""
    me = psutil.Process()
    return {
        connection.laddr.ip
        for process in [me, *me.children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_nothing_listens_beyond_loopback(server, cluster):
    with Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        assert listening() == {"127.0.0.1"}


@pytest.fixture(scope="module")
def private_cluster() -> LocalCluster:
    runner = task_runner(ClusterSettings(workers=1), private=True)
    assert runner.cluster_class is local_cluster
    with local_cluster(**runner.cluster_kwargs) as cluster:
        yield cluster


def test_nobody_connects_to_a_private_cluster_without_its_certificate(private_cluster):
    address = private_cluster.scheduler_address
    assert address.startswith("tls://127.0.0.1:")
    with Client(private_cluster, set_as_default=False) as client:
        assert client.submit(lambda: 7).result() == 7
    for stranger in (Security.temporary(), None):
        with pytest.raises((OSError, TypeError)):
            Client(address, security=stranger, timeout=2, set_as_default=False)
    with pytest.raises(OSError):  # noqa: PT011  whatever it is called, there is no connection
        Client(address.replace("tls", "tcp"), timeout=2, set_as_default=False)


def test_a_private_cluster_shows_no_pages_and_listens_on_loopback(private_cluster):
    with Client(private_cluster, set_as_default=False) as client:
        client.wait_for_workers(1)
        pages = [private_cluster.dashboard_link.rpartition("/")[0]]
        pages += [
            f"http://127.0.0.1:{worker['services']['dashboard']}"
            for worker in client.scheduler_info()["workers"].values()
        ]
    assert len(pages) == 2
    for page in pages:
        for path in (
            "",
            "info/main/workers.html",
            "json/counts.json",
            "metrics",
            "health",
            "status",
            "sysmon",
        ):
            assert httpx.get(f"{page}/{path}", follow_redirects=True).status_code == 404
    assert listening() <= {"127.0.0.1"}


def test_a_scheduler_with_certificates_of_ones_own_is_reached_by_dasks_configuration(
    private_cluster, tmp_path
):
    security = private_cluster.security
    files = {}
    for name in ("ca_file", "client_cert", "client_key"):
        files[name] = str(tmp_path / name)
        Path(files[name]).write_text(getattr(security, f"tls_{name}"))
    address = private_cluster.scheduler_address
    configuration = {
        "distributed.comm.tls.ca-file": files["ca_file"],
        "distributed.comm.tls.client.cert": files["client_cert"],
        "distributed.comm.tls.client.key": files["client_key"],
    }
    with (
        dask.config.set(configuration),
        task_runner(ClusterSettings(address=address), private=True) as runner,
    ):
        runner.prepare()
        assert runner.client.submit(lambda: 7).result() == 7
    with (
        task_runner(ClusterSettings(address=address)) as runner,
        pytest.raises(ClusterError, match=r"distributed\.comm\.tls"),
    ):
        runner.prepare()


def test_a_private_run_refuses_a_cluster_that_is_not():
    run = {
        "problem": "a:b",
        "private": True,
        "optimizer": [{"type": "CMAES"}],
        "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": 1}],
    }
    for cluster, message in (
        ({"address": "tcp://10.0.0.1:8786"}, "must begin with tls://"),
        ({"class": "dask_jobqueue.SLURMCluster"}, "security = true"),
    ):
        with pytest.raises(ValidationError, match=message):
            RunSettings.model_validate({**run, "cluster": cluster})


def test_the_password_is_for_its_owner_alone(tmp_path):
    (tmp_path / "shoal").mkdir()
    assert read_password(tmp_path) is None
    write_password(tmp_path, new_password())
    assert password_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert len(str(read_password(tmp_path))) > 30
    password_file(tmp_path).chmod(0o644)
    with pytest.raises(ServerError, match="others may read"):
        read_password(tmp_path)
    write_password(tmp_path, None)
    assert read_password(tmp_path) is None


def test_a_private_run_refuses_a_server_without_a_password(server, prefect_home):
    with pytest.raises(ServerError, match="asks for no password"), local_server(private=True):
        pass
    with pytest.raises(ServerError, match="asks for no password"):
        require_password()
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(ServerError, match="asks for no password"),
        local_server(private=True),
    ):
        pass
    assert where_password_is(server) is None


@pytest.mark.services
def test_a_private_server_answers_only_who_has_its_password(home_with_database, monkeypatch):
    home = home_with_database
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with temporary_settings({PREFECT_HOME: home}, restore_defaults={PREFECT_API_URL}):
        with local_server(private=True) as url:
            password = str(read_password(home))
            assert where_password_is(url) == password_file(home)
            assert httpx.post(f"{url}/flows/filter", json={}).status_code == 401
            assert httpx.get(f"{url}/admin/settings", auth=("shoal", "wrong")).status_code == 401
            with get_client(sync_client=True) as client:
                assert client.read_flows() is not None
            with local_server() as again:  # one that need not be private, too
                assert again == url
            with (
                temporary_settings({PREFECT_API_URL: url}, restore_defaults={PREFECT_API_AUTH_STRING}),
                local_server(private=True) as same,
            ):
                assert (same, PREFECT_API_AUTH_STRING.value()) == (url, password)
            with (
                temporary_settings({PREFECT_API_AUTH_STRING: "shoal:wrong"}),
                pytest.raises(ServerError, match="set PREFECT_API_AUTH_STRING"),
                local_server(),
            ):
                pass
            processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
            assert not any(password in argument for process in processes for argument in process.cmdline())
            assert (home / "shoal" / "server.log").stat().st_mode & 0o077 == 0
            assert listening() <= {"127.0.0.1"}
        assert "PREFECT_API_AUTH_STRING" not in os.environ


@pytest.mark.services
def test_a_private_run_goes_through(home_with_database, tmp_path):
    (tmp_path / "open_door.py").write_text(LOSS)
    (tmp_path / "open_door.toml").write_text(RUN_FILE)
    environment = {**os.environ, "PREFECT_HOME": str(home_with_database), "PYTHONPATH": str(ROOT)}
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", "run", "--private", "open_door.toml"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    password = str(read_password(home_with_database))
    assert str(password_file(home_with_database)) in done.stderr
    run = tmp_path / "runs" / "open_door-1"
    reader = open_run(run / "run.zarr")
    assert reader.attributes["settings"]["private"] is True
    assert reader.evaluations()["outcome"].values.tolist() == [0, 0, 0], reader.events()["text"].values
    written = [file.read_bytes() for file in run.rglob("*") if file.is_file()]
    assert not any(
        password.encode() in data for data in [*written, done.stdout.encode(), done.stderr.encode()]
    )
    assert json.loads((run / "run.zarr/zarr.json").read_bytes())["attributes"]["status"] == "finished"
