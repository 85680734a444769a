"""Services beyond the coordinating node's own that use the certificate, as examples/consumers.yaml declares them:
nginx, HAProxy, Dovecot, Postfix, slapd and vsftpd, the real programs, on a host that serves, and one that reads a
keystore."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from reconciler.tls.endpoint import Endpoint
from tests import ROOT
from tests.support.faults import until
from tests.support.fleet import PREFIX, _fleet
from tests.support.serving import ROUTER, STORE, Clients, Node

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

EXAMPLE = (ROOT / "examples" / "consumers.yaml").read_text(encoding="utf-8")
CURRENT = f"{STORE}/current"
KEYSTORE = f"""
  - file: /etc/systemd/system/keystore.service
    content: |
      [Service]
      ExecStartPre=openssl pkcs12 -in {CURRENT}/keystore.p12 -nodes -passin pass:changeit -out /run/keystore.pem
      ExecStart=openssl s_server -www -accept 8446 -cert /run/keystore.pem -cert_chain {CURRENT}/chain.pem
"""
ITSELF = """
  - property: /etc/postfix/main.cf
    key: max_use
    value: "1"
    needs: [package postfix]
"""
"""Each process of Postfix loads the certificate when it begins, and now serves one client."""
CHANGED = {
    "consumers:\n": "consumers:\n  - {unit: keystore, port: 8446, form: pkcs12, on_change: restart,"
    " loads: [/etc/systemd/system/keystore.service]}\n",
    "    protocol: smtp\n": "    protocol: smtp\n    reloads_itself: true\n",
}
MORE = EXAMPLE[EXAMPLE.index("consumers:\n") :] + KEYSTORE + ITSELF
for old, new in CHANGED.items():
    MORE = MORE.replace(old, new)
RELOADED = (
    ("nginx", 8444, "tls"), ("haproxy", 8445, "tls"), ("dovecot", 143, "imap"), ("dovecot", 993, "tls"),
    ("postfix", 25, "smtp"),
)  # fmt: skip
ALL = (*RELOADED, ("slapd", 389, "ldap"), ("vsftpd", 21, "ftp"), ("keystore", 8446, "tls"))
UNITS = sorted({unit for unit, _, _ in ALL})


class Consumers(Node):
    """A host with all of them. Three are restarted for a new certificate, and then refuse clients for a moment:
    whoever looks all the time does not look at them."""

    also_restarted = True

    def endpoints(self) -> list[Endpoint]:
        return super().endpoints() + [
            Endpoint(host.name, host.address, unit, port, protocol, ROUTER)
            for host in self.fleet.hosts
            for unit, port, protocol in (ALL if self.also_restarted else RELOADED)
        ]


@pytest.fixture(scope="module")
def node(
    fleet_machine: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Consumers]:
    for fleet in _fleet(f"{PREFIX}-consumers", 1, pytestconfig):
        made = Consumers(fleet, tmp_path_factory.mktemp("consumers"), 30)
        made.declare(MORE)
        # What a package brings is changed by the run after the one that installs it.
        made.wait(made.start("apply", "--yes"))
        made.apply(0)
        yield made


def test_each_of_them_serves_what_was_issued(node: Consumers) -> None:
    node.settled()
    assert len(node.one()) == 32
    asked = {(row["service"], row["port"]): row for row in node.document(0, "verify")["checks"]}
    for unit, port, _ in ALL:
        assert asked[unit, port]["verdict"] == "ok"


def test_a_form_that_was_lost_is_made_again_without_an_order(node: Consumers) -> None:
    host, release, orders = node.fleet.hosts[0], node.one(), node.orders()
    host.run(f"rm {CURRENT}/bundle.pem && truncate -s 100 {CURRENT}/keystore.p12")
    pending = [line.split()[0:4:2] + line.split()[3:] for line in node.pending(2)]
    assert sorted(each for each in pending if each[1] == "certificate_file") == [
        ["change", "certificate_file", f"{CURRENT}/keystore.p12"],
        ["create", "certificate_file", f"{CURRENT}/bundle.pem"],
    ]
    # Without its file HAProxy's own check refuses the configuration.
    assert [each for each in pending if each[1] != "certificate_file"] == [["change", "service", "haproxy"]]
    node.apply(0)
    assert (node.one(), node.orders()) == (release, orders)
    node.settled()


def test_a_form_that_is_declared_later_is_made_without_an_order(node: Consumers) -> None:
    orders, host = node.orders(), node.fleet.hosts[0]
    node.declare(MORE.replace("  - unit: nginx\n", "  - unit: nginx\n    form: der\n"))
    try:
        pending = node.pending(2, "plan", "--detailed-exitcode")
        found = [line.split()[0:4:2] for line in pending]
        assert sorted(found) == [["change", "file"], *[["create", "certificate_file"]] * 2]
        node.apply(0)
        node.settled()
        assert host.run(f"stat -c '%U:%G %a' {CURRENT}/privkey.der").stdout == "root:ssl-cert 640\n"
        assert node.orders() == orders
    finally:
        node.declare(MORE)
        node.apply(0)
    node.settled()


def test_a_renewal_reaches_each_and_no_client_notices(node: Consumers) -> None:
    release = node.one()
    node.renew()
    pending = json.dumps(node.document(2, "plan", "--detailed-exitcode"))
    assert "systemctl reload nginx" in pending
    assert "systemctl reload postfix" not in pending, "it loads it by itself"
    node.also_restarted = False
    try:
        with Clients(node, pause=0.2) as clients:
            node.apply(0)
    finally:
        node.also_restarted = True
    assert clients.failures == []
    assert node.one() != release
    node.settled()


def test_one_that_would_not_load_it_is_named_and_all_keep_the_old_one(node: Consumers) -> None:
    host, release = node.fleet.hosts[0], node.one()
    host.run("echo 'nonsense;' >/etc/nginx/conf.d/by-hand.conf")
    node.renew()
    said = node.run(2, "plan", "--detailed-exitcode", "--only", "service:nginx").out
    assert 'unknown directive "nonsense" in /etc/nginx/conf.d/by-hand.conf:1' in said
    node.wait(node.start("apply", "--yes"))
    assert node.one() == release
    host.run("rm /etc/nginx/conf.d/by-hand.conf")
    node.apply(0)
    assert node.one() != release
    node.settled()


def test_one_that_was_stopped_is_started_again(node: Consumers) -> None:
    host = node.fleet.hosts[0]
    for unit in UNITS:
        host.run(f"systemctl stop {unit}")
    ports = " or ".join(f"sport = :{port}" for _, port, _ in ALL)
    until(lambda: host.run(f"ss -Htan '( {ports} )'").stdout == "", "nothing is left of them", 90)
    found = [line.split()[3] for line in node.pending(2) if " service " in line]
    assert sorted(found) == UNITS
    node.apply(0)
    node.settled()
