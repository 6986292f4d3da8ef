"""`deployments/compose.yaml` without containers: its commands as processes on loopback, its healthchecks, its order.

Invariants:

* A schedule that is switched on fires; the run uses both workers of the scheduler, and the server's database is
  PostgreSQL. After `kill -9` of the flow's process the flow run is Crashed, Retry goes on with the run, and nothing of
  it is lost or evaluated twice.
* What is published is bound to loopback, images have versions, and the server is as our own local one.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from flows.server.local_server import SERVER_SETTINGS
from optim.errors import StoreError
from optim.store import RunFolder, open_run, read_attributes
from tests.deployments.patience import until

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "deployments/compose.yaml").read_text())["services"]
PASSWORD = "torture"
BUDGET = 300
PROGRAMS = Path(sys.executable).parent
POSTGRESQL = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def test_nothing_is_published_beyond_loopback_and_images_have_versions():
    ports = [port for service in COMPOSE.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert all(re.search(r":\d+\.\d+", service["image"]) for service in COMPOSE.values())
    first = (ROOT / "deployments/Dockerfile").read_text().split("FROM ")[1].split()[0]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", first)


def test_the_server_is_as_our_own_local_one():
    differs = {
        "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "automations need triggers",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "to be seen",
        "PREFECT_SERVER_LOGGING_LEVEL": "its log is for people",
    }
    image = (ROOT / "deployments/Dockerfile").read_text()
    for name, value in SERVER_SETTINGS.items():
        if name not in differs:
            assert COMPOSE["server"]["environment"].get(name) == value or f"{name}={value}" in image


def listener() -> socket.socket:
    """On a free port that no process is given by chance, as Dask's workers are, before the service has taken it."""
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise AssertionError("no port is free")


class Composed:
    """What compose.yaml describes, on loopback.

    Args:
        folder: In place of `/srv/shoal`; has `deployments`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with ExitStack() as stack:
            listeners = {port: stack.enter_context(listener()) for port in ("4200", "8786", "5432", "8080")}
            self._ports = {port: str(found.getsockname()[1]) for port, found in listeners.items()}
        self.url = f"http://127.0.0.1:{self._ports['4200']}/api"
        self.processes: list[subprocess.Popen[bytes]] = []
        self._database = Path(tempfile.mkdtemp(prefix="postgres-"))

    def here(self, text: str) -> str:
        """Hosts, ports and the password as they are here."""
        text = re.sub(r"\$\{POSTGRES_PASSWORD[^}]*\}", PASSWORD, text).replace("0.0.0.0", "127.0.0.1")
        text = re.sub(r"\b(server|scheduler|database):(?=\d)", "127.0.0.1:", text)
        return re.sub("|".join(self._ports), lambda match: self._ports[match[0]], text)

    def environment(self, service: str) -> dict[str, str]:
        given: Mapping[str, str] = COMPOSE[service].get("environment", {})
        return {
            **os.environ,
            "PATH": os.pathsep.join([str(PROGRAMS), str(POSTGRESQL), os.environ["PATH"]]),
            "PREFECT_HOME": str(self.folder / f"home of {service}"),
            "COLUMNS": "200",  # else the tables of commands are cut
            "PYTHONSAFEPATH": "1",
            "PREFECT_LOGGING_LEVEL": "INFO",  # tests of flows that ran before may have set another
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            **{name: self.here(value) for name, value in given.items()},
        }

    def run(self, *words: str, service: str = "deployer") -> str:
        """A command in one of the containers, to its end."""
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment(service), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, service: str, *words: str, user: str | None = None) -> None:
        """Start a service, as often as it says, and wait until it is healthy if it says what that is."""
        description = COMPOSE[service]
        words = words or tuple(self.here(word) for word in description["command"])
        for number in range(description.get("deploy", {}).get("replicas", 1)):
            with (self.folder / f"{service}-{number}.log").open("wb") as log:
                process = subprocess.Popen(
                    words, cwd=self.folder, env=self.environment(service), stdout=log, stderr=log, user=user
                )
            self.processes.append(process)
        if "healthcheck" in description:
            kind, *check = (self.here(word) for word in description["healthcheck"]["test"])
            assert kind == "CMD"
            environment = self.environment(service) | {"PGHOST": "127.0.0.1", "PGPORT": self._ports["5432"]}

            def is_healthy() -> bool:
                assert process.poll() is None, (self.folder / f"{service}-0.log").read_text()
                return not subprocess.run(check, env=environment, capture_output=True, check=False).returncode

            until(is_healthy)

    def start_database(self) -> None:
        """As the image of PostgreSQL does it by its environment."""
        given = self.environment("database")
        user = "postgres" if os.getuid() == 0 else None  # PostgreSQL refuses to be root
        if user:
            shutil.chown(self._database, user, user)
        (self._database / "password").write_text(PASSWORD)
        (self._database / "password").chmod(0o644)
        data = str(self._database / "data")
        options = ["--auth=scram-sha-256", f"--username={given['POSTGRES_USER']}"]
        words = [str(POSTGRESQL / "initdb"), *options, f"--pwfile={self._database / 'password'}", data]
        subprocess.run(words, cwd="/", user=user, check=True, capture_output=True)
        where = ["-p", self._ports["5432"], "-k", str(self._database), "-c", "listen_addresses=127.0.0.1"]
        self.start("database", str(POSTGRESQL / "postgres"), "-D", data, *where, user=user)
        self.query("postgres", f"create database {given['POSTGRES_DB']}")

    def query(self, database: str, words: str) -> str:
        """The answer of PostgreSQL."""
        where = ["--host=127.0.0.1", f"--port={self._ports['5432']}", "--username=prefect", database]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        done = subprocess.run(
            [POSTGRESQL / "psql", "--tuples-only", *where, "--command", words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def end(self) -> None:
        """End whatever runs, from the last to the first."""
        for process in reversed(self.processes):
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):  # it ends with another one
                        child.kill()
            process.kill()
            process.wait()
        shutil.rmtree(self._database)


@pytest.fixture
def composed(tmp_path: Path) -> Iterator[Composed]:
    if POSTGRESQL is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    deployments = shutil.copytree(ROOT / "deployments", tmp_path / "deployments")
    shutil.copy(Path(__file__).with_name("slow_argon.py"), deployments / "examples")
    composed = Composed(tmp_path)
    try:
        yield composed
    finally:
        composed.end()


def change(path: Path, **words: str) -> None:
    """Replace words in a file that are there."""
    text = path.read_text()
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


@pytest.mark.services
@pytest.mark.timeout(900)
def test_a_scheduled_run_survives_a_kill_and_is_finished_by_retry(composed):
    change(composed.folder / "deployments/prefect.yaml", **{"0 2 * * *": "* * * * *"})
    change(
        composed.folder / "deployments/examples/lj_argon_2.toml",
        **{
            "optim.problems.lj_argon:": "slow_argon:",
            "max = 2500": f"max = {BUDGET}",
            "max = 5": "max = 999",
        },
    )
    composed.start_database()
    for service in ("server", "scheduler", "workers", "flows"):
        composed.start(service)
    composed.run(*(composed.here(word) for word in COMPOSE["deployer"]["command"]))
    listed = composed.run("prefect", "deployment", "schedule", "ls", "optimize/nightly")
    (schedule,) = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", listed)
    composed.run("prefect", "deployment", "schedule", "resume", "optimize/nightly", schedule)

    folder = RunFolder(composed.folder / "runs/nightly")

    def evaluations() -> Any:
        return open_run(folder.store).evaluations()

    def count() -> int:
        try:
            return int(evaluations().sizes["evaluation"])
        except StoreError:  # it is not there yet
            return 0

    with httpx.Client(base_url=composed.url, timeout=30) as api:

        def state() -> tuple[int, str]:
            found = api.get(f"/flow_runs/{flow_run}").raise_for_status().json()
            return found["run_count"], found["state"]["type"]

        until(lambda: count() >= 30)
        composed.run("prefect", "deployment", "schedule", "pause", "optimize/nightly", schedule)
        flow_run = read_attributes(folder.store)["flow_run_id"]
        assert api.get(f"/flow_runs/{flow_run}").json()["auto_scheduled"]
        before = evaluations()
        psutil.Process(folder.holder().pid).kill()
        until(lambda: state() == (1, "CRASHED"))
        # Prefect's worker sees it, too, some seconds later, and would undo a Retry that came before.
        until(lambda: "flow_runs.worker - Check whether" in (composed.folder / "flows-0.log").read_text())
        assert before.sizes["evaluation"] <= count() < BUDGET

        retry = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
        answer = api.post(f"/flow_runs/{flow_run}/set_state", json={"state": retry, "force": False}).json()
        assert answer["status"] == "ACCEPT"
        until(lambda: state() == (2, "COMPLETED"))

    after = evaluations()
    assert after["evaluation"].values.tolist() == list(range(1, BUDGET + 1))
    kept = after.isel(evaluation=slice(before.sizes["evaluation"]))
    assert kept["loss"].values.tobytes() == before["loss"].values.tobytes()
    assert set(after["outcome"].values.tolist()) == {0}
    assert len(set(after["worker"].values.tolist())) == 2
    assert [path.name for path in (composed.folder / "runs").iterdir()] == ["nightly"]
    assert (
        composed.query("prefect", f"select state_type from flow_run where id = '{flow_run}'") == "COMPLETED"
    )
