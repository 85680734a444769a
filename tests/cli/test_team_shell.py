"""A run and a look from two machines, by the scripts and the shell that real hosts get; only ssh is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from reconciler.cli.app import run
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment, Host
from reconciler.fleet import host as host_module
from reconciler.fleet.host import RemoteHost
from reconciler.journal import leaving
from reconciler.kinds.file import File
from reconciler.questions import runs
from tests.fleet.test_release import PipedShell
from tests.support.team import NEEDS_ROOT

pytestmark = NEEDS_ROOT

Commands = Callable[..., int]


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Runs a command of a machine, of an environment of one file on this machine."""
    (tmp_path / "store").mkdir()
    monkeypatch.setattr(host_module, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(host_module, "Shell", PipedShell)
    monkeypatch.setattr(leaving, "STORE", str(tmp_path / "store"))
    for module in (leaving, runs):
        monkeypatch.setattr(module, "FOLDER", str(tmp_path / "store" / "runs"))
    connections = SimpleNamespace(
        ssh=SimpleNamespace(timeout=30, sudo=True),
        routes=SimpleNamespace(of=lambda entry: SimpleNamespace(user="root")),
        connect=lambda entry: None,
    )
    environment = Environment(
        name="e",
        router="r",
        hosts=(Host(name="a", primary=True),),
        blueprint=False,
        resources=(File(host="a", path=str(tmp_path / "note"), content="x"),),
        file="e.yaml",
        digest="0" * 64,
    )
    workplace = Workplace(
        connect=lambda ssh, hosts: [RemoteHost(each, connections) for each in hosts],
        load=lambda env: environment,
    )

    def command(machine: str, *words: str) -> int:
        monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / machine))
        return run(list(words), workplace)

    return command


def test_what_one_machine_applies_the_other_knows(
    at: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert at("A", "apply", "e.yaml", "--yes") == 0
    record = tmp_path / "store" / "runs" / "e"
    assert record.stat().st_mode & 0o777 == 0o644
    begin, end = record.read_text().splitlines()
    assert f'"before":"{begin.split()[0]}"' in end
    (tmp_path / "note").write_text("odd")
    capsys.readouterr()
    assert at("B", "drift", "e.yaml", "--json") == 2
    assert [each["verdict"] for each in json.loads(capsys.readouterr().out)["findings"]] == ["drifted"]
    assert at("B", "history", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)["elsewhere"]
    assert (told["exit_code"], told["actions"]) == (0, {"a": [f"create file {tmp_path}/note"]})
    assert at("B", "apply", "e.yaml", "--yes") == 0
    assert len(record.read_text().splitlines()) == 4
