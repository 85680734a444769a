"""What certbot's version means for a lifetime."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.diagnosis import hosts
from reconciler.diagnosis.hosts import CertbotVersion, HostLook
from reconciler.fleet.routes import Routes
from reconciler.model import Plan
from tests.support import states


@pytest.mark.parametrize(
    ("version", "days", "verdict"),
    [
        ("4.0.0-2", 6, "ok"),
        ("2.1.0-4", 90, "ok"),
        ("2.1.0-4", 45, "warning"),
        ("1:2.1.0-4", 30, "problem"),
        ("unheard-of", 90, "cannot tell"),
        (None, 90, "cannot tell"),
    ],
)
def test_certbot_before_4_renews_30_days_before_the_end(version: str | None, days: int, verdict: str) -> None:
    environment = states.environment()
    certificate = replace(environment.certificate, lifetime=days)
    resource = CertbotVersion(host=states.UCSB)
    look = HostLook(
        environment=replace(environment, certificate=certificate),
        resources=[resource],
        seen={resource.ref: None if version is None else {"version": version}},
        unreachable={},
        without_root={},
        plan=Plan("stage", ()),
        blocked={},
        routes={host.name: Routes(environment.ssh).of(host) for host in environment.all_hosts},
    )
    (found,) = (each for each in hosts.judge(look) if each.subject.endswith("certbot"))
    assert found.verdict == verdict
