"""`drift` and `validate` over several environments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.environment.load import InvalidEnvironment
from reconciler.environment.settings import Environment, Host
from reconciler.environment.yaml_reader import Problem
from reconciler.fleet.reply import NoAnswer
from reconciler.model import Place
from tests.support.schemas import hold
from tests.support.scripted import Scripted, Thing
from tests.support.workplace import Scene


def load(env: str) -> Environment:
    """Environments `a` and `b`, each with the host of its name; no other."""
    if env not in ("a", "b"):
        raise InvalidEnvironment([Problem(Place(env, 1, 1), "it is not there")])
    host = Host(name=env, primary=True)
    things = (Thing(host=env, label="/x"),)
    return Environment(name=env, router="r", hosts=(host,), blueprint=False, resources=things, file=env)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path))
    hosts = {name: Scripted(name, {"/x": "new"}) for name in ("a", "b")}
    return Scene(hosts, more={"load": load})


def test_each_is_looked_at_and_the_worst_code_counts(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["drift", "a", "b"]) == 0
    assert capsys.readouterr().out == (
        "== a\nNothing to do: a is as declared.\n\n== b\nNothing to do: b is as declared.\n"
    )
    world["b"].things["/x"] = "old"
    assert world.run(["drift", "a", "b"]) == 2
    assert "== b\ndrifted since " in capsys.readouterr().out
    world["a"].error = NoAnswer("a", "it is down")
    assert world.run(["drift", "a", "b"]) == 3
    assert world.run(["drift", "b", "a"]) == 3


def test_one_that_is_broken_hides_none_of_the_others(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["b"].things["/x"] = "old"
    assert world.run(["drift", "a", "nowhere", "b"]) == 64
    captured = capsys.readouterr()
    assert captured.err == "nowhere:1:1: it is not there\n"
    assert "Nothing to do: a is as declared." in captured.out
    assert "== nowhere\n\n== b\npending: 1 declared" in captured.out
    assert world.run(["drift", "nowhere"]) == 64
    assert capsys.readouterr().out == ""


def test_several_are_one_document(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["b"].things["/x"] = "old"
    assert world.run(["drift", "a", "nowhere", "b", "--json"]) == 64
    document = json.loads(capsys.readouterr().out)
    hold(document, "drifts")
    assert [(each["env"], each["exit_code"]) for each in document["environments"]] == [
        ("a", 0), ("nowhere", 64), ("b", 2),
    ]  # fmt: skip
    first, second, third = document["environments"]
    assert (second["problems"], second["plan"]) == (["nowhere:1:1: it is not there"], None)
    for each in (first, third):
        hold(each["plan"], "plan")
    assert third["plan"]["findings"][0]["verdict"] == "pending"
    world.run(["drift", "b", "--json"])
    hold(json.loads(capsys.readouterr().out), "plan")


def test_other_formats_hold_several_one_after_the_other(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["drift", "a", "b", "--markdown"]) == 0
    assert capsys.readouterr().out.count("### reconcile: ") == 2
    assert world.run(["drift", "a", "b", "--github"]) == 0
    assert "==" not in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--junit", "--prometheus"])
def test_a_file_is_about_one_environment(
    world: Scene, capsys: pytest.CaptureFixture, tmp_path: Path, flag: str
) -> None:
    assert world.run(["drift", "a", "b", flag, str(tmp_path / "f")]) == 64
    assert f"{tmp_path / 'f'}: a file is about one environment" in capsys.readouterr().err
    assert world["a"].scripts == []
    assert world.run(["drift", "a", flag, str(tmp_path / "f")]) == 0


def test_all_takes_every_file_here(
    capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "a.yaml").write_text(
        "environment: a\nblueprint: false\nhosts: [{name: h}]\nresources: [{package: tree}]\n"
    )
    (folder / "notes.txt").write_text("not one of them")
    assert Scene({}).run(["validate", "--all"]) == 0
    assert capsys.readouterr().out == "environments/a.yaml: valid: 1 hosts, 1 resources\n"
    (folder / "b.yaml").write_text("environment: b\n")
    (folder / "c.yaml").symlink_to("nowhere")
    assert Scene({}).run(["validate", "--all"]) == 64
    captured = capsys.readouterr()
    assert "environments/a.yaml: valid" in captured.out
    assert "environments/b.yaml:1:1: " in captured.err
    assert "environments/c.yaml:1:1: cannot be read" in captured.err
    hosts = {"h": Scripted("h", error=NoAnswer("h", "it is down"))}
    assert Scene(hosts).run(["drift", "--all"]) == 64
    assert "== environments/a.yaml\nunseen" in capsys.readouterr().out


def test_it_is_said_where_not_all_pairs_of_hosts_are_proven(
    capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for count, is_said in ((8, False), (9, True)):
        hosts = ", ".join(
            f"{{name: h{number}, primary: {str(not number).lower()}}}" for number in range(count)
        )
        Path("many.yaml").write_text(f"environment: many\nrouter: r\nhosts: [{hosts}]\n")
        assert Scene({}).run(["validate", "many.yaml"]) == 0
        said = (
            "more than 8 hosts (`sync: all_pairs`): ssh is proven from the primary" in capsys.readouterr().out
        )
        assert said is is_said
