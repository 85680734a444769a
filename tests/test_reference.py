"""The reference and the man page are what the program says of itself; the docs name what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler import reference
from reconciler.session import Code

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_what_is_committed_is_what_is_made() -> None:
    for name, text in reference.written():
        assert (ROOT / name).read_text(encoding="utf-8") == text, "run `make schemas`"


def test_every_exit_code_is_told() -> None:
    assert set(reference.CODES) == set(Code)


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_every_command_and_flag_in_the_docs_is_one(file: Path) -> None:
    known = reference.commands()
    text = file.read_text(encoding="utf-8")
    for name, rest in re.findall(r"\breconcile ([a-z]+)([^`\n|]*)", " ".join(re.findall(r"`[^`]+`", text))):
        assert name in known, f"{file.name}: reconcile {name}"
        flags = set(re.findall(r"--[a-z-]+", " ".join(flag for flag, _ in reference.flags(known[name]))))
        for flag in re.findall(r"(?<=\s)--[a-z-]+", rest.partition("reconcile")[0]):
            assert flag in flags, f"{file.name}: reconcile {name} {flag}"


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in reference.commands() if f"`reconcile {name}" not in text] == []


def test_the_man_page_is_one() -> None:
    if shutil.which("man") is None:
        pytest.skip("there is no man here")
    page = str(ROOT / "docs" / "reconcile.1")
    ended = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    assert "EXIT STATUS" in re.sub(".\x08", "", ended.stdout)


def test_every_message_in_troubleshooting_is_one_of_the_programs() -> None:
    program = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "reconciler").rglob("*.py"))
    # Texts may be split over lines of source.
    program = re.sub(r'"\s*\n\s*f?"', "", program)
    table = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(messages) > 20
    assert [each for each in messages if each.strip() not in program] == []
