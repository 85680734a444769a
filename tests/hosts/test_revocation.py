"""A certificate whose key is thought compromised, on real hosts and against a CA: replaced, rolled out and revoked by one
run; and what a host that fails its switch, or is gone, makes of that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.fleet import PREFIX, _fleet
from tests.support.running import begun_actions
from tests.support.serving import LIVE, ROUTER, STORE, Clients, Node, is_revoked

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

CONF = f"/etc/letsencrypt/renewal/{ROUTER}.conf"
DEAF = "/etc/systemd/system/apache2.service.d"
"""Where a test makes Apache deaf to a reload."""


class Compromised(Node):
    """Hosts with a certificate that can be declared compromised."""

    def number(self, path: str = f"{LIVE}/cert.pem") -> str:
        """The serial number of a certificate on the primary, as an administrator reads it."""
        said = self.fleet.hosts[0].run(f"openssl x509 -noout -serial -in {path}").stdout
        return said.strip().removeprefix("serial=")

    def key(self) -> str:
        """The public half of the key of certbot's lineage."""
        return self.fleet.hosts[0].run(f"openssl pkey -pubout -in {LIVE}/privkey.pem").stdout

    def is_revoked(self, number: str) -> bool:
        """Whether the CA has revoked it."""
        return is_revoked(self.fleet, number)

    def compromise(self, *numbers: str) -> None:
        """Declares these."""
        self.declare(more_certificate=f"  compromised: {json.dumps(numbers)}\n")


@pytest.fixture(scope="module")
def node(
    fleet_machine: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Compromised]:
    for fleet in _fleet(f"{PREFIX}-revoked", 3, pytestconfig):
        made = Compromised(fleet, tmp_path_factory.mktemp("revoked"), 20)
        made.declare()
        made.apply(0)
        yield made


def test_one_run_replaces_it_rolls_out_and_revokes_it(node: Compromised) -> None:
    primary, before, number, key = node.fleet.hosts[0], node.one(), node.number(), node.key()
    # Even where somebody has certbot keep the key.
    primary.run(f"sed -i '/renewalparams/a reuse_key = True' {CONF}")
    node.compromise(number)
    expected = sorted([f"change cn-lab-1 certificate {ROUTER}", f"change cn-lab-1 revocation {number}"])
    assert node.pending(2) == sorted([*expected, *node.rolls_out()])
    told = node.run(0, "plan").out
    assert f"1 revocation: revocation {number} (cn-lab-1)" in told
    assert "a revocation cannot be taken back" in told
    wrong = {each["detail"] for each in node.document(2, "verify")["checks"] if each["verdict"] == "wrong"}
    assert f"it serves {before}, but no certificate with another key was issued" in wrong
    with Clients(node) as clients:
        ended = node.apply(0)
    assert clients.failures == []
    assert begun_actions(ended) == sorted([*expected, *node.rolls_out()])
    last = [line for line in ended.err.splitlines() if line.endswith((": change", ": reload"))][-1]
    assert f" revocation {number}: change" in last
    assert node.one() != before
    assert node.key() != key
    assert primary.run(f"grep -c reuse_key {CONF}", check=False).stdout == "0\n"
    assert node.is_revoked(number)
    assert not node.is_revoked(node.number())
    node.settled()
    node.declare()
    node.settled()


def test_a_host_that_fails_its_switch_is_waited_for(node: Compromised) -> None:
    before, number, last = node.one(), node.number(), node.fleet.hosts[2]
    last.run(f"mkdir -p {DEAF}")
    last.write(f"{DEAF}/deaf.conf", "[Service]\nExecReload=\nExecReload=/bin/true\n")
    last.run("systemctl daemon-reload")
    node.compromise(number)
    try:
        ended = node.wait(node.start("apply", "--yes"))
        assert ended.code == 4, ended.out
        assert f"failed: {last.name} serving {ROUTER}" in ended.out
        # It serves what it did, and everybody else the new one.
        assert {where for where, said in node.served().items() if said == {before}} == {
            f"cn-lab-3 {port}" for port in (443, 5432, 8443)
        }
        assert not node.is_revoked(number)
    finally:
        last.run(f"rm -r {DEAF}; systemctl daemon-reload")
    assert sorted(node.pending(2)) == [
        f"change cn-lab-1 revocation {number}",
        f"reload cn-lab-3 serving {ROUTER}",
    ]
    node.apply(0)
    assert node.one() != before
    assert node.is_revoked(number)
    node.settled()


def test_a_host_that_is_gone_holds_nothing_up_and_is_switched_when_it_is_back(node: Compromised) -> None:
    # The one that is served; to order, the CA would have to reach every host.
    before, number, lost = node.one(), node.number(), node.fleet.hosts[1]
    node.renew()
    lost.partition()
    node.compromise(number)
    try:
        ended = node.wait(node.start("apply", "--yes"))
        assert ended.code == 3, ended.out
        assert node.is_revoked(number)
    finally:
        lost.heal()
    node.apply(0)
    assert node.one() != before
    node.settled()


def test_what_is_revoked_elsewhere_already_is_noted(node: Compromised) -> None:
    primary, number = node.fleet.hosts[0], node.number()
    at = f"{STORE}/current"
    primary.run(
        "certbot revoke -n --no-delete-after-revoke --reason keycompromise"
        f" --server {node.fleet.ca.directory} --cert-path {at}/cert.pem --key-path {at}/privkey.pem"
    )
    assert node.is_revoked(number)
    node.compromise(number)
    node.apply(0)
    node.settled()
    assert f" {number}" in primary.run("cat /var/lib/reconciler/revoked").stdout
    # One that nobody has is refused, with what to do, and holds up nothing else.
    node.compromise("0AFF")
    ended = node.run(0, "plan")
    assert "no certificate with the serial number 0AFF is on cn-lab-1" in ended.out
    node.declare()
    node.settled()
