"""How artifacts are kept current.

Invariants: each is made once and then changed in place; the last update comes after the run is saved; a server that is
away is said once, and asked again.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest

from flows.dashboard import upkeep
from flows.dashboard.upkeep import Artifacts
from flows.settings import RunSettings
from optim.progress import Standing

SETTINGS = RunSettings.model_validate(
    {"problem": "bowl:loss", "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": 60}]}
)


class Server:
    """In place of Prefect's client; `was_updated` is set when an artifact was changed in place."""

    def __init__(self):
        self.is_away = False
        self.asked = threading.Semaphore(0)
        self.artifacts = {}
        self.was_updated = threading.Event()

    @contextmanager
    def client(self, patience_s):
        yield self

    def create_artifact(self, artifact):
        self.asked.release()
        if self.is_away:
            raise httpx.ConnectError("nobody is there")
        made = uuid4()
        self.artifacts[made] = artifact
        return SimpleNamespace(id=made)

    def update_artifact(self, artifact_id, artifact):
        self.artifacts[artifact_id].data = artifact.data
        self.was_updated.set()

    def keys(self):
        return sorted(artifact.key for artifact in self.artifacts.values())


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(upkeep, "impatient_client", server.client)
    monkeypatch.setattr(upkeep, "PACE_S", 0.0)
    monkeypatch.setattr(upkeep, "SHARE", 1.0)
    return server


@pytest.fixture
def open_run(run, tmp_path_factory):
    session = SimpleNamespace(
        manager=SimpleNamespace(strategy=SETTINGS),
        standing=lambda: Standing(60, 2, 0, 0, (), 0.1, ()),
    )
    return SimpleNamespace(
        folder=run(f"kept-{uuid4().hex[:8]}"), session=session, logger=logging.Logger("test")
    )


def test_each_is_made_once_and_then_changed_in_place(server, open_run):
    with Artifacts() as artifacts:
        artifacts.follow(open_run, uuid4())
        assert server.was_updated.wait(60)
        artifacts.conclude()
    about = ("exit-conditions", "losses", "optimizers", "progress", "report")
    assert server.keys() == sorted(f"shoal-{open_run.folder.name}-{each}" for each in about)


def test_a_server_that_is_away_is_said_once_and_asked_again(server, open_run, caplog):
    open_run.logger.addHandler(caplog.handler)
    server.is_away = True
    with Artifacts() as artifacts:
        artifacts.follow(open_run, uuid4())
        for _ in range(3):
            assert server.asked.acquire(timeout=60)
        server.is_away = False
    assert [record.getMessage() for record in caplog.records] == [
        "The dashboard's artifacts are not up to date: ConnectError: nobody is there"
    ]
    assert len(server.artifacts) == 5


def test_without_a_run_nothing_happens(server):
    with Artifacts() as artifacts:
        artifacts.conclude()
    assert server.artifacts == {}
