"""The site on a phone: no page scrolls sideways, and no table does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import ROOT
from tests.docs.test_site import build
from tests.support.browser import Browser

pytestmark = pytest.mark.one_python

WIDTH = 360
PAGES = sorted(path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md"))
WIDER = """[...document.querySelectorAll('table, .table-wrapper')]
    .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.textContent.trim().slice(0, 60))"""
NARROW = """[...document.querySelectorAll('td')]
    .filter(each => each.textContent.trim().length > 8 && each.getBoundingClientRect().width < 60).length"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    ended = build(ROOT / "docs", folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_nothing_scrolls_sideways(page: Path, site: Path, browser: Browser) -> None:
    browser.show(site / page.with_suffix(".html"), WIDTH)
    assert browser.value("document.documentElement.scrollWidth") <= WIDTH
    assert browser.value(WIDER) == []
    assert browser.value(NARROW) == 0


def test_a_wide_window_has_tables(site: Path, browser: Browser) -> None:
    browser.show(site / "kinds.html", 1400)
    assert browser.value("getComputedStyle(document.querySelector('td')).display") == "table-cell"
