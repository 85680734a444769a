"""Challenges that only the primary has: each host sends the CA there, and one that does not is seen before an order."""

from __future__ import annotations

import pytest

from tests.support.serving import SCRIPT, Node

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

VHOST = "/etc/apache2/sites-available/cn-port80.conf"
HOOK = "/etc/letsencrypt/renewal/manual-auth-hook.sh"
ANSWER = "reload cn-lab-3 answer /.well-known/acme-challenge/redirected-reconcile-probe"


def test_the_ca_finds_on_the_primary_what_it_asks_any_host_for(settled: Node) -> None:
    node, (primary, *_, last) = settled, settled.fleet.hosts
    before, orders = node.one(), node.orders()
    node.declare(more_certificate="  challenge_at: primary\n")
    try:
        node.settle()
        assert primary.run(f"grep ^peers= {HOOK}").stdout == "peers=''\n"
        # The CA asks each host by its own name, and Apache's name in front of all.
        node.renew()
        assert node.orders() == [*orders, "begun", "issued"]
        node.apply(0)
        assert node.one() != before
        node.settled()

        last.run(f"sed -i '/RedirectMatch temp/d' {VHOST}; systemctl reload apache2")
        assert ANSWER in node.pending(2)
        refused = primary.run(f"{SCRIPT} preflight 2>&1", check=False)
        assert refused.returncode == 1
        assert "[ca-cannot-see]" in refused.stdout
        assert f"{last.name} through {last.address} ({last.name}): it answers 404" in refused.stdout
        # Only that host is to blame.
        assert {line.split("(")[1].split(")")[0] for line in refused.stdout.splitlines()[1:]} == {last.name}
        node.settle()
    finally:
        node.declare()
        node.settle()
    assert "cn-lab-2" in primary.run(f"grep ^peers= {HOOK}").stdout
