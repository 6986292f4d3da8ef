"""The page in a real browser, with a mouse: what people look at, point at, click and type.

Invariants: pointing at a curve says who, which evaluation and which loss, and pointing at an icon the full reason; a
click on a curve shows it alone and another shows all; the box shows a subset; each choice of colours, each panel and
both themes draw without an error; nothing is asked of any network.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.pictures.page import page
from flows.pictures.reading import Picture, read_picture
from optim.journal import EventKind
from optim.store import open_run

pytest.importorskip("selenium")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

WAIT_S = 60


class Page:
    """One page that is open in the browser."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        self.url = path.as_uri()
        driver.get(self.url)
        self.wait(lambda: self.drawn())
        self.first_colours = self.run("return document.getElementById('colour-by').selectedOptions[0].text")

    def wait(self, until: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, WAIT_S, poll_frequency=0.02).until(lambda _: until())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def drawn(self) -> int:
        return int(self.run("return document.body.dataset.drawn || 0"))

    def doing(self, action: Callable[[], Any]) -> None:
        """Do something that has the plots drawn again, and wait for that."""
        before = self.drawn()
        action()
        self.wait(lambda: self.drawn() > before)

    def element(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def move_to(self, evaluation: float, loss: float, plot: str, beside_px: int) -> None:
        """Move the mouse to a place of a plot, in the numbers of its axes, or a little to the right of it."""
        fits = """
            const plot = document.getElementById(arguments[0]), {width, height} = plot._fullLayout;
            return Math.abs(width - plot.offsetWidth) < 1 && Math.abs(height - plot.offsetHeight) < 1;
            """
        self.wait(lambda: self.run(fits, plot))  # else it is drawn again, elsewhere, a moment later
        x, y = self.run(
            """
            const plot = document.getElementById(arguments[0]), {xaxis, yaxis} = plot._fullLayout;
            const box = plot.getBoundingClientRect();
            return [box.x + xaxis._offset + xaxis.d2p(arguments[1]), box.y + yaxis._offset + yaxis.d2p(arguments[2])];
            """,
            plot,
            evaluation,
            loss,
        )
        chain = ActionChains(self.driver, duration=0)
        chain.w3c_actions.pointer_action.move_to_location(round(x) + beside_px - 5, round(y) - 5)
        chain.w3c_actions.pointer_action.move_to_location(round(x) + beside_px, round(y))
        chain.perform()

    def reset(self) -> None:
        """As it was when it was opened."""
        self.run("document.getElementById('scaled').checked = false")
        self.element("tab-best").click()
        self.colour_by(self.first_colours)
        self.doing(self.element("all").click)

    def colour_by(self, title: str) -> int:
        """Share colours out otherwise; how many there are then."""
        script = """
            const box = document.getElementById("colour-by");
            box.value = [...box.options].find((option) => option.text === arguments[0]).value;
            box.dispatchEvent(new Event("change"));
            """
        self.doing(lambda: self.run(script, title))
        return len(self.colours())

    def hover(self, evaluation: float, loss: float, plot: str = "plot-losses", beside_px: int = 0) -> str:
        """What is said of a place; lines as lines."""
        self.run("Plotly.Fx.unhover(arguments[0])", plot)
        self.move_to(evaluation, loss, plot, beside_px)
        said = """
            const label = document.getElementById(arguments[0]).querySelector(".hoverlayer .nums");
            const lines = label && (label.querySelector(".line") ? [...label.children] : [label]);
            return lines && lines.map((line) => line.textContent).join("\\n");
            """
        text: str = self.wait(lambda: self.run(said, plot))
        return text

    def click(self, evaluation: float, loss: float, plot: str = "plot-losses") -> None:
        self.hover(evaluation, loss, plot)
        self.doing(lambda: ActionChains(self.driver, duration=0).click().perform())

    def curves(self, plot: str = "plot-losses") -> set[int]:
        """Whose curves are drawn."""
        numbers = """
            const curves = document.getElementById(arguments[0]).data.filter((it) => it.meta?.role === "curves");
            return [...new Set(curves.flatMap((trace) => Array.from(trace.customdata)))];
            """
        return set(self.run(numbers, plot))

    def icons(self) -> set[int]:
        numbers = """
            const icons = document.getElementById("plot-losses").data.filter((it) => it.meta?.role === "icons");
            return icons.flatMap((trace) => Array.from(trace.customdata));
            """
        return set(self.run(numbers))

    def colours(self) -> set[str]:
        return set(
            self.run(
                "return document.getElementById('plot-losses').data.filter((it) => it.meta?.role === 'curves')"
                ".map((it) => it.line.color)"
            )
        )


@pytest.fixture(scope="module")
def opened(
    driver: Any, rich_picture: Picture, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Page]:
    """Open the page of `rich`, or another."""

    def open_it(picture: Picture = rich_picture, chosen: str = "") -> Page:
        path = tmp_path_factory.mktemp("page") / "loss.html"
        path.write_text(page(picture, chosen))
        return Page(driver, path)

    return open_it


@pytest.fixture(scope="module")
def rich_page(opened: Callable[..., Page]) -> Page:
    return opened()


@pytest.fixture
def shown(rich_page: Page, driver: Any) -> Iterator[Page]:
    """The page of `rich`, as when it was opened."""
    if driver.current_url != rich_page.url:
        driver.get(rich_page.url)
        rich_page.wait(rich_page.drawn)
    rich_page.reset()
    driver.get_log("browser")
    yield rich_page
    assert [entry["message"] for entry in driver.get_log("browser")] == []


def point_of(picture: Picture, number: int, at: int = 25) -> tuple[int, float]:
    curves = picture.curves
    place = (curves.optimizers == number).nonzero()[0][at]
    return int(curves.evaluations[place]), float(curves.losses[place])


def test_pointing_at_a_curve_says_who_which_evaluation_and_which_loss(shown, rich_picture) -> None:
    evaluation, loss = point_of(rich_picture, 2)
    assert shown.hover(evaluation, loss) == f"(2) loss: {evaluation}, {loss:.6g}"


def test_pointing_at_an_icon_gives_the_full_reason(shown, rich_picture) -> None:
    said = shown.hover(*rich_picture.icon_places[2], beside_px=3)
    assert "(2) Nelder-Mead: stopped by a stopper at evaluation 281" in said
    assert (
        "MaxInteroptimizerDistance: at a distance of 0.0127 from optimizer 1, at most 0.0141"
        in said.replace("\n", " ")
    )
    assert "still running" in shown.hover(*rich_picture.icon_places[7], beside_px=3)


def test_a_click_on_a_curve_shows_it_alone_and_another_shows_all(shown, rich_picture) -> None:
    everyone = set(range(1, 8))
    assert shown.curves() == shown.icons() == everyone
    shown.click(*point_of(rich_picture, 5))
    assert shown.curves() == shown.icons() == {5}
    assert shown.element("chosen").get_property("value") == "5"
    shown.click(*point_of(rich_picture, 5))
    assert shown.curves() == shown.icons() == everyone


def test_the_box_shows_a_subset_and_show_all_everybody(shown) -> None:
    box = shown.element("chosen")
    box.send_keys("2 4 7")
    shown.doing(shown.element("only").click)
    assert shown.curves() == shown.icons() == {2, 4, 7}
    assert shown.element("shown").text == "3 of 7 shown"
    shown.doing(shown.element("all").click)
    assert shown.curves() == shown.icons() == set(range(1, 8))
    box.send_keys("1, 6")
    shown.doing(lambda: box.send_keys(Keys.ENTER))
    assert shown.curves() == {1, 6}


def test_a_number_that_is_not_there_is_said_and_changes_nothing(shown) -> None:
    shown.element("chosen").send_keys("2 99 x")
    shown.element("only").click()
    assert shown.element("shown").text == "there is no optimizer 99, x; there are 1 to 7"
    assert shown.curves() == set(range(1, 8))


def test_colours_go_by_optimizer_by_type_or_by_final_minimum(shown) -> None:
    assert shown.colour_by("type") == 2
    assert "CMAES" in shown.element("legend").text
    assert shown.colour_by("optimizer") == 7
    assert shown.colour_by("final minimum") == 7


def test_an_entry_of_the_legend_shows_those_that_it_is_about(shown) -> None:
    entry = shown.driver.find_element("xpath", "//div[@id='legend']/button[contains(., 'gave up')]")
    shown.doing(entry.click)
    assert shown.curves() == {4}


def test_every_panel_draws_what_it_is_about(shown) -> None:
    for panel in ("best", "parameters", "plane", "final", "alive"):
        shown.element(f"tab-{panel}").click()
        is_drawn = "return document.getElementById(arguments[0])?.data?.some((trace) => trace.x?.length)"
        assert shown.wait(functools.partial(shown.run, is_drawn, f"plot-{panel}"))
    shown.element("tab-minima").click()
    rows = shown.driver.find_elements("css selector", "#minima tbody tr")
    assert len(rows) == 7
    shown.doing(rows[2].find_element("tag name", "button").click)
    assert shown.curves() == {3}


def test_parameters_are_shown_as_they_are_or_scaled(shown, rich_picture) -> None:
    shown.element("tab-parameters").click()
    shown.wait(lambda: shown.run("return document.getElementById('plot-parameters')?.data?.length"))

    def axis() -> Any:
        return shown.run("return document.getElementById('plot-parameters').layout.yaxis.title.text")

    assert axis() == "eps (hartree)"
    evaluation, _ = point_of(rich_picture, 2)
    assert re.fullmatch(r"\(2\) \d+, 0\.1", shown.hover(evaluation, 0.1, "plot-parameters"))
    shown.element("scaled").click()
    shown.wait(lambda: axis() == "eps, from lower (0) to upper bound (1)")
    assert re.fullmatch(r"\(2\) \d+, 0\.8", shown.hover(evaluation, 0.8, "plot-parameters"))


def test_a_click_on_the_plane_shows_that_optimizer_alone(shown) -> None:
    shown.element("tab-plane").click()
    shown.wait(lambda: shown.run("return document.getElementById('plot-plane')?.data?.length"))
    shown.click(10**-1.5, 1 + 3 / 2 + 10 / 200, "plot-plane")
    assert shown.curves() == shown.curves("plot-plane") == {3}


def test_a_dark_page_has_light_text_and_colours_of_its_own(shown) -> None:
    def with_theme(theme: str) -> tuple[str, str, set[str]]:
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        shown.doing(lambda: shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media))
        body = "return getComputedStyle(document.body).backgroundColor"
        text = "return getComputedStyle(document.querySelector('#plot-losses .xtitle')).fill"
        return shown.run(body), shown.run(text), shown.colours()

    dark, light = with_theme("dark"), with_theme("light")
    assert light[:2] == ("rgb(255, 255, 255)", "rgb(28, 36, 48)")
    assert dark[:2] == ("rgb(21, 26, 33)", "rgb(228, 232, 238)")
    assert not light[2] & dark[2]


def test_all_of_it_is_visible_on_a_laptop(shown) -> None:
    width, height = shown.run("return [window.innerWidth, window.innerHeight]")
    assert shown.run(
        "return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    ) == [
        width,
        height,
    ]
    assert (
        shown.run("return document.getElementById('plot-losses').getBoundingClientRect().height") > height / 2
    )


def test_nothing_is_asked_of_a_network(shown, driver) -> None:
    for tab in driver.find_elements("css selector", "[role=tab]"):
        tab.click()
    log = [
        json.loads(entry["message"])["message"] for entry in driver.get_log("performance")
    ]  # of all tests before
    asked = {
        entry["params"]["request"]["url"].partition(":")[0]
        for entry in log
        if entry["method"] == "Network.requestWillBeSent"
    }
    assert "file" in asked
    assert asked <= {"file", "data", "blob", "chrome", "chrome-untrusted"}  # the last two for a new tab


def test_what_a_store_says_is_text_and_never_markup(opened, driver, write) -> None:
    evil = "<img src=x onerror='window.owned=1'></script><script>window.owned=1</script>%{x} &lt;b&gt;"

    def story(author: Any) -> None:
        author.spawn(1, evil)
        author.evaluate(1, 1.0)
        author.evaluate(1, 2.0)
        author.event(EventKind.INTERVENTION, text=evil)
        author.event(EventKind.STOPPED, 1, evil)

    run = write("evil", story, status=evil, reason=evil, problem=evil)
    shown = opened(read_picture("evil", open_run(run / "run.zarr")), chosen="1")
    said = shown.hover(2, 2.0, beside_px=3).replace("\n", "")
    assert "<img src=x onerror='window.owned=1'></script>" in said
    assert "%{x} &lt;b&gt;" in said
    for tab in driver.find_elements("css selector", "[role=tab]"):
        tab.click()
    assert shown.run("return window.owned") is None
    shown.colour_by("type")
    assert evil in shown.element("legend").text


@pytest.mark.parametrize("curves", ["none", "failed"])
def test_a_run_with_next_to_nothing_is_drawn(opened, driver, write, curves) -> None:
    def story(author: Any) -> None:
        if curves == "none":
            return
        author.spawn(1)
        author.evaluate(1, float("nan"))

    run = write(f"little-{curves}", story, status="running")
    driver.get_log("browser")
    shown = opened(read_picture("little", open_run(run / "run.zarr")))
    for tab in driver.find_elements("css selector", "[role=tab]"):
        tab.click()
    shown.doing(shown.element("all").click)
    assert shown.icons() == (set() if curves == "none" else {1})
    assert driver.get_log("browser") == []
