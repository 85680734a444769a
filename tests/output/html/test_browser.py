"""The page as people see it: in Chromium, light and dark, on a desk and on a phone."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.output import html
from tests.support.browser import Browser
from tests.support.states import FRAME, STATES

pytestmark = pytest.mark.one_python

WIDER = """[...document.querySelectorAll('body *')]
    .filter(e => !e.closest('.skip') && !e.closest('thead') && e.getBoundingClientRect().right > innerWidth + 0.5)
    .map(e => e.outerHTML.slice(0, 120))"""


def made(page: str, **ago: float) -> str:
    """The page as if it had been made some time before it is looked at now."""
    moment = datetime.now(UTC) - timedelta(**ago)
    return re.sub('data-made="[^"]*"', f'data-made="{moment:%Y-%m-%dT%H:%M:%SZ}"', page, count=1)


def page_of(state: str) -> str:
    """A page that was just made; `old` is one of three days ago, `all` the page over several environments."""
    if state == "old":
        return made(html.page(STATES["well"]()), days=3)
    if state == "all":
        rows = [html.Row(name=name, page=f"{name}.html", facts=told()) for name, told in STATES.items()]
        broken = html.Row(name="broken", errors=["environments/broken.yaml:3:1: unknown key `hots`"])
        return made(html.overview(FRAME, [*rows, broken]))
    return made(html.page(STATES[state]()))


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize(
    ("state", "dark"),
    [
        *(pytest.param(state, False, id=f"{state}-light") for state in (*STATES, "old", "all")),
        pytest.param("all", True, id="all-dark"),
        *(
            pytest.param(state, True, id=f"{state}-dark", marks=pytest.mark.gate)
            for state in (*STATES, "old")
        ),
    ],
)
def test_the_page_is_well_made(browser: Browser, state: str, dark: bool, width: int, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page_of(state), encoding="utf-8")
    browser.show(path, width, dark=dark)
    if folder := os.environ.get(
        "PICTURES"
    ):  # to look at them: PICTURES=/tmp/x pytest tests/test_page_browser.py
        browser.picture(Path(folder) / f"{state}-{'dark' if dark else 'light'}-{width}.png")
    assert browser.complaints() == []
    for opened in ("false", "true"):
        browser.value(f"document.querySelectorAll('details').forEach(e => e.open = {opened})")
        assert browser.value(WIDER) == []
        assert browser.value("document.documentElement.scrollWidth") <= width
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, background.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (brightness < 200) == dark
    assert browser.axe() == []


@pytest.mark.parametrize("width", [320, 740, 800, 1000])
def test_nothing_is_wider_than_any_screen(browser: Browser, width: int, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for state in (*STATES, "all"):
        path.write_text(page_of(state), encoding="utf-8")
        browser.show(path, width)
        browser.value("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert browser.value(WIDER) == []
        assert browser.value("document.documentElement.scrollWidth") <= width


def test_the_plan_can_be_unfolded_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page_of("drift"), encoding="utf-8")
    browser.show(path, 1400)
    browser.value("document.querySelectorAll('details').forEach(e => e.open = false)")
    browser.press("Tab")
    assert browser.value("document.activeElement.className") == "skip"
    for _ in range(60):
        browser.press("Tab")
        if browser.value("document.activeElement.tagName") == "SUMMARY":
            break
    browser.press("Enter")
    assert browser.value("document.querySelectorAll('details[open]').length") == 1


def test_the_policy_forbids_what_an_escape_could_have_missed(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    text = html.page(STATES["well"]())
    evil = "<script>document.title = 'run'</script><img src=http://127.0.0.1:9/x.png onerror=alert(1)>"
    path.write_text(text.replace("</main>", f"{evil}</main>"), encoding="utf-8")
    browser.show(path, 1400)
    assert browser.value("document.title") != "run"
    assert browser.complaints() != []


SHOWN = """[...document.querySelectorAll('.asof .age, .stale')]
    .filter(e => getComputedStyle(e).visibility == 'visible').map(e => e.dataset.words)"""
COLOURS = "getComputedStyle(document.querySelector('main .aging')).filter"


@pytest.mark.parametrize(
    ("ago", "words", "is_stale"),
    [
        ({"minutes": 5}, [], False),
        ({"minutes": 20}, [", more than 15 minutes ago"], False),
        ({"hours": 23.9}, [", more than 12 hours ago"], False),
        ({"hours": 24.1}, [", more than 1 day ago"], True),
        ({"days": 4000}, [", more than 365 days ago"], True),
    ],
)
def test_a_page_says_how_old_it_is(
    browser: Browser, tmp_path: Path, ago: dict[str, float], words: list[str], is_stale: bool
) -> None:
    path = tmp_path / "page.html"
    path.write_text(made(html.page(STATES["well"]()), **ago), encoding="utf-8")
    browser.show(path, 1400)
    shown = browser.value(SHOWN)
    banner = "This page is more than 24 hours old: it says nothing of today. Make it anew: reconcile report"
    assert [each for each in shown if not each.startswith("This")] == words
    assert any(each.startswith(banner) for each in shown) == is_stale
    assert browser.value(COLOURS) == ("grayscale(1)" if is_stale else "none")
    assert browser.complaints() == []


def test_without_a_script_the_words_count_from_when_it_was_loaded(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    text = made(html.page(STATES["well"]()), days=30)
    text = re.sub("<script>.*?</script>", "", text).replace("--from:86400s", "--from:1s")
    path.write_text(text, encoding="utf-8")
    browser.show(path, 1400)
    assert browser.value(SHOWN) == []
    time.sleep(1.2)
    assert len(browser.value(SHOWN)) == 2  # the banner, and the words of the same age
    assert browser.value(COLOURS) == "grayscale(1)"
