"""Root acts by path only where nobody else can change what the path leads to: against an account that exchanges
names as fast as it can. `ROUNDS` makes it more rounds."""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from tests.support.running import HERE, AdminMachine, bare_hosts

pytestmark = pytest.mark.fleet

ROUNDS = int(os.environ.get("ROUNDS", "2"))
LEAST = 10_000
"""How many exchanges there are at least, over all rounds."""

HOME = "/srv/mallory"
CANARY = "CANARY of root"
NAMES = ("file", "owned", "dir", "acl", "properties", "keys", "hosts", "link", "id", "sub")

BEFORE = f"""
useradd --system --shell /bin/sh mallory
install -d -o mallory -g mallory {HOME}
install -d -m 0700 /root/vault
install -d -m 0755 /etc/vault
echo 'k={CANARY}' >/root/vault/secret; chmod 0600 /root/vault/secret
echo 'k=open' >/etc/vault/open; echo {CANARY} >/root/vault/file; chmod 0600 /root/vault/file
"""
"""What is root's: a secret that only root reads, a folder of root's alone, and what everybody may read."""

STATE = r"find /root/vault /etc/vault -printf '%p %y %m %u %g %s %T@ %C@\n' | sort; getfacl -R -p /root/vault /etc/vault"


def declared(number: int) -> str:
    """Each kind that writes by path, wanting something else in each round."""
    mode, rights = (("0640", "r--"), ("0600", "r-x"))[number % 2]
    return f"""
  - {{directory: {HOME}/dir, mode: "{mode.replace("6", "7")}", owner: mallory}}
  - {{file: {HOME}/file, content: "round {number}\\n", mode: "{mode}"}}
  - {{file: {HOME}/owned, owner: mallory, mode: "{mode}"}}
  - {{file: {HOME}/sub/file, content: "round {number}\\n", owner: mallory}}
  - {{symlink: {HOME}/link, target: /nowhere/{number}}}
  - {{acl: {HOME}/acl, entries: ["user:daemon:{rights}"]}}
  - {{property: {HOME}/properties, key: k, value: round {number}}}
  - {{authorized_keys: {HOME}/keys, user: mallory, keys: {{one: ssh-ed25519 AAAA{number}}}}}
  - {{known_hosts: {HOME}/hosts, user: mallory, keys: {{one: ssh-ed25519 AAAA{number}}}}}
  - {{keypair: {HOME}/id, user: mallory}}
"""


MAKE = f"""
cd {HOME} && rm -rf ./* ./.other*
mkdir dir sub; for f in file owned acl sub/file; do echo old >$f; done; echo k=old >properties
ln -s /old link; : >keys; : >hosts; chmod 0600 keys hosts
"""
"""What mallory has there before each round."""


class Attack:
    """Mallory, at work on a host."""

    def __init__(self, host: LabHost) -> None:
        self.host, self.exchanged = host, 0
        host.run(f"runuser -u mallory -- sh -c {shlex.quote(MAKE)}")
        host.run(f"runuser -u mallory -- touch {HOME}/.on")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        text = (Path(__file__).parent / "exchange.pl").read_text(encoding="utf-8")
        done = self.host.run(
            f"runuser -u mallory -- perl - {HOME} {' '.join(NAMES)}", stdin=text, seconds=900
        )
        self.exchanged = int(done.stdout)

    def end(self) -> int:
        """Ends it; how often something was exchanged."""
        self.host.run(f"rm -f {HOME}/.on")
        self._thread.join()
        return self.exchanged


@pytest.fixture(scope="module")
def admin(
    spare_fleet: Fleet, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AdminMachine]:
    """An administrator's machine and a bare host with an account on it that is up to no good."""
    made = AdminMachine(bare_hosts(spare_fleet, pytestconfig), tmp_path_factory.mktemp("paths"))
    (host,) = spare_fleet.hosts
    host.run(BEFORE)
    yield made
    host.run(f"rm -rf {HOME} /root/vault /etc/vault; userdel mallory")


def test_nothing_of_roots_is_touched_or_told_while_names_are_exchanged(admin: AdminMachine) -> None:
    (host,) = admin.fleet.hosts
    before = host.run(STATE).stdout
    exchanged = 0
    for number in range(ROUNDS):
        attack = Attack(host)
        try:
            admin.declare(HERE + declared(number))
            for words in (("plan", "--json"), ("apply", "--yes"), ("apply", "--yes")):
                began = time.monotonic()
                ended = admin.wait(admin.start(*words), 240)
                assert ended.code in (0, 2, 3, 4, 5), (words, ended)
                assert time.monotonic() - began < 200
        finally:
            exchanged += attack.end()
        assert host.run(STATE).stdout == before
    assert exchanged >= LEAST
    assert CANARY not in "".join(admin.said)
    # Once it is over, all of it is as declared.
    host.run(f"runuser -u mallory -- sh -c {shlex.quote(MAKE)}")
    admin.settle()
    assert host.run(f"find {HOME} ! -user mallory").stdout == ""


def test_a_link_in_a_services_folder_leads_root_nowhere(admin: AdminMachine) -> None:
    """No race is needed: a file of properties that is a link once made root write where it leads."""
    (host,) = admin.fleet.hosts
    host.run(
        f"runuser -u mallory -- sh -c 'cd {HOME} && rm -rf ./* && ln -s /etc/nologin p && ln -s /etc/vault/open q'"
    )
    before = host.run(STATE).stdout
    admin.declare(
        HERE
        + f"  - {{property: {HOME}/p, key: k, value: v}}\n"
        + f"  - {{property: {HOME}/q, key: k, value: v}}\n"
    )
    ended = admin.wait(admin.start("apply", "--yes"))
    assert f"this ran as mallory, not as root: {HOME} can be written by mallory [foreign-folder]" in ended.out
    assert host.run("ls /etc/nologin", check=False).returncode == 2
    assert host.run(STATE).stdout == before
