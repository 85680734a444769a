"""The reference and the man page are what the program says of itself; the docs name what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from reconciler.cli.exit import MEANINGS, Code
from reconciler.environment.load import load
from reconciler.environment.schema import environment_schema
from reconciler.kinds import DECLARABLE
from reconciler.messages import Message
from reconciler.output import prometheus
from tests import ROOT
from tools import reference

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_what_is_committed_is_what_is_made() -> None:
    for name, text in reference.written():
        assert (ROOT / name).read_text(encoding="utf-8") == text, "run `make schemas`"


def test_every_exit_code_is_told() -> None:
    assert set(MEANINGS) == set(Code)


def test_every_exit_code_in_the_docs_is_one_and_the_readme_has_them_all() -> None:
    known = {int(code) for code in Code}
    for file in DOCS:
        text = file.read_text(encoding="utf-8")
        told = re.findall(r"(?i)\b(?:code|ends? with|exits? with|verdict at) (\d+)\b", text)
        assert {int(each) for each in told} <= known, file.name
    (paragraph,) = re.findall(r"Exit codes: (.*?)\n\n", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert {int(each) for each in re.findall(r"(?:^|,)\s*(\d+) ", paragraph)} == known


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_every_command_and_flag_in_the_docs_is_one(file: Path) -> None:
    known = reference.commands()
    text = file.read_text(encoding="utf-8")
    # In code: between backticks, and in blocks that are indented.
    code = " ".join([*re.findall(r"`[^`]+`", text), *re.findall(r"(?m)^    ((?:\S*/)?reconcile .*)", text)])
    for name, rest in re.findall(r"\breconcile ([a-z]+)([^`\n|]*)", code):
        assert name in known, f"{file.name}: reconcile {name}"
        flags = set(re.findall(r"--[a-z-]+", " ".join(flag for flag, _ in reference.flags(known[name]))))
        for flag in re.findall(r"(?<=\s)--[a-z-]+", rest.partition("reconcile")[0]):
            assert flag in flags, f"{file.name}: reconcile {name} {flag}"


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in reference.commands() if f"`reconcile {name}" not in text] == []


def test_every_kind_has_an_example_in_a_file_that_is_valid() -> None:
    made = load(str(ROOT / "examples" / "kinds.yaml"))
    kinds = {kind.kind for kind in DECLARABLE}
    assert {each.kind for each in made.resources} == kinds == set(reference.kind_examples())
    for kind, lines in reference.kind_examples().items():
        (shown,) = yaml.safe_load("\n".join(lines))
        assert kind in shown


def test_the_man_page_is_one() -> None:
    if shutil.which("man") is None:
        pytest.skip("there is no man here")
    page = str(ROOT / "docs" / "reconcile.1")
    ended = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", page], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    assert "EXIT STATUS" in re.sub(".\x08", "", ended.stdout)


def test_every_message_is_told_by_the_program_and_every_code_it_tells_is_one() -> None:
    files = [each for each in (ROOT / "reconciler").rglob("*.py") if each.name != "messages.py"]
    program = "".join(each.read_text(encoding="utf-8") for each in files)
    shell = (ROOT / "reconciler").rglob("*.sh")
    scripts = "".join(each.read_text(encoding="utf-8") for each in shell)
    unused = [each for each in Message if f"Message.{each.name}" not in program and str(each) not in scripts]
    assert unused == []
    told = set(re.findall(r"\b(?:say|printf) [^\n]*\[([a-z]+(?:-[a-z]+)+)\]", scripts))
    assert told
    assert told <= {each.code for each in Message}


def test_a_message_is_its_code_in_brackets_and_no_two_share_one() -> None:
    assert str(Message.HOST_KEY_CHANGED) == "[host-key-changed]"
    assert len({each.code for each in Message}) == len(Message)


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_every_setting_in_the_docs_is_one(file: Path) -> None:
    schema = environment_schema()
    known = {path.replace("[]", "") for path, _ in reference.settings(schema)}
    kinds = set(schema["$defs"])
    text = file.read_text(encoding="utf-8")
    # `policy: windows`, `ssh.identity`, `resources:`; and files named so (`renewal.conf`) are none.
    sections = {path.partition(".")[0] for path in known if "." in path}
    pairs = [pair for pair in re.findall(r"`([a-z_]+): ([a-z_]+)`", text) if pair[0] not in kinds]
    named = [f"{a}.{b}" if a in sections else a for a, b in pairs]
    named += [f"{a}.{b}" for a, b in re.findall(r"`([a-z_]+)\.([a-z_.]+)`", text) if a in sections]
    named += [a for a in re.findall(r"`([a-z_]+):`", text) if a not in kinds]
    within = {each.rpartition(".")[2] for each in known} | known
    assert [each for each in named if each not in within] == []


def test_the_settings_in_the_examples_of_the_docs_are_valid() -> None:
    schema = environment_schema()
    del schema["required"], schema["then"]  # some show a part of a file
    shown = 0
    for file in DOCS:
        for block in re.findall(
            r"^```yaml\n(.*?)^```", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            document = yaml.safe_load(block)
            if "groups" not in document:  # rules of Prometheus
                jsonschema.validate(document, schema)
                shown += 1
    assert shown >= 2


def test_every_metric_is_told_and_every_one_told_is_one() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    assert set(re.findall(r"reconcile_[a-z_]+", text)) == set(prometheus.FAMILIES)
