"""Root acts by path only where nobody else can change what the path leads to: against an account that exchanges
names as fast as it can. `ROUNDS` makes it more rounds."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from reconciler import blueprint
from reconciler.environment import load
from reconciler.fleet import fleet, script
from reconciler.fleet.reply import Hear, Reply
from reconciler.kinds import DECLARABLE
from reconciler.model import Action
from tests.support.running import HERE, AdminMachine, bare_hosts

pytestmark = pytest.mark.fleet

ROUNDS = int(os.environ.get("ROUNDS", "2"))
LEAST = 10_000
"""How many exchanges there are at least, over all rounds."""

HOME = "/srv/mallory"
CANARY = "CANARY of root"
NAMES = ("file", "owned", "dir", "acl", "properties", "keys", "hosts", "link", "id", "sub", "disk")

BEFORE = f"""
useradd --system --shell /bin/sh mallory
install -d -o mallory -g mallory {HOME}
install -d -m 0700 /root/vault
install -d -m 0755 /etc/vault
echo 'k={CANARY}' >/root/vault/secret; chmod 0600 /root/vault/secret
echo 'k=open' >/etc/vault/open; echo {CANARY} >/root/vault/file; chmod 0600 /root/vault/file
"""
"""What is root's: a secret that only root reads, a folder of root's alone, and what everybody may read."""

STATE = (
    r"find /root/vault /etc/vault -printf '%p %y %m %u %g %s %T@ %C@\n' | sort; getfacl -R -p /root/vault /etc/vault;"
    " cat /etc/fstab; grep -c . /proc/self/mountinfo"
)


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


MOUNT = f"  - {{mount: {HOME}/disk, source: tmpfs, type: tmpfs}}\n"
"""Only root may: so there it is never done."""

MAKE = f"""
cd {HOME} && rm -rf ./* ./.other*
mkdir dir sub disk; for f in file owned acl sub/file; do echo old >$f; done; echo k=old >properties
ln -s /old link; : >keys; : >hosts; chmod 0600 keys hosts
"""
"""What mallory has there before each round."""


LINKS = "/root/vault/secret,/etc/vault/open,/root/vault,/etc/vault,/etc/vault/new"
ENDLESS = "pipe,/dev/zero"


class Attack:
    """Mallory, at work on a host from now on."""

    def __init__(self, host: LabHost, baits: str) -> None:
        self.host, self._exchanged = host, 0
        host.run(f"runuser -u mallory -- touch {HOME}/.on")
        self._thread = threading.Thread(target=self._run, args=(baits,))
        self._thread.start()

    def _run(self, baits: str) -> None:
        text = (Path(__file__).parent / "exchange.pl").read_text(encoding="utf-8")
        command = f"runuser -u mallory -- perl - {HOME} {baits} {' '.join(NAMES)}"
        self._exchanged = int(self.host.run(command, stdin=text, seconds=900).stdout)

    def end(self) -> int:
        """Ends it; how often something was exchanged."""
        self.host.run(f"rm -f {HOME}/.on")
        self._thread.join()
        return self._exchanged


class Inside:
    """A host of the lab as the program has it, whose scripts run as root without ssh."""

    def __init__(self, host: LabHost) -> None:
        self.host, self.name = host, host.name
        self.said: list[bytes] = []

    def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
        """Runs a script to its end."""
        done = subprocess.run(
            self.host.enter(["sh", "-s"]),
            input=script.encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        self.said.append(done.stdout)
        return Reply(done.stdout, root=True)

    def lock(self, who: str) -> None:
        """Nobody else is here."""

    def close(self) -> None:
        """Nothing is open."""


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


def planned(admin: AdminMachine, host: Inside, number: int) -> list[Action]:
    """What is to be done with what mallory has made, in peace."""
    host.host.run(f"runuser -u mallory -- sh -c {shlex.quote(MAKE)}")
    admin.declare(HERE + declared(number) + MOUNT)
    env = load.load(str(admin.file))
    with fleet.Fleet("lab", blueprint.resources(env), [host]) as here:
        here.look()
        return list(here.plan().actions)


def tried(host: Inside, actions: Iterable[Action], baits: str, limit: float) -> int:
    """Carries out each action while names are exchanged; each ends within `limit` seconds. How often they
    were exchanged."""
    attack = Attack(host.host, baits)
    try:
        for action in actions:
            host.run(script.script([action], (), "B" * 32), limit)
    finally:
        exchanged = attack.end()
    return exchanged


def test_nothing_of_roots_is_touched_or_told_while_names_are_exchanged(admin: AdminMachine) -> None:
    (lab,) = admin.fleet.hosts
    host, before, exchanged = Inside(lab), lab.run(STATE).stdout, 0
    for number in range(ROUNDS):
        actions = planned(admin, host, number)
        assert {each.ref.kind for each in actions} == {
            each.kind for each in DECLARABLE if each.title == "path"
        }
        exchanged += tried(host, actions, LINKS, 60)
        assert lab.run(STATE).stdout == before, f"round {number}"
        attack = Attack(lab, LINKS)
        try:
            for _ in range(5):
                admin.wait(admin.start("plan", "--json"), 60)
        finally:
            exchanged += attack.end()
    assert exchanged >= LEAST
    assert lab.run(STATE).stdout == before
    assert CANARY not in "".join(admin.said)
    assert CANARY.encode() not in b"".join(host.said)
    # Once it is over, all of it is as declared.
    admin.declare(HERE + declared(ROUNDS - 1))
    lab.run(f"runuser -u mallory -- sh -c {shlex.quote(MAKE)}")
    admin.settle()
    assert lab.run(f"find {HOME} ! -user mallory").stdout == ""


@pytest.mark.gate
def test_what_never_ends_costs_its_owner_a_look_and_nobody_else(admin: AdminMachine) -> None:
    (lab,) = admin.fleet.hosts
    host = Inside(lab)
    actions = planned(admin, host, ROUNDS)
    # A step has 30 s as an account.
    tried(host, [each for each in actions if each.ref.kind in ("property", "file")][:2], ENDLESS, 100)
    attack = Attack(lab, ENDLESS)
    try:
        admin.declare(HERE + declared(0) + '  - {file: /etc/vault/open, mode: "0640"}\n')
        for _ in range(2):
            plan = json.loads(admin.wait(admin.start("plan", "--json"), 60).out)
            assert "file /etc/vault/open" in {f"{each['kind']} {each['name']}" for each in plan["actions"]}
    finally:
        attack.end()


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
