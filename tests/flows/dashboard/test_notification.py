"""The automation that is shipped as an example, on a real server, with a real listener.

Invariant: who runs the script twice is told once of a run that missed its target, and never of one that reached it.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.dashboard.events import RunEvents
from flows.serve import SETTINGS
from flows.server.local_server import local_server
from optim.exit_conditions.target_function_value import TargetFunctionValue

pytestmark = [pytest.mark.slow, pytest.mark.services]
SCRIPT = Path(__file__).parents[3] / "deployments/notify_missed_targets.py"


@pytest.fixture
def told() -> Iterator[tuple[str, queue.SimpleQueue[str]]]:
    """An address, and the texts that were sent there."""
    texts: queue.SimpleQueue[str] = queue.SimpleQueue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", texts
        server.shutdown()
        thread.join()


def test_who_asks_for_it_is_told_of_a_missed_target(
    told: tuple[str, queue.SimpleQueue[str]], tmp_path: Path
) -> None:
    address, texts = told
    with (
        temporary_settings({PREFECT_HOME: tmp_path}, restore_defaults={PREFECT_API_URL}),
        local_server(settings=SETTINGS) as url,
    ):
        for _ in range(2):
            environment = {**os.environ, "PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path)}
            subprocess.run([sys.executable, SCRIPT, address], env=environment, check=True)
        for name, best_loss in (("good", 0.0), ("bad", 0.5)):
            end_of_a_run(name, best_loss)
        first = texts.get(timeout=120)
    assert (
        first == "bad (bowl) has ended as finished after 60 evaluations, best loss 0.5: the budget is used up"
    )
    assert texts.empty()


def end_of_a_run(name: str, best_loss: float) -> None:
    target = TargetFunctionValue(target=0.0)
    run = SimpleNamespace(best=None, evaluations=60)
    manager = SimpleNamespace(run=run, strategy=SimpleNamespace(exit_conditions=[target]))
    session = SimpleNamespace(manager=manager, every=lambda seconds, do: None)
    events = RunEvents("bowl")
    events.follow(SimpleNamespace(session=session, folder=SimpleNamespace(name=name)))
    run.best = SimpleNamespace(loss=best_loss, optimizer=1, evaluation=7)
    events.end(SimpleNamespace(status="finished", reason="the budget is used up"))
