"""A certificate whose names are proven by records in the DNS: wildcards, and no host that the CA asks."""

from __future__ import annotations

import pytest

from reconciler import x509
from reconciler.tls.endpoint import Endpoint
from reconciler.tls.handshake import probe_tls
from tests.support.serving import LIVE, Node, reason

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

WILD = "wild.test.dataone.org"
HOOK = """\
#!/bin/sh
# The name server of the lab takes records by HTTP, and forgets all of a name at once.
case $1 in
present) curl -fsS -d "{\\"host\\":\\"$2\\",\\"value\\":\\"$3\\"}" http://SERVER:8055/set-txt ;;
cleanup) curl -fsS -d "{\\"host\\":\\"$2\\"}" http://SERVER:8055/clear-txt ;;
esac
"""
CHALLENGE = f"""\
  challenge: dns-01
  dns_hook: /etc/letsencrypt/dns-hook
  dns_wait: 3
  names: [{WILD}, "*.{WILD}"]
"""


def declare(node: Node, hook: str) -> None:
    """The challenge by the DNS, with this program."""
    (node.folder / "dns-hook.sh").write_text(hook, encoding="utf-8")
    more = (
        'resources:\n  - file: /etc/letsencrypt/dns-hook\n    source: dns-hook.sh\n    mode: "0700"\n'
        "    hosts: [primary]\n"
    )
    node.declare(more, more_certificate=CHALLENGE)


def served_names(node: Node, sni: str) -> str:
    """The names in the certificate that Apache on the last host shows to a client that asks for `sni`."""
    host = node.fleet.hosts[-1]
    shown = probe_tls(Endpoint(host.name, host.address, "apache2", 443, "tls", sni), 10)
    return x509.names(x509.chain_der(shown.chain)[0])


def test_names_and_a_wildcard_are_ordered_by_records_in_the_dns_and_no_host_is_asked(settled: Node) -> None:
    node, primary = settled, settled.fleet.hosts[0]
    before, orders = node.one(), node.orders()
    hook = HOOK.replace("SERVER", node.fleet.ca.address)
    # The CA could reach no host: none of their names leads anywhere.
    for host in node.fleet.hosts:
        node.fleet.ca.forget(host.name)
    try:
        for broken, why in (
            ("#!/bin/sh\nexit 3\n", "ended with 3; it is the program that certificate: dns_hook names"),
            ("#!/bin/sh\n", f"the DNS does not show the record of _acme-challenge.{WILD} after 3 s:"),
        ):
            declare(node, broken)
            ended = node.apply(4)
            said = reason(ended, "cn-lab-1.test.dataone.org", "certificate")
            assert "the CA would not find a challenge everywhere, so nothing was ordered" in ended.out, said
            assert why in ended.out
            assert (node.one(), node.orders()) == (before, orders)
        declare(node, hook)
        node.settle()
        assert {WILD, f"*.{WILD}"} <= set(served_names(node, f"any.{WILD}"))
        first = node.one()
        assert "pref_challs = dns-01," in primary.run(f"cat {LIVE.replace('live', 'renewal')}.conf").stdout
        # The next renewal is cron's, and goes by the same way.
        node.renew()
        node.apply(0)
        assert node.one() not in (before, first)
        node.run(0, "verify")
    finally:
        for host in node.fleet.hosts:
            node.fleet.ca.set_name(host.name, host.address)
    node.declare()
    node.settle()
    assert WILD not in served_names(node, node.fleet.router)
