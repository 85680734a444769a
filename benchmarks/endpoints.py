"""Many cheap hosts: one server, sshd or a simulation, for which every address of 127.1.0.0/16 is one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchError, last_line, say

SSHD = "/usr/sbin/sshd"
POLICY = Path("/usr/sbin/policy-rc.d")

CONFIG = """\
ListenAddress 0.0.0.0
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
PidFile none
PrintMotd no
PrintLastLog no
MaxStartups 1000:30:2000
LogLevel ERROR
SetEnv HOME={folder}/remote_home
"""
"""HOME is an empty folder, so that no start-up file of this machine's root is measured."""


@dataclass(frozen=True)
class Endpoints:
    """Addresses that answer, and what is needed to log in there as root."""

    addresses: tuple[str, ...]
    port: int
    identity: Path
    known_hosts: Path

    def first(self, count: int) -> Endpoints:
        """The same with fewer addresses."""
        return Endpoints(self.addresses[:count], self.port, self.identity, self.known_hosts)

    def hashed(self) -> Endpoints:
        """The same with a known_hosts file that hides the names."""
        hidden = self.known_hosts.with_suffix(".hashed")
        shutil.copy(self.known_hosts, hidden)
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(hidden)], check=True, capture_output=True)
        return Endpoints(self.addresses, self.port, self.identity, hidden)


@contextmanager
def started(folder: Path, count: int) -> Iterator[Endpoints]:
    """An sshd that serves `count` addresses as long as the context lasts; its files go to `folder`."""
    _need_sshd()
    at = _prepared(folder, count)
    (folder / "remote_home").mkdir()
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=at.port, folder=folder), encoding="ascii")
    with _serving([SSHD, "-D", "-e", "-f", str(config)], folder, at):
        yield at


@contextmanager
def simulated(folder: Path, count: int, python: Path) -> Iterator[Endpoints]:
    """One process that answers for `count` hosts what it has recorded (`benchmarks.simulated`); `python` has
    asyncssh."""
    at = _prepared(folder, count)
    with _serving([str(python), "-m", "benchmarks.simulated", str(at.port), str(folder)], folder, at):
        yield at


def _prepared(folder: Path, count: int) -> Endpoints:
    """Keys, and addresses that are pinned; nothing answers there yet."""
    identity, host_key = _key(folder / "identity"), _key(folder / "host_key")
    shutil.copy(f"{identity}.pub", folder / "authorized_keys")
    port = _free_port()
    addresses = tuple(f"127.1.{number // 250}.{number % 250 + 1}" for number in range(count))
    key = " ".join(Path(f"{host_key}.pub").read_text(encoding="ascii").split()[:2])
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(f"[{each}]:{port} {key}\n" for each in addresses), encoding="ascii")
    return Endpoints(addresses, port, identity, known_hosts)


@contextmanager
def _serving(argv: list[str], folder: Path, at: Endpoints) -> Iterator[None]:
    """A server that answers at all these addresses; it ends with the context."""
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(server, at.addresses[-1], at.port, folder / "server.log")
        yield
    finally:
        _stop(server)


def _key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "benchmark", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], address: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + 60  # a machine may have other things to do
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        time.sleep(0.05)
    said = last_line(log.read_text(encoding="utf-8", errors="replace"))
    raise BenchError(f"no server answers at {address}:{port}: {said}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ends it, and the connections that an interrupted run may have left open."""
    for child in _children(server.pid):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    server.terminate()
    server.wait()


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []


def _need_sshd() -> None:
    if not Path(SSHD).exists():
        say("installing openssh-server (its own service is neither started nor enabled)")
        _install_sshd()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it


def _install_sshd() -> None:
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        POLICY.chmod(0o755)
    try:
        for command in (
            ["apt-get", "-qq", "update"],
            ["apt-get", "-qq", "install", "-y", "--no-install-recommends", "openssh-server"],
            ["systemctl", "disable", "ssh.service"],
        ):
            done = subprocess.run(
                command,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or ["it said nothing"]
                raise BenchError(f"{' '.join(command)}: {lines[-1]}")
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)
