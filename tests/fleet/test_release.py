"""How a lock is released: by a word that the shell that holds it runs last. A real shell, without ssh."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.fleet import host as module
from reconciler.fleet.host import RemoteHost
from reconciler.fleet.reply import Refused
from reconciler.fleet.shell import Shell
from tests.support.team import NEEDS_ROOT

pytestmark = NEEDS_ROOT


class Pipes:
    """What a channel of ssh is to a shell, with pipes in its place."""

    def __init__(self) -> None:
        self.shell = subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def settimeout(self, seconds: float) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        self.shell.stdin.write(data)
        self.shell.stdin.flush()

    def recv(self, count: int) -> bytes:
        return os.read(self.shell.stdout.fileno(), count)

    def get_transport(self) -> None:
        pass

    def recv_stderr_ready(self) -> bool:
        return False

    def close(self) -> None:
        self.shell.stdin.close()
        self.shell.stdout.close()
        self.shell.wait(10)


class PipedShell(Shell):
    """The real shell of a host, but for the connection."""

    def __init__(self, *_: Any) -> None:
        self._channel = self._client = Pipes()
        self._host, self._framed = "h", False
        self._asking, self._closed = threading.Lock(), threading.Event()


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteHost]:
    """A host whose lock is ours."""
    monkeypatch.setattr(module, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(module, "Shell", PipedShell)
    root = SimpleNamespace(user="root")
    connections = SimpleNamespace(
        ssh=SimpleNamespace(timeout=10, sudo=True),
        routes=SimpleNamespace(of=lambda entry: root),
        connect=lambda entry: None,
    )
    made = RemoteHost(SimpleNamespace(name="h"), connections)
    made.lock("me")
    yield made
    made.close()


def free(tmp_path: Path) -> bool:
    return subprocess.run(["flock", "-n", tmp_path / "lock", "true"]).returncode == 0


def test_the_last_script_runs_under_the_lock_which_is_then_free(locked: RemoteHost, tmp_path: Path) -> None:
    assert locked.run("echo before", 5).output == b"before\n"
    assert not free(tmp_path)
    locked.release(f"if flock -n {tmp_path}/lock true 9>&-; then false; else echo held >{tmp_path}/said; fi")
    assert (tmp_path / "said").read_text() == "held\n"
    assert free(tmp_path)


def test_a_last_script_that_fails_is_told_and_the_lock_is_free(locked: RemoteHost, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="its last script ended with 3"):
        locked.release("(exit 3)")
    assert free(tmp_path)


def test_without_the_lock_nothing_is_run(locked: RemoteHost, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("somebody else\n")
    with pytest.raises(Refused, match="this run has lost its lock there"):
        locked.release(f"touch {tmp_path}/said")
    assert not (tmp_path / "said").exists()
    with pytest.raises(Refused, match="this run has lost its lock there"):
        locked.release(f"touch {tmp_path}/said")
