"""The page as people see it: in Chromium, light and dark, on a desk and on a phone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.output import html
from tests.support.browser import Browser
from tests.support.states import STATES

WIDER = """[...document.querySelectorAll('body *')]
    .filter(e => !e.closest('.skip') && !e.closest('thead') && e.getBoundingClientRect().right > innerWidth + 0.5)
    .map(e => e.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_the_page_is_well_made(browser: Browser, state: str, dark: bool, width: int, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(html.page(STATES[state]()), encoding="utf-8")
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
    for state in STATES.values():
        path.write_text(html.page(state()), encoding="utf-8")
        browser.show(path, width)
        browser.value("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert browser.value(WIDER) == []
        assert browser.value("document.documentElement.scrollWidth") <= width


def test_the_plan_can_be_unfolded_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(html.page(STATES["drift"]()), encoding="utf-8")
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
