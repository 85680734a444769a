"""What each command does not load. Times are `make bench`'s; here are the reasons for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

PROGRAM = """
import json, sys
sys.argv[0] = "reconcile"
from reconciler.cli.app import run
try:
    code = run(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
print("\\n" + json.dumps([code, sorted(sys.modules)]))
"""
SLOW = {
    "apprise", "concurrent.futures", "cronsim", "cryptography", "email", "http", "jsonschema", "logging",
    "nats", "OpenSSL", "paramiko", "pydantic", "rich", "urllib.request",
}  # fmt: skip
"""What takes long to load, and only some commands need."""
OURS = {"reconciler.environment.load", "reconciler.blueprint", "reconciler.output.text", "reconciler.fleet"}
EXAMPLE = ("examples/three-hosts.yaml", "--seen", "examples/three-hosts.observation.json")


def loaded(*arguments: str, codes: tuple[int | None, ...] = (0, None), **variables: str) -> set[str]:
    """The modules that a command line has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code in codes, done.stderr
    return set(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "environments/stage.yaml"),
        ("validate", "--all"),
        ("plan", *EXAMPLE),
        ("graph", EXAMPLE[0]),
        ("explain", *EXAMPLE, "cn-lab-3.test.dataone.org", "service", "apache2"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_that_contacts_no_host_loads_nothing_slow(arguments: tuple[str, ...]) -> None:
    assert loaded(*arguments) & SLOW == set()


@pytest.mark.parametrize("more", [(), ("--json",), ("--checkmk",), ("--ics", "x.ics")])
def test_status_reads_what_is_kept_and_loads_nothing_that_connects(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    more = tuple(str(tmp_path / each) if each == "x.ics" else each for each in more)
    found = loaded("status", "--all", *more, RECONCILE_STATE=str(tmp_path), codes=(0, 3))
    assert found & (SLOW | {"reconciler.fleet", "reconciler.cli.look"}) == set()


def test_forecast_reads_what_is_kept_and_loads_nothing_that_connects(tmp_path: Path) -> None:
    found = loaded("forecast", "environments/stage.yaml", RECONCILE_STATE=str(tmp_path), codes=(3,))
    assert found & (SLOW | {"reconciler.fleet", "reconciler.cli.look"}) == set()


@pytest.mark.parametrize("arguments", [("--help",), ("plan", "--help"), ("validate", "--help")])
def test_help_loads_no_part_of_what_the_command_does(arguments: tuple[str, ...]) -> None:
    assert loaded(*arguments) & (SLOW | OURS | {"yaml", "sqlite3"}) == set()


def test_the_list_of_commands_loads_none_of_them() -> None:
    commands = {"reconciler.cli.plan", "reconciler.cli.drift", "reconciler.cli.apply"}
    assert loaded("--help") & commands == set()
    line = {"COMP_WORDS": "reconcile p", "COMP_CWORD": "1", "_RECONCILE_COMPLETE": "complete_bash"}
    assert loaded(**line) & (commands | SLOW) == set()


def test_a_value_that_must_be_checked_is_checked_by_typer() -> None:
    assert "pydantic" in loaded("plan", *EXAMPLE, "--parallel", "3")
