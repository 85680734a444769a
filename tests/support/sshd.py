"""A real sshd on loopback, for tests that need to log in but no host."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.faults import new_key, public_of

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")

needs_sshd = pytest.mark.skipif(SSHD is None, reason="there is no sshd on this machine")

USER = "bin" if os.geteuid() == 0 else getpass.getuser()
"""Who can log in. A daemon of root's would need an account of its own to be without privileges."""


@dataclass(frozen=True)
class Sshd:
    """A running daemon: its port, its host key as `TYPE BASE64`, and its log."""

    port: int
    key: str
    log: Path

    def pin(self, name: str) -> str:
        """Its line of known_hosts, under a name."""
        return f"[{name}]:{self.port} {self.key}\n"


@contextmanager
def sshd(identity: Path, marker: str = "") -> Iterator[Sshd]:
    """A daemon that the key logs in to; `marker` stands before it in authorized_keys."""
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as taken:
        folder, port = Path(name), taken.getsockname()[1]
        key = public_of(new_key(folder / "host_key"))
        (folder / "authorized").write_text(f"{marker}{public_of(identity)}\n", encoding="ascii")
        lines = [
            f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host_key", "PidFile none",
            f"AuthorizedKeysFile {folder}/authorized", "StrictModes no", "UsePAM no",
        ]  # fmt: skip
        (folder / "config").write_text("\n".join(lines) + "\n", encoding="ascii")
        if USER == "bin":
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, USER, USER)
        taken.close()
        yield from _run(folder, Sshd(port, key, folder / "log"))


def _run(folder: Path, made: Sshd) -> Iterator[Sshd]:
    words = [str(SSHD), "-D", "-e", "-f", str(folder / "config")]
    with made.log.open("wb") as log:
        as_user = {"user": USER, "group": USER, "extra_groups": []} if USER == "bin" else {}
        process = subprocess.Popen(words, stderr=log, stdin=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
    try:
        end = time.monotonic() + 20
        while b"Server listening" not in made.log.read_bytes():
            assert process.poll() is None, made.log.read_text()
            assert time.monotonic() < end, made.log.read_text()
            time.sleep(0.02)
        yield made
    finally:
        process.terminate()
        process.wait(20)
