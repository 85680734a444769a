"""The examples for CI servers: they are YAML, and every command in them is one of ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from reconciler.cli.app import app
from tests import ROOT

EXAMPLES = sorted((ROOT / "docs" / "ci").glob("*.yaml"))
END = re.compile(r"^(>|>>|\||\|\||&&|;)$")


def scripts(node: Any) -> Iterator[str]:
    """Every line of shell: what stands under `run`, `script` and `after_script`."""
    if isinstance(node, list):
        for each in node:
            yield from scripts(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "script", "after_script"):
                yield from "\n".join([value] if isinstance(value, str) else value).splitlines()
            else:
                yield from scripts(value)


def ours(path: Path) -> list[list[str]]:
    """The arguments of every `reconcile` in a file."""
    found = []
    for line in scripts(yaml.safe_load(path.read_text(encoding="utf-8"))):
        words = shlex.split(line)
        if words[:1] == ["reconcile"]:
            end = next((number for number, word in enumerate(words) if END.match(word)), len(words))
            found.append(words[1:end])
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_command_of_an_example_parses(path: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = ours(path)
    for name, *arguments in found:
        commands[name].make_context(name, list(arguments))
    assert {words[0] for words in found} >= {"validate", "plan", "apply", "verify", "drift", "report"}
    told = path.read_text(encoding="utf-8").count("reconcile ")
    assert told >= len(found)


def test_a_command_that_does_not_parse_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("job: {script: [reconcile plan prod --markdwon > x]}")
    ((name, *arguments),) = ours(path)
    with pytest.raises(Exception, match="No such option"):
        typer.main.get_command(app).commands[name].make_context(name, arguments)  # type: ignore[attr-defined]


def test_there_is_one_for_each_server() -> None:
    assert [path.stem for path in EXAMPLES] == ["github", "gitlab"]
    for path in EXAMPLES:
        text = path.read_text(encoding="utf-8")
        assert "apply plan.json" in text, "what was approved is what is applied"
        assert "--yes" not in text
