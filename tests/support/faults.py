"""A host that misbehaves and one that is healthy, in one environment; a pytest plugin.

Every fault must name the host that has it, and the healthy one must be looked at all the same. The
faulty host has one account and one sshd, but may have many addresses, each with a `LoginFault`: what
sshd or the login does is told apart by the address that was called, so that one run of the program
meets many faults at once.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import Fleet, LabHost
from tests.support import program
from tests.support.fleet import FRESH

HEALTHY, FAULTY = "healthy.test.dataone.org", "faulty.test.dataone.org"

BARE = """\
  - directory: /srv/tested
  - file: /srv/tested/note
    content: "as declared\\n"
"""


# systemd refuses the sixth start within ten seconds.
RESTART = "systemctl reset-failed ssh; systemctl restart ssh"


PROGRESS = re.compile(
    r"(?m)^(looking at .* hosts?|after .* still waiting for .*"
    r"|\S+: \d+ questions? answered after .*|\S+: could not be looked at: .*)\n"
)
"""What -v, or a host that takes long, makes a look say on stderr."""


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def problems(self) -> str:
        """What stands on stderr without the progress of looks."""
        return PROGRESS.sub("", self.err)

    def lines(self, begin: str) -> list[str]:
        """The lines of stdout that begin so."""
        return [line for line in self.out.splitlines() if line.startswith(begin)]

    def reason(self, host: str = FAULTY) -> str:
        """Why a host could not be looked at; the test fails where that is not said once."""
        found = self.lines(f"? {host} could not be looked at: ")
        assert len(found) == 1, f"{self.out}\n{self.err}"
        return found[0].partition(": ")[2]


class FaultyHost:
    """The environment of both hosts, and the program run on it as a user runs it.

    `after` undoes what the test has broken; it runs in reverse order when the test ends.
    """

    def __init__(self, folder: Path, healthy: LabHost, faulty: LabHost, identity: Path) -> None:
        self.folder, self.healthy, self.faulty, self.identity = folder, healthy, faulty, identity
        self.after = ExitStack()
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(f"{pin(HEALTHY, healthy)}\n{pin(FAULTY, faulty)}\n", encoding="ascii")
        self.resources = BARE
        self.ssh: dict[str, Any] = {
            "user": "ops",
            "identity": identity,
            "known_hosts": self.known_hosts,
            "timeout": 10,
        }
        self.hosts = {FAULTY: faulty.address}
        self.variables: dict[str, str] = {}
        self.flags: tuple[str, ...] = ()

    # -- the program -----------------------------------------------------------

    def environment(self) -> Path:
        """Writes the environment file as it is now."""
        plain = {key: str(value) if isinstance(value, Path) else value for key, value in self.ssh.items()}
        document = {
            "environment": "tested",
            "router": "cn-tested.test.dataone.org",
            "hosts": [
                {"name": HEALTHY, "address": self.healthy.address, "primary": True},
                *({"name": name, "address": address} for name, address in self.hosts.items()),
            ],
            "ssh": plain,
            "blueprint": False,
        }
        # JSON is YAML; the resources are YAML as the tests write it.
        parts = [f"{key}: {json.dumps(value)}\n" for key, value in document.items()]
        file = self.folder / "tested.yaml"
        # In one step: runs that are side by side each write it, and read it.
        new = self.folder / f"tested.{threading.get_ident()}"
        new.write_text(f"{''.join(parts)}resources:\n{self.resources}", encoding="utf-8")
        return new.replace(file)

    def start(self, command: str, *flags: str) -> subprocess.Popen[str]:
        """Starts `reconcile COMMAND ENV FLAGS…`, and does not wait for it."""
        return self.start_on(self.environment(), command, *flags)

    def start_on(self, file: Path, command: str, *flags: str) -> subprocess.Popen[str]:
        """Starts it on another file than the environment's."""
        # A journal of its own: that of another test would miss what a host had kept before it was made anew.
        environ = {"RECONCILE_STATE": str(self.folder / "state"), **self.variables}
        return program.start([command, file, *self.flags, *flags], environ=environ)

    def wait(self, process: subprocess.Popen[str], seconds: float = 60) -> Ended:
        """Waits for it, for at most that long."""
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"it did not end within {seconds} s\n{out}\n{err}") from None
        assert not re.search("Traceback|internal error", err), err
        return Ended(process.returncode, out, err)

    def reconcile(self, command: str, *flags: str, seconds: float = 60) -> Ended:
        """Runs `reconcile COMMAND ENV FLAGS…` to its end."""
        return self.wait(self.start(command, *flags), seconds)

    def sees_only_the_healthy(self, *words: str) -> str:
        """`plan` and `drift` cannot look at the faulty host, say so with these words, and have
        looked at the other. Returns the reason."""
        with ThreadPoolExecutor(2) as both:
            plan, drift = both.map(lambda command: self.reconcile(command, "--verbose"), ("plan", "drift"))
        assert (plan.code, drift.code) == (3, 3), f"{plan}\n{drift}"
        for ended in (plan, drift):
            assert ended.problems == ""
            for word in words:
                assert word in ended.reason()
            assert ended.lines(f"+ {HEALTHY} file /srv/tested/note"), ended.out
            assert not ended.lines(f"+ {FAULTY}"), ended.out
        return plan.reason()

    def sees_both(self) -> Ended:
        """A plan that sees both hosts, whatever is odd about one of them."""
        ended = self.reconcile("plan", "--verbose")
        assert ended.code == 0, f"{ended.out}\n{ended.err}"
        for host in (HEALTHY, *self.hosts):
            assert ended.lines(f"+ {host} file /srv/tested/note"), f"{host}\n{ended.out}"
        return ended

    def apply(self, code: int, *flags: str, seconds: float = 60) -> Ended:
        """`apply --yes` that ends with this code."""
        ended = self.reconcile("apply", "--yes", *flags, seconds=seconds)
        assert ended.code == code, f"{ended.out}\n{ended.err}"
        return ended

    def settled(self) -> None:
        """There is nothing left to do on any host."""
        ended = self.reconcile("plan", "--detailed-exitcode")
        assert ended.code == 0, f"{ended.out}\n{ended.err}"

    # -- the faulty host ---------------------------------------------------------

    def run(self, text: str, undo: str = "") -> str:
        """Runs a shell text on the faulty host as root; `undo` when the test ends."""
        if undo:
            self.after.callback(self.faulty.run, undo)
        return self.faulty.run(text).stdout

    def replace(self, path: str, text: str, mode: int = 0o755) -> None:
        """Puts a file in the place of another on the faulty host, until the test ends."""
        aside = shlex.quote(f"{path}.aside")
        where = shlex.quote(path)
        self.run(
            f"test ! -e {where} || mv -T {where} {aside}",
            f"rm -rf {where}; test ! -e {aside} || mv -T {aside} {where}",
        )
        self.faulty.write(path, text, mode)

    def hide(self, path: str) -> None:
        """Takes a file away on the faulty host, until the test ends."""
        where = shlex.quote(path)
        self.run(f"mv -T {where} {where}.aside", f"mv -T {where}.aside {where}")

    def login_faults(self, faults: Mapping[str, LoginFault]) -> None:
        """Puts hosts that have these in the place of the faulty one, by name, until the test ends."""
        network = self.faulty.address.rpartition(".")[0]
        self.hosts, sshd, bashrc = {}, [], ["case $SSH_CONNECTION in"]
        for number, (name, fault) in enumerate(faults.items(), 100):
            address = f"{network}.{number}"
            self.hosts[f"{name}.test.dataone.org"] = address
            self.run(f"ip addr add {address}/24 dev host0", f"ip addr del {address}/24 dev host0")
            sshd.append(f"Match LocalAddress {address}\n{fault.sshd}\n")
            bashrc.append(f"*' {address} 22')\n{fault.bashrc}\n;;")
        pins = [pin(HEALTHY, self.healthy), *(pin(name, self.faulty) for name in self.hosts)]
        self.known_hosts.write_text("\n".join(pins) + "\n", encoding="ascii")
        self.bashrc("\n".join([*bashrc, "esac\n"]))
        self.sshd("".join(sshd))

    def sshd(self, text: str) -> None:
        """Gives the faulty host's sshd further configuration, until the test ends."""
        self.after.callback(self.faulty.run, RESTART)
        self.replace("/etc/ssh/sshd_config.d/zz-fault.conf", text, 0o644)
        self.faulty.run(f"sshd -t && {RESTART}")

    def bashrc(self, text: str) -> None:
        """What the account runs at each login, before our command."""
        self.replace("/home/ops/.bashrc", text, 0o644)

    def forget(self) -> None:
        """Back to what it was: undoes the fault, and what was applied."""
        try:
            self.after.close()
        finally:
            for host in (self.faulty, self.healthy):
                host.run("rm -rf /srv/tested")


@dataclass(frozen=True)
class LoginFault:
    """A fault: what sshd is told, and what the account's .bashrc does, at one address."""

    sshd: str = ""
    bashrc: str = ":"


@pytest.fixture(scope="module")
def faulty(fleet: Fleet, spare_fleet: Fleet, pytestconfig: pytest.Config) -> LabHost:
    """The host of the spare fleet, bare, which the key of the session's fleet opens."""
    if spare_fleet.name not in pytestconfig.stash[FRESH]:
        spare_fleet.reset()
    authorise(spare_fleet.hosts[0], fleet.identity)
    return spare_fleet.hosts[0]


@pytest.fixture
def pair(fleet: Fleet, faulty: LabHost, tmp_path: Path) -> Iterator[FaultyHost]:
    """The first host of the session, healthy, and a faulty one, which is as before when the test ends."""
    made = FaultyHost(tmp_path, fleet.hosts[0], faulty, fleet.identity)
    yield made
    made.forget()


def pin(name: str, host: LabHost) -> str:
    """A line of known_hosts for a host under a name of the test's own."""
    return f"{name} {host.host_key_line().partition(' ')[2]}"


def authorise(host: LabHost, identity: Path) -> None:
    """Lets a key in as ops, besides those that may."""
    public = identity.with_name(f"{identity.name}.pub").read_text(encoding="ascii")
    host.run("cat >>/home/ops/.ssh/authorized_keys", stdin=public)


def until(test: Callable[[], Any], what: str, seconds: float = 15) -> Any:
    """Waits for something to become true, and returns it."""
    deadline = time.monotonic() + seconds
    while not (found := test()):
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.1)
    return found


def new_key(path: Path, *, passphrase: str = "") -> Path:
    """A key pair of its own."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)], check=True, timeout=20
    )
    return path


def public_of(key: Path) -> str:
    """The public half of a key pair, as known_hosts has it: its type and the key."""
    return " ".join(key.with_suffix(".pub").read_text(encoding="ascii").split()[:2])


@contextmanager
def agent(*keys: Path) -> Iterator[Mapping[str, str]]:
    """An ssh-agent that holds these keys: the variables that lead to it."""
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True, timeout=20)
    words = dict(part.split("=", 1) for part in started.stdout.replace("\n", ";").split(";") if "=" in part)
    variables = {"SSH_AUTH_SOCK": words["SSH_AUTH_SOCK"]}
    try:
        for key in keys:
            subprocess.run(
                ["ssh-add", "-q", str(key)], env={**os.environ, **variables}, check=True, timeout=20
            )
        yield variables
    finally:
        os.kill(int(words["SSH_AGENT_PID"]), signal.SIGTERM)
