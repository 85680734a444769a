"""The site that `make docs` makes of docs/."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

pytestmark = pytest.mark.one_python


def build(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", docs, site]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    ended = build(ROOT / "docs", folder)
    assert (ended.returncode, ended.stderr) == (0, "")  # a link that leads nowhere is a warning
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").exists(), page


def test_it_loads_nothing_from_anywhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]*)"|<link[^>]* href="([^"]*)"', text)
        assert [one or other for one, other in loaded if re.match(r"(https?:)?//", one or other)] == []


def test_a_message_is_found_by_its_code(site: Path) -> None:
    text = (site / "troubleshooting.html").read_text(encoding="utf-8")
    assert 'id="host-key-changed"' in text


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "conf.py").write_text(
        (ROOT / "docs" / "conf.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (tmp_path / "index.md").write_text("# It\n\n[gone](gone.md)\n", encoding="utf-8")
    assert "gone.md" in build(tmp_path, tmp_path / "site").stderr
