"""`shoal plot`: the page, and pictures for papers, as files.

Invariants: the page of any run, also of one in which nothing has happened, is one file that names no other; what a
file name stands for is never lost without --force, and no link is followed; nothing that draws is imported for help or
for other commands; what is missing or wrong is one message.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import exit_code, shoal
from flows.pictures.page import page
from flows.pictures.reading import read_picture
from optim.errors import ShoalError
from optim.store import open_run

EVIL = "</script><script>alert(1)</script>\x1b[2J\u2028$x_{$ %{x} <b>&amp;"


def plot(location, *words):
    """Exit code, and what was said."""
    arguments = ["plot", *map(str, words), "--location", str(location)]
    result = CliRunner().invoke(shoal, arguments, standalone_mode=False)
    if isinstance(result.exception, ShoalError):
        return exit_code(result.exception), str(result.exception)
    if result.exception is not None:
        raise result.exception
    return 0, result.output


class Elements(HTMLParser):
    """Counts elements, and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts, self.references = 0, []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.scripts += tag == "script"
        self.references += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_goes_into_the_folder_of_the_run(rich_run, location) -> None:
    assert plot(location, "rich") == (0, f"rich is drawn in {rich_run / 'loss.html'}\n")
    assert plot(location, "rich")[0] == 0  # it is derived, and written anew
    assert sorted(path.name for path in rich_run.iterdir()) == ["inbox", "loss.html", "run.toml", "run.zarr"]


def test_the_page_is_one_file_that_refers_to_nothing(rich_picture) -> None:
    elements = Elements(page(rich_picture))
    assert elements.scripts == 3  # data, plotly.js, ours
    assert elements.references == []
    assert "default-src 'none'" in page(rich_picture)


def test_what_a_store_says_stays_text(write) -> None:
    def story(author) -> None:
        author.spawn(1, EVIL)
        author.evaluate(1, 1.0)

    path = write("text", story, status=EVIL, reason=EVIL, problem=EVIL)
    text = page(read_picture("text", open_run(path / "run.zarr")), EVIL)
    assert Elements(text).scripts == 3
    assert "alert(1)</script>" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("evaluations", [0, 1])
def test_a_run_in_which_next_to_nothing_has_happened_is_drawn(write, location, tmp_path, evaluations) -> None:
    def story(author) -> None:
        if evaluations:
            author.spawn(1)
            author.evaluate(1, float("nan"))

    name = f"empty{evaluations}"
    write(name, story)
    png, svg = tmp_path / "a.png", tmp_path / "a.svg"
    assert plot(location, name)[0] == 0
    assert plot(location, name, "--png", png, "--svg", svg)[0] == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text().startswith("<?xml")


def test_a_file_that_is_there_is_written_over_only_by_force(rich_run, location, tmp_path) -> None:
    precious, link = tmp_path / "precious", tmp_path / "link.html"
    precious.write_text("mine")
    link.symlink_to(precious)
    for option in ("--output", "--png", "--svg"):
        assert plot(location, "rich", option, link) == (
            2,
            f"{link} is there already; name another file, or write over it with --force",
        )
    assert plot(location, "rich", "--output", link, "--force")[0] == 0
    assert precious.read_text() == "mine"
    assert "<!DOCTYPE html>" in link.read_text()


def test_a_place_that_cannot_be_written_is_said(rich_run, location, tmp_path) -> None:
    code, said = plot(location, "rich", "--output", tmp_path / "nowhere" / "a.html")
    assert (code, "No such file or directory; name another file" in said) == (1, True)


def test_a_file_system_that_refuses_everything_is_said(rich_run, location, tmp_path, monkeypatch) -> None:
    def refuse(*_, **__) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    code, said = plot(location, "rich", "--output", tmp_path / "a.html")
    assert (code, "Read-only file system; name another file" in said) == (1, True)


def test_pictures_for_papers_are_the_same_each_time(rich_run, location, tmp_path) -> None:
    first, second = tmp_path / "1.svg", tmp_path / "2.svg"
    for path in (first, second):
        assert plot(location, "rich", "--svg", path)[0] == 0
    text = first.read_text()
    assert text == second.read_text()
    for words in ("evaluation", "loss", "stopped by a stopper (1)", "still running (1)", "validation loss"):
        assert f">{words}</text>" in text


def test_a_paper_shows_the_chosen_optimizers_and_takes_no_formula_from_a_store(
    write, location, tmp_path
) -> None:
    def story(author) -> None:
        for number in range(1, 10):
            author.spawn(number, EVIL if number == 1 else "CMAES")
            author.evaluate(number, 1.0)

    write("formula", story)
    svg = tmp_path / "a.svg"
    assert plot(location, "formula", "--svg", svg)[0] == 0
    assert "$x_{$" in svg.read_text()
    assert "still running (9)" in svg.read_text()
    assert plot(location, "formula", "--svg", svg, "--force", "--optimizers", "2, 4 7")[0] == 0
    assert "still running (3)" in svg.read_text()


@pytest.mark.parametrize("numbers", ["0", "8", "x", "-1", "1 99"])
def test_an_optimizer_that_is_not_there_is_said(rich_run, location, numbers) -> None:
    import click

    with pytest.raises(
        click.BadParameter, match=f"there is no optimizer {numbers.split()[-1]}; the run has 1 to 7"
    ):
        plot(location, "rich", "--optimizers", numbers)


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["--help"], ["plotly", "matplotlib"]),
        (["plot", "--help"], ["plotly", "matplotlib", "numpy"]),
        (["show", "rich"], ["plotly", "matplotlib"]),
        (["plot", "rich"], ["matplotlib", "pandas", "xarray", "zarr", "prefect", "dask"]),
    ],
)
def test_what_draws_is_imported_only_where_it_draws(rich_run, location, words, unwanted) -> None:
    code = (
        f"import sys; from flows.cli import shoal; shoal.main({words}, standalone_mode=False);"
        f"print([name for name in {unwanted} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SHOAL_LOCATION": str(location)},
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_parts_of_the_page_use_every_placeholder_once(rich_picture) -> None:
    assert not re.search(r"\$\w+", page(rich_picture).split("<script", 1)[0])
