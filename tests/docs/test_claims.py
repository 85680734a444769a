"""The threat model and what is promised: beside every claim a test that there is, or the word that nothing holds it."""

from __future__ import annotations

import ast
import re

import pytest

from tests import ROOT

PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("threat-model", "quality")
}
NODE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def claims(page: str) -> list[str]:
    """The bullets of a page, each in one line."""
    return [" ".join(each.split()) for each in re.findall(r"^- (.*(?:\n  .*)*)", page, re.MULTILINE)]


def functions_of(path: str) -> set[str]:
    file = ROOT / path
    if not file.exists():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


@each_page
def test_every_claim_names_a_test_or_says_that_nothing_holds_it(page: str) -> None:
    assert len(claims(page)) > 20
    bare = [each for each in claims(page) if not NODE.search(each) and "*not held yet*" not in each]
    assert bare == []


@each_page
def test_every_test_that_is_named_exists(page: str) -> None:
    named = NODE.findall(page)
    assert [f"{path}::{name}" for path, name in named if name not in functions_of(path)] == []
    assert page.count("::test_") == len(named), "one is not written as `PATH::NAME`"


def test_everybody_is_told_of() -> None:
    headings = " ".join(re.findall("^## (.*)", PAGES["threat-model"], re.MULTILINE))
    for who in (
        "author",
        "approver",
        "CI",
        "controlling machine",
        "primary",
        "replica",
        "sync account",
        "CA",
        "DNS",
    ):
        assert who in headings
