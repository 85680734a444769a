"""What --quiet leaves of each command: what is wrong, or asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.environment.load import InvalidEnvironment
from reconciler.environment.yaml_reader import Problem
from reconciler.fleet.reply import NoAnswer
from reconciler.model import Place
from tests.support.workplace import Scene, two_hosts
from tools import reference

WITHOUT = {"history", "graph", "cron", "worker"}
"""Commands that print only what they are asked for."""


@pytest.fixture(autouse=True)
def _journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))


@pytest.fixture
def world() -> Scene:
    return two_hosts()


def test_every_command_but_four_takes_it_and_says_what_it_leaves() -> None:
    for name, command in reference.commands().items():
        flags = dict(reference.flags(command))
        assert ("-q, --quiet" in flags) == (name not in WITHOUT), name
        if name not in WITHOUT:
            assert "only" in flags["-q, --quiet"].lower()


def test_of_a_plan_the_counts(world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    counts = "Plan: 2 to create, 0 to change, 0 to remove, 0 reloads on 2 hosts.\n"
    assert world.run(["plan", "e", "-q"]) == 0
    assert capsys.readouterr().out == counts
    file = str(tmp_path / "p.json")
    assert world.run(["plan", "e", "-q", "-o", file]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (counts, "")
    assert world.run(["show", "-q", file]) == 0
    assert capsys.readouterr().out == counts


def test_a_narrowed_plan_still_says_what_was_not_looked_at(
    world: Scene, capsys: pytest.CaptureFixture
) -> None:
    part = "Only a part of e was looked at (--host a).\n"
    assert world.run(["plan", "e", "-q", "--host", "a"]) == 0
    assert part in capsys.readouterr().out
    assert world.run(["apply", "e", "-q", "-y", "--host", "a"]) == 0
    assert capsys.readouterr().out == part
    assert world.run(["drift", "e", "-q", "--host", "a"]) == 0
    assert capsys.readouterr().out == part


def test_what_could_not_be_looked_at_is_said(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["b"].error = NoAnswer("b", "it is down")
    for command in ("plan", "drift"):
        assert world.run([command, "e", "-q"]) == 3
        assert "? b could not be looked at: it is down\n" in capsys.readouterr().out
    assert world.run(["observe", "e", "-q"]) == 3
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "b: it is down\n")
    assert world.run(["unlock", "e", "-q"]) == 3
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "b: it is down\n")


def test_apply_is_silent_where_all_goes_well(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["apply", "e", "-q", "-y"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert world["a"].things == {"/x": "new"}
    for command in (["apply", "e", "-q", "-y"], ["drift", "e", "-q"], ["observe", "e", "-q"]):
        assert world.run(command) == 0
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", "")


def test_apply_says_what_failed(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["a"].fails = {"set /x 'new'"}
    assert world.run(["apply", "e", "-q", "-y"]) == 4
    assert capsys.readouterr().out == ("failed: a thing /x: it says why (status 1 of: set /x 'new')\n")


def test_what_is_asked_about_is_shown(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world.answers = ["no"]
    assert world.run(["apply", "e", "-q"]) == 8
    assert "+ thing /x" in capsys.readouterr().out


def test_of_drift_what_has_drifted(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["apply", "e", "-y"]) == 0
    world["a"].things["/x"] = "old"
    capsys.readouterr()
    assert world.run(["drift", "e", "-q"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("drifted since ")
    assert "a thing /x" in line


def test_of_several_environments_only_those_with_drift(capsys: pytest.CaptureFixture) -> None:
    world = two_hosts()
    world["a"].things["/x"] = "new"
    whole = world.environment
    assert whole is not None
    settled = replace(whole, name="f", resources=whole.resources[:1])
    world.environment, world.more["load"] = None, lambda env: settled if env == "f" else whole
    assert world.run(["drift", "-q", "f", "e"]) == 2
    assert capsys.readouterr().out == "== e\npending: 1 declared, but not applied yet\n"
    assert world.run(["drift", "-q", "f", "f"]) == 0
    assert capsys.readouterr().out == ""


def test_validate_says_only_what_is_not_valid(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["validate", "e", "-q"]) == 0
    assert capsys.readouterr().out == ""
    world.environment = None

    def load(env: str) -> None:
        raise InvalidEnvironment([Problem(Place(env, 1, 1), "cannot be read")])

    world.more["load"] = load
    assert world.run(["validate", "e", "-q"]) == 64
    assert capsys.readouterr().err == "e:1:1: cannot be read\n"


def test_status_shows_only_what_is_not_in_sync(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["status", "e", "-q"]) == 3
    assert "unknown" in capsys.readouterr().out
    world.run(["apply", "e", "-y"])
    capsys.readouterr()
    assert world.run(["status", "e", "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_a_held_lock_is_wrong(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["unlock", "e", "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_quiet_and_verbose_contradict_each_other(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["plan", "e", "-q", "-v"]) == 64
    assert capsys.readouterr().err == "--quiet and --verbose: use only one of them\n"


def test_a_page_is_written_without_a_word(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    assert world.run(["report", "e", "-q", "-o", str(tmp_path / "x.html")]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
