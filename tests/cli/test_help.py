"""What `--help` tells of every command: whole, in the reader's words, and true."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli import usage
from reconciler.cli.app import MODULES, run
from reconciler.cli.contents import COMMON, ENTRIES, VARIABLES
from reconciler.cli.exit import Code
from tests import ROOT
from tools import reference

NAMES = list(ENTRIES)
CLI = ROOT / "reconciler" / "cli"


def shown(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    assert run([*arguments, "--help"]) == 0
    return str(capsys.readouterr().out)


@pytest.fixture(params=["60", "80"])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", request.param)
    return int(request.param)


@pytest.mark.parametrize("name", ["", *NAMES])
def test_nothing_is_cut_and_nothing_is_of_the_insides(
    name: str, columns: int, capsys: pytest.CaptureFixture
) -> None:
    text = shown(capsys, *filter(None, [name]))
    body = text.partition("\n")[2]  # a usage line has `[ENV]...`
    assert not re.search(r"\.\.\.", body)
    assert not re.search(r"<[a-z]|<=|\{|\[\[|\[default|\[required", text)
    assert max(map(len, text.splitlines())) <= columns


@pytest.mark.parametrize("name", NAMES)
def test_every_command_tells_all_of_its_flags_and_what_they_are_for(
    name: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = " ".join(shown(capsys, name).split())
    assert ENTRIES[name].help in text
    for flag, why in reference.flags(reference.commands()[name]):
        assert f"{flag} {why}" in text


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name in NAMES for line in ENTRIES[name].examples]
)
def test_every_example_is_shown_and_parses(
    name: str, line: str, columns: int, capsys: pytest.CaptureFixture
) -> None:
    assert f"\n  {line}\n" in shown(capsys, name)  # in one line, to be copied
    program, *words = shlex.split(line)
    assert (program, words[0]) == ("reconcile", name)
    command = reference.commands()[name]
    with command.make_context(name, words[1:]) as context:
        assert set(context.params) >= {each.name for each in command.params}


def test_every_command_has_an_example() -> None:
    assert [name for name, each in ENTRIES.items() if not each.examples] == []
    assert set(ENTRIES) == set(reference.commands())


def codes_in(name: str) -> set[Code]:
    """The codes that the module of a command names."""
    tree = ast.parse((CLI / f"{MODULES.get(name, name)}.py").read_text(encoding="utf-8"))
    return {
        Code[node.attr]
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code"
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_exit_code_of_a_command_is_told(name: str, capsys: pytest.CaptureFixture) -> None:
    listed = shown(capsys, name).partition("Exit codes:\n")[2].partition("\n\n")[0]
    told = {Code(int(each)) for each in re.findall(r"(?m)^  (\d+) ", listed)}
    assert told == set(ENTRIES[name].codes()) >= {*COMMON, *codes_in(name)}


def test_apply_tells_what_its_rounds_end_with(capsys: pytest.CaptureFixture) -> None:
    for module in ("run", "saved"):
        tree = (CLI / f"{module}.py").read_text(encoding="utf-8")
        assert {Code[each] for each in re.findall(r"Code\.([A-Z_]+)", tree)} <= set(ENTRIES["apply"].codes())


@pytest.mark.parametrize("name", NAMES)
def test_flags_are_below_headings(name: str) -> None:
    command = reference.commands()[name]
    found = usage.headed(command.params)
    assert sorted(found) == sorted({*found} & {usage.OTHERS, *usage.FLAGS})
    assert "--json" in {flag for each in found["What is printed"] for flag in each.opts}


def used(variable: str) -> Iterator[Path]:
    for file in (ROOT / "reconciler").rglob("*.py"):
        if file.name != "contents.py" and re.search(rf'"{variable}"', file.read_text(encoding="utf-8")):
            yield file


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_variables_that_are_told_count(variable: str) -> None:
    assert list(used(variable))
    assert any(variable in usage.variables(reference.commands()[name], ENTRIES[name]) for name in NAMES)


@pytest.mark.parametrize(
    ("variables", "bold"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_headings_are_bold_only_where_colours_are_wanted(
    variables: dict[str, str], bold: bool, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    plain = shown(capsys, "plan")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    text = shown(capsys, "plan")
    assert ("\x1b[1mExamples:\x1b[0m\n" in text) == bold
    assert re.sub(r"\x1b\[\d+m", "", text) == plain
    assert ("\x1b[1mLook:" in shown(capsys)) == bold
