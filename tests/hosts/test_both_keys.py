"""Two certificates on one port, one with an RSA key and one with an ECDSA key, as examples/both-keys.yaml declares
them: the real Apache, nginx, HAProxy, Dovecot and Postfix show each client the one that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from lab import LabHost
from reconciler import x509
from reconciler.tls.endpoint import Endpoint, NoHandshake
from reconciler.tls.handshake import probe_tls
from tests import ROOT
from tests.support.fleet import PREFIX, _fleet
from tests.support.serving import ROUTER, Node

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

EXAMPLE = (ROOT / "examples" / "both-keys.yaml").read_text(encoding="utf-8")
NAMES = "cn.example.org, cn-1.example.org, cn-2.example.org"
STORE = "/var/lib/reconciler/certificates/ecdsa"
NGINX = f"        ssl_certificate {STORE}/current/fullchain.pem;\n        ssl_certificate_key {STORE}/current/privkey.pem;\n"
PORTS = {"apache": (443, "tls"), "nginx": (8444, "tls"), "haproxy": (8445, "tls"), "dovecot": (993, "tls"),
         "postfix": (25, "smtp")}  # fmt: skip
KINDS = {"RSA": "RSA 2048", "ECDSA": "ECDSA secp256r1"}


class BothKeys(Node):
    """Hosts that serve two certificates on each of these ports."""

    def names(self, host: LabHost) -> tuple[str | None, ...]:
        return (ROUTER, host.name)

    def declare_both(self, text: str = EXAMPLE) -> None:
        """What the example has of this, for the names of the lab."""
        own = ", ".join((ROUTER, *(host.name for host in self.fleet.hosts)))
        further = text[text.index("certificates:\n") :].replace(NAMES, own)
        self.declare(f"  apache_also: ecdsa\n{further}")

    def shown(self, key: str) -> dict[str, str]:
        """What clients that take one kind of key alone are shown: of each service, the release that is the
        same on all hosts under all names, or all that there is."""
        return {service: " ".join(sorted(self._shown(*where, key))) for service, where in PORTS.items()}

    def _shown(self, port: int, protocol: str, key: str) -> set[str]:
        found = set()
        for host in self.fleet.hosts:
            for name in self.names(host):
                try:
                    answer = probe_tls(Endpoint(host.name, host.address, "x", port, protocol, name, key), 10)
                except NoHandshake as why_not:
                    found.add(why_not.reason)
                    continue
                chain = x509.chain_der(answer.chain)
                assert x509.key_type(chain[0]).startswith(key)
                roots = self.fleet.ca.roots.read_bytes()
                found.add(
                    x509.why_not_trusted(chain, roots, ROUTER, datetime.now(UTC)) or x509.identity(chain)
                )
        return found

    def renew_ecdsa(self) -> None:
        """The command of its own cron job, on the day that it is due."""
        primary, conf = self.fleet.hosts[0], "/etc/letsencrypt/renewal/ecdsa.conf"
        primary.run(f"sed -i -e '1i renew_before_expiry = 3650 days' -e '/renew_before_expiry/d' {conf}")
        primary.run("sh /etc/letsencrypt/renewal/certificate-ecdsa.sh renew")
        primary.run(f"sed -i '/renew_before_expiry/d' {conf}")


@pytest.fixture(scope="module")
def node(
    fleet_machine: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[BothKeys]:
    for fleet in _fleet(f"{PREFIX}-keys", 2, pytestconfig):
        made = BothKeys(fleet, tmp_path_factory.mktemp("keys"), 30)
        made.declare_both()
        # What a package brings is changed by the run after the one that installs it; and what is only just
        # starting on hosts that were bare makes a plan stale.
        for _ in range(4):
            if made.wait(made.start("apply", "--yes")).code == 0:
                break
        made.settle()
        yield made


def test_each_client_is_shown_the_certificate_that_it_takes(node: BothKeys) -> None:
    node.settled()
    rsa, ecdsa = node.shown("RSA"), node.shown("ECDSA")
    assert [len({*each.values()}) for each in (rsa, ecdsa)] == [1, 1], (rsa, ecdsa)
    assert len(rsa["nginx"]) == len(ecdsa["nginx"]) == 32
    assert rsa["nginx"] != ecdsa["nginx"]
    asked = [each for each in node.document(0, "verify")["checks"] if each["port"] == 25]
    assert {(each["service"], each["host"], each["seen_from"], each["verdict"]) for each in asked} == {
        (f"postfix ({key})", host.name, where, "ok")
        for key in KINDS
        for host in node.fleet.hosts
        for where in ("outside", "the host itself")
    }


def test_a_renewal_of_one_leaves_the_other_as_it_is(node: BothKeys) -> None:
    rsa, ecdsa = node.shown("RSA"), node.shown("ECDSA")
    node.renew_ecdsa()
    assert [line for line in node.pending(2) if "serving" in line] == [
        "reload cn-lab-1 serving ecdsa",
        "reload cn-lab-2 serving ecdsa",
    ]
    node.apply(0)
    assert node.shown("RSA") == rsa
    changed = node.shown("ECDSA")
    assert len({*changed.values()}) == 1
    assert changed["apache"] != ecdsa["apache"]
    node.settled()


def test_a_service_that_has_lost_one_of_them_is_named_from_inside_and_outside(node: BothKeys) -> None:
    """The other is served as before, so a client that takes any key sees nothing."""
    host = node.fleet.hosts[1]
    path = "/etc/nginx/conf.d/tls.conf"
    assert NGINX in EXAMPLE
    node.declare_both(EXAMPLE.replace(NGINX, ""))
    node.wait(node.start("apply", "--yes"))
    assert "handshake failure" in node.shown("ECDSA")["nginx"]
    assert len(node.shown("RSA")["nginx"]) == 32
    wrong = [each for each in node.document(2, "verify")["checks"] if each["verdict"] != "ok"]
    assert {(each["service"], each["seen_from"]) for each in wrong} == {
        ("nginx (ECDSA)", "outside"),
        ("nginx (ECDSA)", "the host itself"),
    }
    assert STORE not in host.run(f"cat {path}").stdout
    node.declare_both()
    node.apply(0)
    node.settled()
