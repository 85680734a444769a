"""Every string that an environment file may set, with whatever somebody could write there: refused by its
schema, or harmless in every file, question and step that it reaches.

`RECONCILE_HOSTILE=100000` tries that many values; by default it is a small sample. The files are also read by
the programs that they are for: see tests/hosts/test_hostile_files.py.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.blueprint import resources
from reconciler.environment.schema import environment_schema
from reconciler.environment.settings import Environment
from reconciler.kinds import DECLARABLE
from reconciler.kinds.tagged_lines import AuthorizedKeys
from reconciler.kinds.written import WrittenFile
from reconciler.plan.order import Cycle
from reconciler.plan.planner import plan
from tests.support.hostile import BASE, MANY, PLACES, accepted, environment

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(os.geteuid() != 0, reason="runs commands as nobody: needs root"),
]

AT_ONCE = 50
"""The commands of how many values one shell runs."""


def shape(made: Environment) -> list[list[int]]:
    """How many words each line has of each file that the blueprint writes, and of each entry of authorized_keys."""
    found = []
    for each in resources(made):
        if isinstance(each, WrittenFile) and each.place is not None and each not in made.resources:
            found.append([len(line.split()) for line in (each.body() or "").split("\n")])
        if isinstance(each, AuthorizedKeys) and each not in made.resources:
            # A host without an address has no `from=`.
            plain = (re.sub('^from="[0-9A-Fa-f.:]+",', "", options) for _, options in each.options_of)
            found += [[len(options.split()), options.count('"')] for options in plain]
    return sorted(found)


def commands(made: Environment) -> Iterator[str]:
    """All shell that an environment comes to: questions, steps on bare hosts, and the settings of scripts."""
    every = resources(made)
    for resource in every:
        for question in resource.ask().values():
            yield type(question).script([question])
        if isinstance(resource, WrittenFile) and (resource.body() or "").startswith("#!/bin/sh"):
            yield (resource.body() or "").partition("\n\n")[0]
    try:
        actions = plan("e", every, {each.ref: None for each in every}, {}).actions
    except Cycle:  # two resources for one path: `validate` refuses that by name
        return
    for action in actions:
        yield from (step.command for step in (*action.steps, *action.rescue))


# What the YAML itself calls a command is run as one.
OWN_COMMANDS = {("services", "tomcat_tls", "reload")} | {
    ("resources", number, key)
    for number, item in enumerate(BASE["resources"])
    for key in ("check", "command")
    if key in item and "ssh_access" not in item
}


@pytest.fixture(scope="module")
def right() -> list[list[int]]:
    made = environment([])
    assert made is not None
    return shape(made)


def test_a_value_changes_nothing_but_its_own_place(right: list[list[int]], tmp_path: Path) -> None:
    found = accepted(MANY or 400, seed=1)
    reached = 0
    while batch := list(itertools.islice(found, AT_ONCE)):
        lines: dict[str, None] = {}
        for place, value, made in batch:
            if place[0] != "resources":
                assert shape(made) == right, (place, value)
            if place not in OWN_COMMANDS:
                lines |= dict.fromkeys(commands(made))
        harmless(list(lines), tmp_path)
        reached += len(batch)
    assert reached > (MANY or 400) / 10, "most are refused, but not all"


def harmless(lines: list[str], folder: Path) -> None:
    """Runs commands that find no program, so that they do no more than the shell itself does for them."""
    folder.chmod(0o777)
    for above in folder.parents[:3]:
        above.chmod(0o755)
    script = "\n".join(["PATH=/nonexistent", *(f"(\n{line}\n) </dev/null >/dev/null 2>&1" for line in lines)])
    checked = subprocess.run(["sh", "-n"], input=script.encode(), capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-s"],
        input=script.encode(), cwd=folder, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert list(folder.iterdir()) == [], [line for line in lines if "canary" in line]


def test_a_command_that_breaks_out_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        harmless(["cat '/srv/'$(: >canary)"], tmp_path)


def test_every_string_of_the_schema_is_tried() -> None:
    sections = {name for name, each in environment_schema()["properties"].items() if "properties" in each}
    for name in sections - {"ssh", "policy", "notices", "nats"}:  # these stay on the controlling machine
        of = environment_schema()["properties"][name]["properties"]
        for key, each in of.items():
            # The last is compared with names of entries, and goes nowhere.
            if each["type"] == "string" and "enum" not in each and key not in ("roots", "apache_also"):
                assert (name, key) in PLACES, f"{name}.{key}"
    assert {kind.kind for kind in DECLARABLE} == {key for item in BASE["resources"] for key in item} & {
        kind.kind for kind in DECLARABLE
    }
