"""What -o says of what it has saved; and -o -, which is stdout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from reconciler.cli.app import run
from reconciler.environment.load import load
from reconciler.environment.rules import Policy
from reconciler.fleet.reply import NoAnswer
from tests.support.workplace import Scene, two_hosts

NEW = ["--name", "x", "--router", "cn.example.org", "--host", "cn-1.example.org"]


@pytest.fixture
def world() -> Scene:
    return two_hosts()


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    yield
    assert not Path("-").exists()


def declare(world: Scene, **more: object) -> None:
    assert world.environment is not None
    world.environment = replace(world.environment, **more)  # type: ignore[arg-type]


def test_a_saved_plan_says_how_to_go_on(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["plan", "e", "-o", "p q.json"]) == 0
    assert capsys.readouterr().err == (
        "p q.json: the plan is saved; next: `reconcile show 'p q.json'`,"
        " `reconcile apply 'p q.json' --env e.yaml`\n"
    )
    declare(world, file="environments/e.yaml")
    assert world.run(["plan", "e", "-o", "p"]) == 0
    assert capsys.readouterr().err == (
        "p: the plan is saved; next: `reconcile show p`, `reconcile apply p`\n"
    )


def test_approvers_are_named_where_the_policy_asks_for_them(
    world: Scene, capsys: pytest.CaptureFixture
) -> None:
    declare(world, policy=Policy(approvers=2))
    assert world.run(["plan", "e", "-o", "p"]) == 0
    assert "`reconcile approve p` (approvers needed: 2), `reconcile apply p" in capsys.readouterr().err
    declare(world, policy=Policy(approvers=2, without_approval=("thing",)))
    assert world.run(["plan", "e", "-o", "p"]) == 0
    # What needs none by this policy does as long as nobody has approved the policy.
    assert "`reconcile approve p` (approvers needed: 2)" in capsys.readouterr().err


def test_an_empty_plan_has_no_next_step(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world.run(["apply", "e", "--yes"])
    capsys.readouterr()
    assert world.run(["plan", "e", "-o", "p"]) == 0
    assert capsys.readouterr().err == "p: the plan is saved; there is nothing to do in it\n"
    assert world.run(["plan", "e", "-o", "/dev/null"]) == 0
    assert capsys.readouterr().err == ""


def test_a_saved_observation_says_what_it_is_for(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["observe", "e", "-o", "seen"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "seen: the observation is saved; next: `reconcile plan e --seen seen`\n"


def test_a_plan_on_stdout_is_a_plan(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["plan", "e", "-o", "-"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    Path("p").write_text(captured.out)
    assert world.run(["apply", "p"]) == 0
    assert world["a"].things == {"/x": "new"}


def test_what_is_wrong_goes_to_stderr_then(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["b"].error = NoAnswer("b", "it is down")
    assert world.run(["plan", "e", "-o", "-", "--only", "thing"]) == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out)["document"] == "plan"
    assert captured.err == (
        "? b could not be looked at: it is down\nOnly a part of e was looked at (--only thing).\n"
    )
    assert world.run(["observe", "e", "-o", "-"]) == 3
    captured = capsys.readouterr()
    assert json.loads(captured.out)["document"] == "observation"
    assert captured.err == "b: it is down\n"


@pytest.mark.parametrize(("command", "code"), [("plan", 0), ("drift", 2)])
def test_junit_on_stdout_stands_alone(
    command: str, code: int, world: Scene, capsys: pytest.CaptureFixture
) -> None:
    assert world.run([command, "e", "--junit", "-"]) == code
    captured = capsys.readouterr()
    assert ET.fromstring(captured.out).get("failures") == "2"
    assert captured.err == ""
    world["b"].error = NoAnswer("b", "it is down")
    assert world.run([command, "e", "--junit", "-"]) == 3
    captured = capsys.readouterr()
    assert ET.fromstring(captured.out).get("errors") == "1"
    assert captured.err == "? b could not be looked at: it is down\n"


def test_metrics_on_stdout_stand_alone(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["drift", "e", "--prometheus", "-"]) == 2
    out = capsys.readouterr().out
    assert out.startswith("# HELP reconcile_")
    assert all(line.startswith(("# ", "reconcile_")) for line in out.splitlines())


def test_a_calendar_on_stdout_stands_alone(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["status", "e", "--ics", "-"]) == 3
    out = capsys.readouterr().out
    assert out.startswith("BEGIN:VCALENDAR")
    assert out.splitlines()[-1] == "END:VCALENDAR"


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "e", "--junit -", "--json"],
        ["plan", "e", "--junit -", "--markdown"],
        ["plan", "e", "-o -", "--junit -"],
        ["drift", "e", "--junit -", "--prometheus -"],
        ["drift", "e", "--prometheus -", "--github"],
        ["verify", "e", "--junit -", "--json"],
        ["status", "e", "--ics -", "--json"],
        ["status", "e", "--ics -", "--checkmk"],
    ],
)
def test_stdout_takes_one_file(arguments: list[str], world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run([word for each in arguments for word in each.split()]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(": stdout takes one of them; save it to a file for the other\n")
    assert set(captured.err.partition(":")[0].split(" and ")) == set(arguments[2:])


def test_a_page_on_stdout(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["report", "e", "-o", "-"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("<!DOCTYPE html>")
    assert captured.err == ""


def test_an_environment_file_on_stdout(capsys: pytest.CaptureFixture) -> None:
    assert run(["init", *NEW, "-o", "-"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    Path("x.yaml").write_text(captured.out)
    assert load("x.yaml").name == "x"
    assert run(["init", *NEW[:4], "--host", "a b", "-o", "-"]) == 64
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "e", "--json"],
        ["plan", "e", "--markdown"],
        ["plan", "e", "--github"],
        ["observe", "e", "--json"],
        ["report", "e", "--json"],
        ["rollback", "1", "--json"],
        ["init", "--json"],
        ["import", *NEW, "--json"],
    ],
)
def test_stdout_takes_one(arguments: list[str], world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run([*arguments, "-o", "-"]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"-o - and {arguments[-1]}: stdout takes one of them")
