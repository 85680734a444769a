"""The command line without real hosts: codes, flags, documents, and what a user mistypes."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.workplace import wants_colour
from reconciler.fleet.reply import NoAnswer, Reply
from reconciler.output import text as report
from tests import ROOT
from tests.support.schemas import hold
from tests.support.scripted import Scripted
from tests.support.workplace import Scene, two_hosts


@pytest.fixture
def world() -> Scene:
    return two_hosts()


def test_the_story_of_a_plan(world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    assert world.run(["plan", "e"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "Plan: 2 to create, 0 to change, 0 to remove, 0 reloads on 2 hosts."
    )
    assert world.run(["plan", "e", "--detailed-exitcode"]) == 2
    assert world.run(["drift", "e"]) == 2
    plan = tmp_path / "p.json"
    assert world.run(["plan", "e", "-o", str(plan)]) == 0
    assert world.run(["show", str(plan)]) == 0
    capsys.readouterr()
    assert world.run(["apply", "e"]) == 8
    assert "there is no terminal to ask on" in capsys.readouterr().err
    assert world.run(["apply", str(plan)]) == 0
    assert capsys.readouterr().out == "Apply: 2 done.\n"
    assert world.run(["plan", "e", "--detailed-exitcode"]) == 0
    assert capsys.readouterr().out == "Nothing to do: e is as declared.\n"
    assert world.run(["drift", "e"]) == 0
    assert world.run(["apply", str(plan)]) == 6
    assert "a thing /x: it has been settled since" in capsys.readouterr().err
    assert world.run(["apply", "e", "--yes"]) == 0


def test_a_run_leaves_no_core(world: Scene) -> None:
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    assert world.run(["plan", "e"]) == 0
    assert (resource.getrlimit(resource.RLIMIT_CORE)[0], most != 0) == (0, True)


def test_a_plan_is_stale_when_a_host_is_not_as_it_was(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    plan = str(tmp_path / "p.json")
    world["a"].things["/x"] = "old"
    world.run(["plan", "e", "-o", plan])
    world["a"].things["/x"] = "older"
    assert world.run(["apply", plan]) == 6
    err = capsys.readouterr().err
    assert "a thing /x: it has changed on the host since the plan was made" in err
    assert "nothing was done" in err
    assert world.run(["show", plan]) == 0
    assert world["a"].ran == []


def test_a_narrowed_plan_stays_narrow(world: Scene, tmp_path: Path) -> None:
    plan = str(tmp_path / "p.json")
    assert world.run(["plan", "e", "--host", "a", "--only", "thing:/x", "-o", plan]) == 0
    assert world.run(["apply", plan]) == 0
    assert (world["a"].things, world["b"].things) == ({"/x": "new"}, {})


def test_what_could_not_be_looked_at(world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    world["b"].error = NoAnswer("b", "it is down; is it up?")
    for command in ("plan", "drift", "observe"):
        assert world.run([command, "e"]) == 3
        assert "? b could not be looked at: it is down; is it up?" in capsys.readouterr().out
    assert world.run(["apply", "e", "--yes"]) == 3
    assert world["a"].things == {"/x": "new"}
    world["a"].error = world["b"].error
    assert world.run(["drift", "e"]) == 3
    assert world.run(["plan", "e", "-o", str(tmp_path / "p")]) == 3
    assert world.run(["apply", str(tmp_path / "p")]) in (3, 4)


class DiesAtTheLock(Scripted):
    """A host that answers the look, and is gone when its lock is taken; or at the look after that."""

    late = False

    def lock(self, who: str) -> None:
        self.error = NoAnswer(self.name, "the power is gone")
        if not self.late:
            raise self.error


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("how", ["fresh", "saved"])
def test_a_host_that_dies_between_the_look_and_the_lock_is_named_and_the_others_go_on(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path, how: str, late: bool
) -> None:
    plan = str(tmp_path / "p.json")
    world.run(["plan", "e", "-o", plan])
    world.hosts["b"] = dead = DiesAtTheLock("b")
    dead.late = late
    capsys.readouterr()
    assert world.run(["apply", *(["e", "--yes"] if how == "fresh" else [plan])]) == 3
    assert "? b could not be looked at: the power is gone" in capsys.readouterr().out
    assert (world["a"].things, dead.ran) == ({"/x": "new"}, [])
    world["a"].things.clear()
    world.hosts["a"] = DiesAtTheLock("a")
    assert world.run(["apply", "e", "--yes"]) in (3, 4), "no host is left"


def test_codes_of_apply(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["a"].held_by = "eve on laptop (process 1), since noon, for e"
    assert world.run(["apply", "e", "--yes"]) == 7
    assert "a is locked [locked]: eve on laptop" in capsys.readouterr().err
    world["a"].held_by = None
    world["a"].fails = {"set /x 'new'"}
    assert world.run(["apply", "e", "--yes"]) == 4
    out = capsys.readouterr().out
    assert "failed: a thing /x: it says why (status 1 of: set /x 'new')" in out
    assert world["b"].things == {"/x": "new"}
    world["a"].fails = set()
    world["a"].lost_after = 1
    assert world.run(["apply", "e", "--yes"]) == 5
    assert "a thing /x; apply again once its host can be reached" in capsys.readouterr().out
    world["a"].lost_after = None
    world["a"].deaf = {"/x"}
    assert world.run(["apply", "e", "--yes"]) == 4
    assert "its commands succeeded, but it is not as desired [not-settled]: value" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"welcome to a\n\x1b[2J", "its answer does not have the expected form"),
        (b"", "its answer does not have the expected form"),
        (Reply(b"", root=True, timed_out=True), "hung"),
    ],
)
def test_garbage_is_told_and_never_reaches_the_terminal(
    world: Scene, reply: Any, said: str, capsys: pytest.CaptureFixture
) -> None:
    world["a"].say = lambda _: reply
    assert world.run(["plan", "e"]) == 3
    captured = capsys.readouterr()
    assert said in captured.out
    assert "\x1b" not in captured.out + captured.err
    assert "thing /x  (b)" in captured.out


def test_looking_without_root_says_so(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["a"].root = False
    world["a"].things["/x"] = "hidden"
    assert world.run(["plan", "e"]) == 3
    captured = capsys.readouterr()
    assert "a: looked without root (sudo: a password is required)" in captured.err
    assert "cannot see thing /x: hidden (sudo: a password is required)" in captured.out


def test_documents_are_as_their_schemas_say(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    world["b"].error = NoAnswer("b", "down")
    for arguments, name in (
        (["plan", "e"], "plan"),
        (["drift", "e"], "plan"),
        (["observe", "e"], "observation"),
        (["apply", "e", "--yes"], "apply"),
        (["validate", "e"], "validation"),
    ):
        world.run([*arguments, "--json"])
        hold(json.loads(capsys.readouterr().out), name)
    assert world.run(["apply", "e", "--json"]) in (0, 3, 8)


def test_a_plan_from_what_was_seen_needs_no_host(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    seen = str(tmp_path / "seen.json")
    assert world.run(["observe", "e", "-o", seen]) == 0
    for host in world.hosts.values():
        host.error = NoAnswer(host.name, "must not be asked")
    assert world.run(["plan", "e", "--seen", seen]) == 0
    assert "Plan: 2 to create" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "expected a plan saved by `reconcile plan -o`, found a list"),
        ('{"document": "plan", "version": 1}', "version: expected 2, found 1"),
        ('{"document": "plan", "version": 2, "digest": "sha256:0"}', "its digest does not fit"),
    ],
)
def test_what_is_no_plan(
    text: str, said: str, world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    for command in ("show", "apply"):
        tampered = command == "apply" and "digest" in text
        assert world.run([command, str(path)]) == (8 if tampered else 64)
        assert said in capsys.readouterr().err
    assert world.run(["plan", "e", "--seen", str(path)]) == 64


def test_a_plan_that_was_tampered_with_is_refused(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    path = tmp_path / "p.json"
    world.run(["plan", "e", "-o", str(path)])
    path.write_text(path.read_text().replace("set /x 'new'", "rm -rf /"))
    assert world.run(["apply", str(path)]) == 8
    assert "its digest does not fit: it was changed after it was saved" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["plann", "e"],
        ["plan"],
        ["plan", "e", "--paralel", "3"],
        ["plan", "e", "--parallel", "0"],
        ["plan", "e", "--parallel", "x"],
        ["plan", "e", "--host", "nowhere"],
        ["plan", "e", "--only", "thinng"],
        ["show", "/nowhere.json"],
        ["apply", "/nowhere.json"],
    ],
)
def test_mistyping_ends_with_64(arguments: list[str], world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(arguments) == 64
    assert capsys.readouterr().err


def test_a_plan_that_cannot_be_saved_is_told(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    assert world.run(["plan", "e", "-o", str(tmp_path / "no" / "p")]) == 71
    assert "cannot be written (No such file or directory)" in capsys.readouterr().err


def reconcile(*arguments: str, **more: Any) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **more,
    )  # fmt: skip


def test_version_and_help() -> None:
    assert reconcile("--version").stdout.startswith("reconcile 0.")
    shown = reconcile("--help")
    assert shown.returncode == 0
    for command in ("validate", "observe", "plan", "show", "apply", "drift"):
        assert f"  {command} " in shown.stdout
        assert reconcile(command, "--help").returncode == 0


def test_the_readme_shows_what_the_program_prints() -> None:
    done = reconcile("plan", "examples/three-hosts.yaml", "--seen", "examples/three-hosts.observation.json")
    assert done.returncode == 0, done.stderr
    assert f"```\n{done.stdout}```" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_bad_file_is_told_whole_without_a_traceback() -> None:
    done = reconcile("plan", "tests/cases/environment/many.yaml")
    assert done.returncode == 64
    assert done.stderr.count("many.yaml:") == 22
    assert reconcile("validate", "stage", "prod", "nowhere").returncode == 64


def test_a_reader_who_leaves_early_is_no_error_of_ours() -> None:
    command = f"{sys.executable} -m reconciler plan examples/three-hosts.yaml --seen examples/three-hosts.observation.json | true"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_an_interrupt_while_looking_ends_with_130(tmp_path: Path) -> None:
    (tmp_path / "known").write_text("")
    (tmp_path / "e.yaml").write_text(
        "environment: e\nblueprint: false\nhosts: [{name: h, address: 127.0.0.1}]\n"
        "ssh: {user: root, port: 9, known_hosts: known}\nresources: [{package: tree}]\n"
    )
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and says nothing
        text = (tmp_path / "e.yaml").read_text().replace("port: 9", f"port: {server.getsockname()[1]}")
        (tmp_path / "e.yaml").write_text(text)
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "plan", str(tmp_path / "e.yaml")],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        server.settimeout(20)
        connection, _ = server.accept()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=15)
        connection.close()
    assert process.returncode == 130
    assert "Traceback" not in err


def test_only_the_word_yes_is_accepted(world: Scene, capsys: pytest.CaptureFixture) -> None:
    for answer, code in (("y", 8), ("YES", 8), ("", 8), ("yes", 0)):
        world.answers = [answer]
        assert world.run(["apply", "e"]) == code
        assert "Only 'yes' will be accepted" in capsys.readouterr().out
    assert world["a"].things == {"/x": "new"}


def test_control_characters_are_escaped_and_words_are_not() -> None:
    assert report.printable("é a\x1b[2J\n\x07\u202e") == "é a\\x1b[2J\\n\\x07\\u202e"


@pytest.mark.parametrize(
    ("environ", "is_terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colours_are_as_the_variables_say(environ: dict[str, str], is_terminal: bool, coloured: bool) -> None:
    assert wants_colour(environ, is_terminal=is_terminal) is coloured
