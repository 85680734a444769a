"""The flags and commands of other programs: each is refused, and ours is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.cli import neighbours
from reconciler.cli.app import run
from tools import reference

ROWS = {**neighbours.FLAGS, **neighbours.COMMANDS}


def flags_of(name: str) -> set[str]:
    shown = " ".join(flag for flag, _ in reference.flags(reference.commands()[name]))
    return set(re.findall(r"(?<!\S)--?[a-z-]+", shown)) | {"--help"}


@pytest.mark.parametrize("theirs", ROWS)
def test_every_answer_names_a_flag_or_a_command_that_there_is(theirs: str) -> None:
    named = re.findall(r"`([^`]+)`", ROWS[theirs])
    anywhere = set().union(*map(flags_of, reference.commands()))
    found = 0
    for each in named:
        words = re.findall(r"\S+", each.split("'")[0])
        if words[0] == "reconcile" and words[1].startswith("--"):
            assert words[1] in {"--version", "--help", "--install-completion"}
        elif words[0] == "reconcile":
            assert words[1] in reference.commands()
            assert {word for word in words[2:] if word.startswith("-")} <= flags_of(words[1])
        elif words[0].startswith("--"):
            assert words[0] in anywhere
        else:  # a setting of the environment file, or a way to write a name
            continue
        found += 1
    assert found


@pytest.mark.parametrize("flag", neighbours.FLAGS)
@pytest.mark.parametrize("rest", ["", "=x"])
def test_a_flag_of_theirs_is_answered(flag: str, rest: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["apply", "e", flag + rest]) == 64
    err = capsys.readouterr().err
    assert err.startswith("Usage: reconcile apply ")
    assert f"Error: No such option: {flag}. {neighbours.FLAGS[flag]}" in err
    assert not Path("ut=x").exists()
    assert run([flag, "apply", "e"]) == 64
    assert f"Error: No such option: {flag}. {neighbours.FLAGS[flag]}" in capsys.readouterr().err


@pytest.mark.parametrize("name", neighbours.COMMANDS)
def test_a_command_of_theirs_is_answered(name: str, capsys: pytest.CaptureFixture) -> None:
    assert run([name, "e"]) == 64
    err = capsys.readouterr().err
    assert err.startswith("Usage: reconcile ")
    assert err.endswith(f"Error: No such command '{name}'. {neighbours.COMMANDS[name]}\n")


def test_what_is_ours_is_not_theirs(capsys: pytest.CaptureFixture) -> None:
    assert not set(neighbours.COMMANDS) & set(reference.commands())
    for name in reference.commands():
        # Ansible's --check is our `plan`; make's -n is too, and log's, as here, a number.
        ours = flags_of(name) - {"fmt": {"--check"}, "history": {"-n"}}.get(name, set())
        assert not set(neighbours.FLAGS) & ours
    assert run(["plan", "e", "--paralel", "3"]) == 64
    assert "Possible options: --parallel" in capsys.readouterr().err
    assert run(["plann"]) == 64
    assert "Did you mean 'plan'" in capsys.readouterr().err


def test_a_command_without_the_flag_says_so(capsys: pytest.CaptureFixture) -> None:
    assert run(["validate", "e", "--limit", "x"]) == 64
    assert capsys.readouterr().err.endswith(" `reconcile validate` takes no `--host`.\n")
    assert run(["plan", "e", "--limit", "x"]) == 64
    assert capsys.readouterr().err.endswith("or `!NAME`.\n")


@pytest.mark.parametrize("flag", ["-o", "--output"])
def test_a_format_behind_o_is_answered(flag: str, capsys: pytest.CaptureFixture) -> None:
    for word in neighbours.FORMATS:
        assert run(["plan", "e", flag, word]) == 64
        assert f"{flag} {word}: names a file; `--json` prints JSON" in capsys.readouterr().err
        assert not Path(word).exists()
    assert run(["plan", "gone", flag, "./json"]) == 64
    assert "names a file" not in capsys.readouterr().err
