"""Hosts that keep a record of runs, and machines that share nothing but these hosts."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.fleet.reply import Hear, Refused, Reply
from tests.support.scripted import Scripted
from tests.support.workplace import Scene, two_hosts

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="a record of runs is root's")


@dataclass
class Keeping(Scripted):
    """A scripted host whose record of runs is a real file, below `folder` in place of /, by a real shell."""

    folder: Path = field(default_factory=Path)

    @property
    def record(self) -> Path:
        """The file with the runs of the environment `e`."""
        return self.folder / "var/lib/reconciler/runs/e"

    def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
        opening, _, rest = script.partition("\n(\numask 022\n")
        if rest:
            line, _, rest = rest.partition(") >/dev/null 2>&1 || :")
            self._shell(f"(\numask 022\n{line}) || :")
        reply = super().run(f"{opening}\n{rest}", seconds, hear)
        return Reply(self._with_record(script, reply.output), reply.root, reply.sudo)

    def _with_record(self, script: str, output: bytes) -> bytes:
        """The reply, with what the question about runs prints in its empty section."""
        begin = script.rfind("f=/var/lib/reconciler/runs/e")
        if begin < 0:
            return output
        mark = script[:begin].rstrip("\n(").rpartition("printf '\\n")[2].partition("\\n'")[0]
        question = script[begin:].partition("\n) </dev/null")[0]
        said = self._shell(question).stdout
        whole = f"\n{mark}\n".encode()
        assert whole in output
        return output.replace(whole, whole + said, 1)

    def _shell(self, text: str) -> subprocess.CompletedProcess[bytes]:
        here = text.replace("/var/lib/reconciler", f"{self.folder}/var/lib/reconciler")
        return subprocess.run(["sh"], input=here.encode(), capture_output=True, check=False)

    def release(self, last: str) -> None:
        if self._shell(last).returncode != 0:
            raise Refused(self.name, "its last script ended with 1")


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    """Two scripted hosts that keep records, and as many machines as are named."""
    scene = two_hosts()
    for name in scene.hosts:
        folder = tmp_path / name
        (folder / "var/lib/reconciler").mkdir(parents=True)
        scene.hosts[name] = Keeping(name, folder=folder)
    return Team(scene, tmp_path, monkeypatch)


@dataclass
class Team:
    """Machines with a state folder each."""

    scene: Scene
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def at(self, machine: str) -> Scene:
        """The same hosts, from this machine."""
        self.monkeypatch.setenv("RECONCILE_STATE", str(self.folder / f"state-{machine}"))
        return self.scene

    def host(self, name: str) -> Keeping:
        """One of the hosts."""
        found = self.scene.hosts[name]
        assert isinstance(found, Keeping)
        return found


__all__ = ["NEEDS_ROOT", "Keeping", "Team", "team"]
