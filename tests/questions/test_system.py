"""Questions that run commands: how a command ended is a fact, that it could not end is none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.model import CannotSee
from reconciler.questions.files import StatQuestion, SumQuestion, TextQuestion
from reconciler.questions.properties import PropertyQuestion
from reconciler.questions.system import CommandQuestion, CommandResult, InstalledQuestion


def asked(*commands: str) -> list[CommandResult | CannotSee]:
    """What this machine answers."""
    questions = [CommandQuestion(each) for each in commands]
    done = subprocess.run(
        ["timeout", "2", "sh", "-s"], input=CommandQuestion.script(questions).encode(), capture_output=True
    )
    return CommandQuestion.parse(done.stdout, questions)


def test_commands_run_side_by_side_and_do_not_disturb_each_other() -> None:
    assert asked(
        "echo a b; exit 3", "cat", "echo 'x", "exec true", "echo one; echo two >&2", "cd /; set -e"
    ) == [
        CommandResult(3, "a b"),
        CommandResult(0, ""),
        CommandResult(2, "sh: 1: eval: Syntax error: Unterminated quoted string"),
        CommandResult(0, ""),
        CommandResult(0, "one\ntwo"),
        CommandResult(0, ""),
    ]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("no-such-program -x", "`no-such-program -x` could not be run, a program is missing: "),
        ("/etc/passwd", "`/etc/passwd` could not be run, it is not executable: "),
        ("sleep 1007", "`sleep 1007` did not end in time [too-long]"),
        ("exit 124", "`exit 124` did not end in time [too-long]"),
        ("sh -c 'kill -9 $$'", "`sh -c 'kill -9 $$'` was ended by signal 9"),
        ("true\nfalse; exit 127", "`true` could not be run"),
        (f"true {'x' * 200}; exit 126", f"`true {'x' * 95} …` could not be run"),
    ],
)
def test_what_could_not_be_run_to_its_end_is_no_fact_and_hides_nothing_else(
    command: str, reason: str
) -> None:
    hidden, seen = asked(command, "echo seen")
    assert isinstance(hidden, CannotSee)
    assert hidden.reason.startswith(reason)
    assert seen == CommandResult(0, "seen")
    if command.startswith("sleep"):
        assert subprocess.run(["pgrep", "-x", "-f", command], capture_output=True).stdout == b""


def test_a_package_database_that_cannot_be_read_holds_no_fact() -> None:
    (answer,) = InstalledQuestion.parse(b"failed\n", [InstalledQuestion("apache2")])
    assert answer == CannotSee("`dpkg-query` fails; try it there")


def test_a_broken_find_or_sed_shows_nothing(tmp_path: Path) -> None:
    for name in ("find", "sed"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 139\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "p").write_text("key=value\n")
    path = str(tmp_path / "p")
    for question in (
        StatQuestion(path),
        SumQuestion(path),
        TextQuestion(path),
        PropertyQuestion(path, "key"),
    ):
        script = f"PATH={tmp_path}:$PATH\n{type(question).script([question])}"
        done = subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True)
        (answer,) = type(question).parse(done.stdout, [question])
        assert isinstance(answer, CannotSee), question
