"""What people see of a run in the dashboard: a real flow run, on a real server, in a real browser.

Invariants: the flow run is called by run and problem; its tab Artifacts has every artifact; the report is drawn, with
its tables and with the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster
from prefect.client.orchestration import get_client

from flows.launch import run_as_flow
from flows.settings import RunSettings

pytestmark = [pytest.mark.slow, pytest.mark.services]
WAIT_S = 60


@pytest.fixture(scope="module")
def flow_run(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One that has run, as the server knows it."""
    settings = RunSettings.model_validate(
        {
            "problem": "optim.problems.lj_argon:problem",
            "parallel_optimizers": 2,
            "generator": {"type": "Random"},
            "optimizer": [{"type": "Scipy"}],
            "exit_condition": [{"type": "MaxTotalFunctionCalls", "max": 60}],
            "cluster": {"address": cluster.scheduler_address},
            "store": {"location": str(tmp_path_factory.mktemp("runs"))},
        }
    )
    run_as_flow("optimize", settings=settings, name="fit", code_folder=str(Path.cwd()))
    with get_client(sync_client=True) as client:
        (found,) = [each for each in client.read_flow_runs() if each.name.startswith("fit ")]
    return found


@pytest.fixture
def see(driver: Any, server: str) -> Iterator[Callable[[str, Callable[[], Any]], None]]:
    """Open a page of the dashboard, and wait for something on it."""
    from selenium.webdriver.support.ui import WebDriverWait

    def see_it(path: str, until: Callable[[], Any]) -> None:
        driver.get(f"{server.removesuffix('/api')}/{path}")
        WebDriverWait(driver, WAIT_S).until(lambda _: until())

    yield see_it
    driver.get("about:blank")  # lets go of the server


def text(driver: Any) -> str:
    shown: str = driver.execute_script("return document.body.innerText")
    return shown


def test_the_flow_run_is_called_by_run_and_problem(flow_run: Any, driver: Any, see: Any) -> None:
    see(f"runs/flow-run/{flow_run.id}", lambda: "fit (lj_argon)" in text(driver))
    assert "60 Task runs" in text(driver)


def test_its_artifacts_are_there(flow_run: Any, driver: Any, see: Any) -> None:
    see("artifacts", lambda: "shoal-fit-report" in text(driver))
    for about in ("progress", "exit-conditions", "optimizers", "losses", "report"):
        assert f"shoal-fit-{about}" in text(driver)


def test_the_report_is_drawn_with_its_picture(flow_run: Any, driver: Any, see: Any) -> None:
    with get_client(sync_client=True) as client:
        (report,) = [each for each in client.read_artifacts() if each.key == "shoal-fit-report"]
    picture = "return document.querySelector('img[alt=Losses]')?.naturalWidth"
    see(f"artifacts/artifact/{report.id}", lambda: driver.execute_script(picture))
    tables = driver.execute_script("return [...document.querySelectorAll('table')].map((it) => it.innerText)")
    assert any("rmin" in table and "angstrom" in table for table in tables)
    assert any("60 / 60" in table for table in tables)
    assert "fit finished" in text(driver)
