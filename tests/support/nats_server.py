"""A real nats-server on loopback, that can be killed and started again on what it has stored."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from lab.commands import LabError
from lab.machine import install

needs_nats = pytest.mark.skipif(find_spec("nats") is None, reason="nats-py is not installed")


@cache
def program() -> str:
    """The server's program; the Debian package is installed where root can, and the test skipped elsewhere."""
    found = partial(shutil.which, "nats-server", path="/usr/local/bin:/usr/bin:/usr/sbin")
    if found() is None and os.geteuid() == 0:
        with suppress(LabError):
            install(["nats-server"])
    if (path := found()) is None:
        pytest.skip("there is no nats-server on this machine: apt-get install nats-server")
    return path


def version() -> tuple[int, int]:
    """Of the server's program, as (2, 9)."""
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True).stdout
    major, minor, *_ = said.strip().rpartition("v")[2].split(".")
    return int(major), int(minor)


class NatsServer:
    """A server with JetStream; `more` are lines of its configuration."""

    def __init__(self, folder: Path, more: str = "", *, scheme: str = "nats") -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self.url, self.folder = f"{scheme}://127.0.0.1:{self.port}", folder
        sync = ", sync_interval: always" if version() >= (2, 10) else ""
        self.config = folder / "nats.conf"
        self.config.write_text(
            f"listen: 127.0.0.1:{self.port}\njetstream {{ store_dir: {folder}/jetstream{sync} }}\n{more}\n",
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it listens."""
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program(), "-c", str(self.config)], stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None, (self.folder / "nats.log").read_text()
                assert time.monotonic() < end
                time.sleep(0.02)

    def kill(self) -> None:
        """Ends it at once, as a crash of the process does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
        self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    (folder := tmp_path / "server").mkdir()
    made = NatsServer(folder)
    made.start()
    yield made
    made.kill()
