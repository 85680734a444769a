"""The threat model: beside every claim a test that there is, or the word that nothing holds it yet."""

from __future__ import annotations

import ast
import re

from tests import ROOT

PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NODE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def claims() -> list[str]:
    """The bullets of the page, each in one line."""
    return [" ".join(each.split()) for each in re.findall(r"^- (.*(?:\n  .*)*)", PAGE, re.MULTILINE)]


def functions_of(path: str) -> set[str]:
    file = ROOT / path
    if not file.exists():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_every_claim_names_a_test_or_says_that_nothing_holds_it() -> None:
    assert len(claims()) > 30
    bare = [each for each in claims() if not NODE.search(each) and "*not held yet*" not in each]
    assert bare == []


def test_every_test_that_is_named_exists() -> None:
    named = NODE.findall(PAGE)
    assert [f"{path}::{name}" for path, name in named if name not in functions_of(path)] == []
    assert PAGE.count("::test_") == len(named), "one is not written as `PATH::NAME`"


def test_everybody_is_told_of() -> None:
    headings = " ".join(re.findall("^## (.*)", PAGE, re.MULTILINE))
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
