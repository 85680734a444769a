"""The form of environment files: versions, and what `fmt` does to a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.environment.form import VERSION, formatted
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.yaml_reader import parse
from tests import ROOT

FILES = [*(ROOT / "environments").rglob("*.yaml"), *(ROOT / "examples").glob("*.yaml")]


def test_a_version_is_written_before_the_first_key_and_comments_stay() -> None:
    old = "# first\n\n# of it\nenvironment: e  # its name\nhosts: []   \n\n\n"
    new = "# first\n\n# of it\nversion: 1\nenvironment: e  # its name\nhosts: []\n"
    assert formatted("e.yaml", old) == new
    assert formatted("e.yaml", new) == new


@pytest.mark.parametrize(
    "text",
    [
        "{environment: e, hosts: []}\n",
        "version: 2\nenvironment: e   \n",
        "a: [\n",
        "- a\n",
        "",
        "version: 1\na: |\n  blanks that count  \n  end\n",
    ],
)
def test_what_cannot_be_brought_to_it_stays_as_it_is(text: str) -> None:
    assert formatted("e.yaml", text) == text


def test_a_file_all_of_which_is_indented_gets_its_version_as_deep() -> None:
    assert formatted("e.yaml", "  environment: e\n") == "  version: 1\n  environment: e\n"


@given(st.text(st.sampled_from("ab: -|>\n #'\"[]{}\t\r&*!%\x85\u2028"), max_size=40))
def test_whatever_is_in_a_file_it_says_the_same_afterwards(text: str) -> None:
    before, new = parse("e.yaml", text.encode()), formatted("e.yaml", text)
    after = parse("e.yaml", new.encode())
    if before.problems:
        assert new == text
        return
    assert not after.problems
    if new != text and isinstance(before.value, dict) and before.value and "version" not in before.value:
        before.value = {"version": VERSION, **before.value}
    assert after.value == before.value


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_ours_have_it(file: object) -> None:
    text = file.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    assert formatted(str(file), text) == text


def test_a_file_of_a_later_version_is_told_alone() -> None:
    with pytest.raises(InvalidEnvironment) as caught:
        load("e.yaml", b"environment: e\nversion: 2\nnothing: known\n")
    assert [str(each) for each in caught.value.problems] == [
        f"e.yaml:2:10: version 2: this program knows version {VERSION} and earlier; install a newer one"
    ]


@pytest.mark.parametrize("version", ["0", "true", "'1'", "one"])
def test_another_version_is_a_mistake(version: str) -> None:
    with pytest.raises(InvalidEnvironment) as caught:
        load("e.yaml", f"version: {version}\nenvironment: e\nrouter: r.a\nhosts: [{{name: a.b}}]\n".encode())
    assert str(caught.value).startswith("e.yaml:1:10: ")
