"""Who can approve, by the file of allowed signers; whose keys are pinned."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.diagnosis import keys
from reconciler.diagnosis.machine import MachineFile
from reconciler.environment.settings import Host, Ssh
from reconciler.fleet.routes import Routes
from tests.support import states

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ADA = "ada@example.org {} ssh-ed25519 AAAAada"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (ADA.format(""), "ok"),
        ("bob@example.org ssh-ed25519 AAAAbob", "ok"),
        ("# " + ADA.format(""), "problem"),
        (ADA.format('namespaces="git"'), "problem"),
        (ADA.format('namespaces="git,reconcile-*"'), "ok"),
        (ADA.format('valid-before="20261101"'), "problem"),
        (ADA.format('namespaces="reconcile-approval",valid-before="20270101Z"'), "ok"),
        (ADA.format('valid-after="20270101"'), "problem"),
        (ADA.format("cert-authority"), "ok"),
        ("nonsense", "problem"),
        ("", "problem"),
    ],
)
def test_who_can_approve_now(text: str, verdict: str) -> None:
    environment = states.environment()
    policy = replace(environment.policy, approvers=1, allowed_signers="signers")
    file = MachineFile("signers", 0o644, text)
    (found,) = keys.allowed_signers(replace(environment, policy=policy), file, NOW)
    assert found.verdict == verdict


def test_the_jump_host_is_one_that_must_be_pinned_too() -> None:
    ssh = Ssh(user="ops", jump="ada@gate:2200", known_hosts="k", config="none")
    file = MachineFile("k", 0o644, "h ssh-ed25519 AAAA\n")
    gate, host = keys.pinned(ssh, {"h": Routes(ssh).of(Host(name="h"))}, (), file)
    assert (gate.subject, gate.verdict, host.verdict) == ("gate", "problem", "ok")
    assert gate.command.endswith("UserKnownHostsFile=k -p 2200 ada@gate true")
