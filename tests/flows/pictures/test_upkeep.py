"""The page of a run that goes on.

Invariants: it is drawn while the run goes on and once more at the end, with what was committed last; a run that ends
before it is due, and one that wants none, have none; whatever goes wrong is one warning, and never the run's end.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

import shoal
from flows.pictures.upkeep import LAST, kept_picture
from optim.errors import StoreError
from optim.store import RunFolder

LOGGER = logging.getLogger("tests.upkeep")
OFTEN_S = 1e-3
NEVER_S = 1e6


def wait_for(path: Path) -> None:
    pause = threading.Event()
    while not path.exists():
        pause.wait(0.05)


def wait_for_the_last() -> None:
    for thread in threading.enumerate():
        if thread.name == LAST:
            thread.join()


def test_the_page_is_drawn_while_a_run_goes_on_and_again_at_its_end(write) -> None:
    folder = RunFolder(write("going"))
    flushed = []
    with kept_picture(
        folder, OFTEN_S, None, lambda: flushed.append(folder.picture.stat().st_mtime_ns), LOGGER
    ):
        wait_for(folder.picture)
    wait_for_the_last()
    assert "<!DOCTYPE html>" in folder.picture.read_text()
    assert folder.picture.stat().st_mtime_ns > flushed[0]


def test_a_run_keeps_its_page_until_it_has_finished(tmp_path) -> None:
    page = tmp_path / "kept" / "loss.html"

    def loss(x) -> float:
        wait_for(page)
        return float(x @ x)

    shoal.run(
        shoal.Problem(loss, [shoal.Parameter(name="a", initial=0.5, lower=-1, upper=2)]),
        name="kept",
        exit_conditions=[shoal.MaxTotalFunctionCalls(max=5)],
        optimizers=[shoal.Scipy()],
        store={"location": str(tmp_path), "picture_s": OFTEN_S},
    )
    wait_for_the_last()
    assert 'data-status="finished"' in page.read_text()


def test_a_run_that_ends_before_its_first_picture_is_due_has_none(write) -> None:
    folder = RunFolder(write("short"))
    for every_s in (NEVER_S, 0.0):
        with kept_picture(folder, every_s, None, lambda: pytest.fail("nothing is drawn"), LOGGER):
            pass
    assert not folder.picture.exists()


def test_what_goes_wrong_is_one_warning(tmp_path, caplog) -> None:
    said = threading.Event()
    LOGGER.addFilter(heard := lambda record: said.set() or True)
    with kept_picture(RunFolder(tmp_path / "nowhere"), OFTEN_S, None, lambda: None, LOGGER):
        said.wait()
    wait_for_the_last()
    LOGGER.removeFilter(heard)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "The picture of the run cannot be drawn: " in caplog.text
    assert "nowhere" in caplog.text


def test_a_store_that_cannot_be_flushed_is_left_to_whoever_closes_it(write) -> None:
    folder = RunFolder(write("full"))

    def flush() -> None:
        raise StoreError("the disk is full")

    with kept_picture(folder, OFTEN_S, None, flush, LOGGER):
        wait_for(folder.picture)
    assert LAST not in [thread.name for thread in threading.enumerate()]


def test_a_session_whose_time_is_up_does_not_wait_for_its_last_picture(write) -> None:
    folder = RunFolder(write("late"))
    with kept_picture(folder, OFTEN_S, 0.0, lambda: folder.picture.unlink(), LOGGER):
        wait_for(folder.picture)
    wait_for_the_last()
    assert not folder.picture.exists()


def test_an_error_of_the_run_is_passed_on_and_drawn(write) -> None:
    folder = RunFolder(write("broken"))
    flushes = []

    def fail() -> None:
        with kept_picture(folder, OFTEN_S, None, lambda: flushes.append(1), LOGGER):
            wait_for(folder.picture)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    wait_for_the_last()
    assert flushes == [1]
    assert [path.name for path in folder.path.iterdir() if path.name.endswith(".partial")] == []
