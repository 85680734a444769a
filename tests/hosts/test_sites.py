"""Hosts behind a gateway: a real sshd on this machine stands for it, with the program and a copy of the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Fleet
from tests import ROOT
from tests.approval.test_signatures import key
from tests.support import sshd as daemon
from tests.support.running import HERE, AdminMachine

pytestmark = [pytest.mark.fleet, daemon.needs_sshd]
GATEWAY = "127.0.0.1"
MOTD = f"{HERE}  - {{file: /etc/motd-of-sites, content: as declared}}\n"


class Machines(AdminMachine):
    """The controlling machine, whose second and third host are at the site `lab`, and its gateway."""

    def __init__(self, fleet: Fleet, folder: Path, gateway: daemon.Sshd) -> None:
        super().__init__(fleet, folder)
        self.there = folder / "gateway"
        self.there.mkdir()
        self.copy, self.program = self.there / "lab.yaml", self.there / "reconcile"
        self.program.write_text(
            f'#!/bin/sh\necho "$*" >>{self.there}/asked\ncd {ROOT}\n'
            f'RECONCILE_STATE={self.there}/state exec {sys.executable} -m reconciler "$@"\n',
            encoding="utf-8",
        )
        self.program.chmod(0o755)
        known = folder / "known_hosts"
        known.write_text(fleet.known_hosts.read_text() + gateway.pin(GATEWAY), encoding="utf-8")
        site = (
            f"sites:\n  lab:\n    gateway: {GATEWAY}\n    file: {self.copy}\n    command: {self.program}\n"
            f"    ssh: {{port: {gateway.port}, user: root, jump: none}}\n"
        )
        self.declare(f"{site}{MOTD}", known_hosts=known)
        text = self.file.read_text(encoding="utf-8")
        for host in fleet.hosts[1:]:
            line = f"    address: {host.address}\n"
            assert line in text
            text = text.replace(line, f"{line}    site: lab\n")
        self.file.write_text(text, encoding="utf-8")
        self.copy.write_text(text, encoding="utf-8")

    def asked(self) -> int:
        """How often the gateway was asked."""
        asked = self.there / "asked"
        return len(asked.read_text(encoding="utf-8").splitlines()) if asked.exists() else 0

    def apply_there(self) -> subprocess.CompletedProcess[str]:
        """As an administrator does on the gateway."""
        words = [str(self.program), "apply", str(self.copy), "--host", "lab", "--yes"]
        environ = {**os.environ, "RECONCILE_SITE": "lab"}
        return subprocess.run(words, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def machines(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    monkeypatch.setattr(daemon, "USER", "root")  # who has the program, and the key to the hosts
    with daemon.sshd(fleet.identity) as gateway:
        yield Machines(fleet, tmp_path, gateway)
    for host in fleet.hosts:
        host.run("rm -f /etc/motd-of-sites")


def test_a_site_is_planned_for_from_its_gateway_and_applied_there(machines: Machines) -> None:
    created = [f"create cn-lab-{number} file /etc/motd-of-sites" for number in (1, 2, 3)]
    assert machines.pending(0, "plan") == created
    assert machines.asked() == 1, "once for both hosts"
    refused = machines.run(64, "apply", "--yes").err
    assert f"`RECONCILE_SITE=lab {machines.program} apply {machines.copy} --host lab`" in refused
    there = machines.apply_there()
    assert there.returncode == 0, there.stdout + there.stderr
    assert machines.pending(2, "drift") == created[:1]
    machines.run(0, "apply", "--host", "!lab", "--yes")
    assert machines.run(0, "plan", "--detailed-exitcode").out == "Nothing to do: lab is as declared.\n"
    # Something at the site is changed, and the gateway sees it.
    machines.fleet.hosts[2].run("echo otherwise >/etc/motd-of-sites")
    assert machines.pending(2, "drift") == ["change cn-lab-3 file /etc/motd-of-sites"]


@pytest.mark.gate
def test_a_signed_plan_of_a_site_is_carried_out_by_its_gateway(machines: Machines) -> None:
    public = key(machines.folder, "ada").with_suffix(".pub").read_text()
    for folder in (machines.folder, machines.there):
        (folder / "signers").write_text(f"ada@example.org {public}", encoding="utf-8")
    (machines.there / "plans").mkdir()
    policy = "policy: {approvers: 1, allowed_signers: signers, author_may_approve: true}\n"
    text = machines.file.read_text(encoding="utf-8").replace("    command:", "    plans: plans\n    command:")
    for copy in (machines.file, machines.copy):
        copy.write_text(f"{policy}{text}", encoding="utf-8")
    plan = machines.folder / "p.json"
    machines.run(0, "plan", "--host", "lab", "-o", plan)
    assert "has no plan sha256:" in machines.run(8, "apply", plan).err
    for name in ("p.json", "p.json.approvals"):
        if name.endswith("approvals"):
            machines.run_words(0, "approve", plan, "--key", machines.folder / "ada", "-q")
        shutil.copy(machines.folder / name, machines.there / "plans")
        if name == "p.json":
            assert "lab: not approved: approval is needed" in machines.run(8, "apply", plan).err
    done = machines.document(0, "apply", plan)["outcomes"]
    assert sorted((each["host"], each["result"]) for each in done) == [
        (host.name, "done") for host in machines.fleet.hosts[1:]
    ]
    assert machines.pending(2, "drift") == ["create cn-lab-1 file /etc/motd-of-sites"]


@pytest.mark.gate
def test_a_gateway_with_another_copy_is_not_believed_and_one_that_is_away_hides_its_hosts_alone(
    machines: Machines,
) -> None:
    text = machines.copy.read_text(encoding="utf-8")
    machines.copy.write_text(f"{text}# another\n", encoding="utf-8")
    ended = machines.run(3, "plan")
    names = [host.name for host in machines.fleet.hosts]
    where = f"the gateway {GATEWAY} of the site lab"
    for name in names[1:]:
        assert f"? {name} could not be looked at: {where}: its copy of the environment" in ended.out
    assert "Plan: 1 to create" in ended.out
    machines.copy.write_text(text, encoding="utf-8")
    machines.program.rename(machines.there / "gone")
    ended = machines.run(3, "observe")
    assert ended.out.count(f"{where}: `RECONCILE_SITE=lab {machines.program} observe") == 2
    assert "not found" in ended.out
    assert names[0] in ended.out
