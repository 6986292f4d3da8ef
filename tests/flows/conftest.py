"""One Prefect server and one Dask cluster of two worker processes, for all tests of flows.

They are real, so they are started once. The server keeps its database in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.server.local_server import local_server
from flows.workers.cluster import local_cluster

WORKERS = 2


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for Prefect that is not the user's."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        patch.setenv("PREFECT_LOGGING_LEVEL", "ERROR")
        patch.delenv("PREFECT_API_URL", raising=False)
        with temporary_settings({PREFECT_HOME: home}, restore_defaults={PREFECT_API_URL}):
            yield home


@pytest.fixture(scope="session")
def server(prefect_home: Path) -> Iterator[str]:
    """The API's URL of a local server."""
    with local_server() as url:
        yield url


@pytest.fixture(scope="session")
def cluster(server: str) -> Iterator[LocalCluster]:
    """Two worker processes, which inherit the server's URL."""
    assert os.environ["PREFECT_API_URL"] == server
    with local_cluster(n_workers=WORKERS, threads_per_worker=1) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _both_workers(request: pytest.FixtureRequest) -> None:
    """Whoever uses the cluster finds both workers; the test before may have killed one, which is coming back."""
    used = request.getfixturevalue("cluster") if "cluster" in request.fixturenames else None
    if isinstance(used, LocalCluster):  # not a parameter of that name
        with Client(used, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=60)


@pytest.fixture
def home_with_database(server: str, prefect_home: Path, tmp_path: Path) -> Path:
    """Another home; its database need not be made."""
    home = tmp_path / "home"
    home.mkdir()
    source, copy = sqlite3.connect(prefect_home / "prefect.db"), sqlite3.connect(home / "prefect.db")
    source.backup(copy)
    source.close()
    copy.close()
    return home


LAPTOP = (1366, 650)
"""What a browser leaves for a page on a screen of 1366 x 768."""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless browser, as large as on a laptop, which selenium drives."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    width, height = LAPTOP
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield driver
    driver.quit()
