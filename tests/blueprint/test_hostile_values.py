"""Every string that an environment file may set, with whatever somebody could write there: refused by its
schema, or harmless in every file, question and step that it reaches.

`RECONCILE_HOSTILE=100000` tries that many values; by default it is a small sample.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.blueprint import resources
from reconciler.environment.conforms import matches
from reconciler.environment.load import InvalidEnvironment, load
from reconciler.environment.schema import environment_schema, kind_schema, local_files
from reconciler.environment.settings import Environment
from reconciler.kinds import DECLARABLE
from reconciler.kinds.tagged_lines import AuthorizedKeys
from reconciler.kinds.written import WrittenFile
from reconciler.plan.order import Cycle
from reconciler.plan.planner import plan

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="runs commands as nobody: needs root")

MANY = int(os.environ.get("RECONCILE_HOSTILE", "80"))
AT_ONCE = 20

WHOLE: dict[str, Any] = {
    "environment": "e",
    "router": "cn.example.org",
    "hosts": [
        {"name": "cn-1.example.org", "address": "10.0.0.1", "primary": True},
        {"name": "cn-2.example.org", "address": "10.0.0.2"},
    ],
    "sync": {"account": "sync", "home": "/home/sync"},
    "certificate": {
        "administrators": "a@example.org", "email": "b@example.org", "server": "https://ca.example.org/d",
        "rehearsal": "https://ca.example.org/r", "ca_bundle": "/etc/ca.pem", "resolver": "10.0.0.53",
        "schedule": "1 2 * * *", "ping": "/ping", "names": ["more.example.org"],
    },
    "paths": {
        "node_properties": "/etc/d/node.properties", "challenge": "/srv/w/c", "letsencrypt": "/etc/le",
        "certificate": "/srv/x/cert",
    },
    "services": {
        "client_ca": "/etc/ssl/ca.crt", "postgresql": "15", "tomcat": "10",
        "tomcat_tls": {"reload": "systemctl reload x"}, "portal": True,
    },
}  # fmt: skip

PIECES = st.sampled_from(
    [
        "$(: >canary)",
        "`: >canary`",
        "';: >canary;'",
        '";: >canary;"',
        "\n: >canary\n",
        ";: >canary;",
        "&& : >canary",
    ]
    + [
        "'",
        '"',
        "\\",
        "\\'",
        " ",
        "  ",
        "\t",
        "\n",
        "\r",
        "\x85",
        "\u2028",
        "\x00",
        "\x1b",
        "\x7f",
        "é",
        "\u202e",
    ]
    + [
        "%",
        "#",
        "$",
        "${x}",
        "$1",
        "@router@",
        "{}",
        "*",
        "~",
        "!",
        "|",
        "&",
        "<",
        ">",
        "(",
        ")",
        "=",
        ":",
        ",",
    ]
    + [
        "-o",
        "--",
        "..",
        "/",
        "/../",
        "a",
        "b.c",
        "0",
        "]",
        "[",
        "<VirtualHost *:1>",
        "ALL=(ALL) NOPASSWD: ALL",
    ]
)
ITSELF = "@itself@"
"""Stands for the value that is right in a place."""
STARTS = [
    *[ITSELF] * 8,
    "",
    "",
    "/",
    "/a",
    "a",
    "a@b.org",
    "https://a.org/",
    "ssh-ed25519 A",
    "1 2 3 4 ",
    "tmpfs",
    "u@h",
    "-",
]
VALUES = st.builds(
    lambda start, pieces, end: start + "".join(pieces) + end,
    st.sampled_from(STARTS),
    st.lists(PIECES, max_size=4) | st.text(max_size=12).map(list),
    st.sampled_from(["", "", "\n", "x", ".org"]),
)


def strings(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all strings in a document."""
    if isinstance(value, str):
        yield path
    for key, each in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from strings(each, (*path, key))


def fitting(schema: dict[str, Any]) -> Any:
    """Some value that a schema lets through."""
    if schema["type"] == "array":
        return [fitting(schema["items"])]
    if schema["type"] == "object":
        return {"a": "ssh-ed25519 AAAA"}
    if "enum" in schema:
        return schema["enum"][0]
    tried = ("/srv/x", "name", "0644", "net.ipv4.x", "u@cn-2", "user:a:r--", "1 2 * * *", "tmpfs", "rw")
    return next(each for each in tried if matches(schema.get("pattern", ""), each))


def items() -> list[dict[str, Any]]:
    """One resource of each kind, with every string that it may have."""
    found = []
    for kind in DECLARABLE:
        schema = kind_schema(kind)
        own = {
            key: fitting(each)
            for key, each in schema["properties"].items()
            if each["type"] in ("string", "object")
            or key in schema["required"]
            or key in ("entries", "loads")
        }
        for key in (*local_files(kind), "needs", "hosts"):
            own.pop(key, None)
        found.append(own)
    return found


BASE = {**WHOLE, "resources": items()}
PLACES = [place for place in strings(BASE) if place != ("environment",)]
OURS = [place for place in PLACES if place[0] != "resources"]


def environment(changes: Iterable[tuple[tuple[str | int, ...], str]]) -> Environment | None:
    """The environment with these values; None where one of them is refused, which names a line."""
    made = copy.deepcopy(BASE)
    for place, value in changes:
        inside: Any = made
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = value.replace(ITSELF, inside[place[-1]])
    try:
        return load("e.yaml", json.dumps(made).encode())
    except InvalidEnvironment:
        return None


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


@given(
    changes=st.lists(
        st.tuples(st.sampled_from(OURS) | st.sampled_from(PLACES), VALUES), min_size=AT_ONCE, max_size=AT_ONCE
    )
)
@settings(
    max_examples=max(1, MANY // AT_ONCE),
    deadline=None,
    phases=(Phase.generate,),  # a value at a time is as small as it gets
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_value_changes_nothing_but_its_own_place(
    right: list[list[int]], tmp_path: Path, changes: list[tuple[tuple[str | int, ...], str]]
) -> None:
    lines: dict[str, None] = {}
    for place, value in changes:
        made = environment([(place, value)])
        if made is None:
            continue
        if place[0] != "resources":
            assert shape(made) == right, (place, value)
        if place not in OWN_COMMANDS:
            lines |= dict.fromkeys(commands(made))
    harmless(list(lines), tmp_path)


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
    for name in sections - {"ssh", "policy", "notices"}:  # these stay on the controlling machine
        of = environment_schema()["properties"][name]["properties"]
        for key, each in of.items():
            if each["type"] == "string" and "enum" not in each and key != "roots":
                assert (name, key) in PLACES, f"{name}.{key}"
    assert {kind.kind for kind in DECLARABLE} == {key for item in BASE["resources"] for key in item} & {
        kind.kind for kind in DECLARABLE
    }
