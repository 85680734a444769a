"""`rollback` of a part of a run: what --host and --only leave of it, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.journal.journal import Journal
from tests.support.scripted import Scripted
from tests.support.workplace import Scene

YAML = """
environment: lab
router: cn.example.org
blueprint: false
hosts:
  - {name: cn-1.example.org, primary: true}
  - {name: cn-2.example.org}
  - {name: cn-3.example.org}
resources: [{file: /srv/note, content: %s}, {package: curl}]
"""
ONE, TWO = "cn-1.example.org", "cn-2.example.org"


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Run 2 has changed a file, and installed a package that was declared before, on two of three hosts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    Path("lab.yaml").write_text(YAML % "two")
    with Journal() as journal:
        for content in ("one", "two"):
            begun = {"who": "me", "command": "apply", "approvers": [], "actions": 4, "file": "lab.yaml"}
            number = journal.begin("lab", begun, (YAML % content).encode())
            done = [
                {"host": host, "kind": kind, "name": name, "verb": verb, "steps": []}
                for host in (ONE, TWO)
                for kind, name, verb in (("file", "/srv/note", "change"), ("package", "curl", "create"))
            ]
            outcomes = [{**each, "result": "done", "detail": ""} for each in done]
            journal.append_all(
                number, "lab", [("intent", {"actions": done}), ("outcome", {"outcomes": outcomes})]
            )
            journal.end(number, "lab", {"code": 0})
    return Scene({name: Scripted(name) for name in (ONE, TWO, "cn-3.example.org")})


def planned(out: str) -> set[str]:
    """The resources that a plan is about: hosts that are scripted show none of them."""
    document: dict[str, Any] = json.loads(out)
    return {f"{each['host'][:4]} {each['kind']} {each['name']}" for each in document["unknown"]}


@pytest.mark.parametrize(
    ("flags", "files", "without"),
    [
        ([], {"cn-1 file /srv/note", "cn-2 file /srv/note"}, 2),
        (["--host", "cn-2"], {"cn-2 file /srv/note"}, 1),
        (["--host", "!cn-2"], {"cn-1 file /srv/note"}, 1),
        (["--host", "replicas"], {"cn-2 file /srv/note"}, 1),
        (["--host", "cn-*", "--only", "file"], {"cn-1 file /srv/note", "cn-2 file /srv/note"}, 0),
        (["--only", "cn-1 f*"], {"cn-1 file /srv/note"}, 0),
        (["--only", "!file"], set(), 2),
    ],
)
def test_a_part_of_a_run_is_undone(
    scene: Scene, capsys: pytest.CaptureFixture, flags: list[str], files: set[str], without: int
) -> None:
    assert scene.run(["rollback", "2", "-v", "--json", *flags]) == (3 if files else 0)
    captured = capsys.readouterr()
    assert planned(captured.out) == files
    assert captured.err.count("cannot undo") == without
    asked = {name[:4] for name, host in scene.hosts.items() if host.scripts}
    assert asked == {each[:4] for each in files}, "no other host is looked at"


def test_what_was_left_out_is_said_and_a_saved_part_stays_one(
    scene: Scene, capsys: pytest.CaptureFixture
) -> None:
    assert scene.run(["rollback", "2", "--host", "cn-2", "-o", "p.json"]) == 3
    assert "what was looked at (--host cn-2)" in capsys.readouterr().out
    scope = json.loads(Path("p.json").read_text())["scope"]
    assert (scope["host"], scope["rollback"]) == (["cn-2"], ["2"])
    looked = len(scene[TWO].scripts)
    assert scene.run(["apply", "p.json", "--env", "lab.yaml"]) == 3
    assert len(scene[TWO].scripts) > looked
    assert scene[ONE].scripts == [], "nor is it when the saved part is applied"
    capsys.readouterr()
    assert scene.run(["rollback", "2", "--only", "package"]) == 0
    assert capsys.readouterr().out == (
        "Nothing to do: nothing of run 2 can be undone in what was asked for (--only package);"
        " the rest was not looked at.\n"
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--host", "cn-3"],
            "--host cn-3: run 2 did nothing there; what it did is on cn-1.example.org, cn-2",
        ),
        (["--host", "web"], "--host web: no such host; known: cn-1.example.org"),
        (["--only", "service"], "--only service: no resource matches; kinds: file, package"),
        (["--host", "cn-3", "--only", "file"], "no resource matches both; what --only names is on cn-1"),
    ],
)
def test_what_names_nothing_of_the_run_is_refused(
    scene: Scene, capsys: pytest.CaptureFixture, flags: list[str], said: str
) -> None:
    assert scene.run(["rollback", "2", *flags]) == 64
    assert said in capsys.readouterr().err
