"""The first page and the tutorial: what they show is so, and what they tell to type can be typed."""

from __future__ import annotations

import re
import shlex

import pytest

from tests import ROOT
from tools import reference

INDEX = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
OTHERS = {"cat $lab", "PATH=$PWD/.venv/bin:$PATH"}


def typed() -> list[str]:
    return re.findall(r"(?m)^    (\S.*)$", TUTORIAL)


@pytest.mark.parametrize("line", typed())
def test_every_line_of_the_tutorial_can_be_typed(line: str) -> None:
    words = shlex.split(line)
    if words[0] == "reconcile":
        with reference.commands()[words[1]].make_context(words[1], words[2:]):
            return
    elif words[0] == ".venv/bin/python":
        from lab.__main__ import _parser

        assert words[1:3] == ["-m", "lab"]
        assert callable(_parser().parse_args(words[3:]).action)
    elif made := re.search(r"\bmake ([a-z-]+)", line):
        assert made[1] in TARGETS
    else:
        assert line in OTHERS


def test_the_tutorial_goes_from_nothing_to_a_renewed_certificate() -> None:
    steps = [words[1] if words[0] == "reconcile" else words[0] for words in map(shlex.split, typed())]
    order = ["make", "validate", "plan", "apply", "verify", "drift", "history"]
    assert [steps.index(each) for each in order] == sorted(steps.index(each) for each in order)
    assert "reconcile apply $lab --replace certificate" in typed()


def test_the_first_page_has_the_installation_a_picture_and_a_plan() -> None:
    above = INDEX.partition("```{toctree}")[0]
    assert re.search(r"(?m)^    git clone \S+ && make -C reconcile setup$", above)
    (picture,) = re.findall(r"!\[[^]]+\]\((\S+)\)", above)
    assert (ROOT / "docs" / picture).read_text(encoding="utf-8").startswith("<svg ")
    plan = re.search(r"```\nPlan: .*?```", above, re.DOTALL)
    assert plan
    assert plan[0] in README  # which tests/cli/test_commands.py compares with the program


def test_there_are_four_sections() -> None:
    captions = re.findall(r"(?m)^:caption: (.*)$", INDEX)
    assert captions == ["Tutorial", "How to", "Reference", "Explanation"]
