"""A second CA: it is asked once the first is down and time is short, by apply's order and by cron's command alone; the
fleet serves what it issues, nothing is left to do, and the next renewal is the first CA's again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from reconciler import x509
from reconciler.tls.endpoint import NoHandshake, TlsAnswer
from tests.hosts.test_certificate_faults import put
from tests.support.fleet import PREFIX, _fleet
from tests.support.forged import authority, key_pem, pem, rsa_key, signed
from tests.support.serving import ROUTER, Node

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

CONF = f"/etc/letsencrypt/renewal/{ROUTER}.conf"
LEDGER = "/var/lib/reconciler/orders"
DOWN = "sed -i 's/ acme$/ gone/; $a 127.0.0.1 acme' /etc/hosts"
"""The primary finds nobody at the name of the first CA; the second it knows by its address."""
UP = "sed -i '/^127.0.0.1 acme$/d; s/ gone$/ acme/' /etc/hosts"


class TwoAuthorities(Node):
    """Hosts with one certificate that either of two CAs issues."""

    def declare_both(self) -> None:
        """The environment with the second CA."""
        ca = self.fleet.ca
        fallback = f"  fallback:\n    server: {ca.other_by_address}\n    roots: {ca.other_roots}\n"
        self.declare(more_certificate=fallback)

    def judged(self, shown: TlsAnswer | NoHandshake) -> str:
        """The identity of what was shown, where it leads to a root of either CA."""
        if isinstance(shown, NoHandshake):
            return shown.reason
        chain = x509.chain_der(shown.chain)
        return why_not(self, chain, *self.roots) or x509.identity(chain)

    @property
    def roots(self) -> tuple[bytes, bytes]:
        """Those of the first CA, and of the second."""
        ca = self.fleet.ca
        return ca.roots.read_bytes(), ca.other_roots.read_bytes()

    def issuer(self) -> int:
        """Which of both CAs has issued what all services serve: 1 or 2."""
        self.one()
        primary = self.fleet.hosts[0]
        text = primary.run("cat /var/lib/reconciler/certificate/current/fullchain.pem").stdout
        chain = x509.chain(text)
        (found,) = (n for n, roots in enumerate(self.roots, 1) if why_not(self, chain, roots) is None)
        return found

    def ledgers(self) -> tuple[list[str], list[str]]:
        """What both ledgers say."""
        said = [
            self.fleet.hosts[0].run(f"cat {path}", check=False).stdout.splitlines()
            for path in (LEDGER, f"{LEDGER}.second")
        ]
        first, second = ([line.split()[1] for line in lines] for lines in said)
        return first, second

    def cron(self, code: int = 0) -> str:
        """Cron's command alone, and what it says."""
        primary = self.fleet.hosts[0]
        job = primary.run("grep -v '^#' /etc/cron.d/reconcile-certificate | tail -n 1").stdout
        done = primary.run(f"{job.split(maxsplit=6)[6].strip()} 2>&1", check=False)
        assert done.returncode == code, done.stdout
        return done.stdout

    def due(self, due: bool) -> None:
        """Whether certbot takes the certificate for due, whatever is left of its time."""
        line = "-e '1i renew_before_expiry = 3650 days' " if due else ""
        self.fleet.hosts[0].run(f"sed -i {line}-e '/renew_before_expiry/d' {CONF}")

    def overdue(self) -> None:
        """Ten of its ninety days are left of what is served; one of the first CA's."""
        names = (ROUTER, *(host.name for host in self.fleet.hosts))
        key, (_, intermediate) = rsa_key(), authority()
        leaf = signed(ROUTER, key, intermediate, names=names, days=(-80, 10))
        put(self, pem(leaf), pem(intermediate.certificate), key_pem(key))


def why_not(node: TwoAuthorities, chain: tuple, *roots: bytes) -> str | None:
    return x509.why_not_trusted(chain, b"\n".join(roots), ROUTER, datetime.now(UTC))


@pytest.fixture(scope="module")
def node(
    fleet_machine: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[TwoAuthorities]:
    for fleet in _fleet(f"{PREFIX}-second", 2, pytestconfig):
        made = TwoAuthorities(fleet, tmp_path_factory.mktemp("second"), 20)
        fleet.ca.start_other()
        made.declare_both()
        yield made


def test_the_first_certificate_comes_from_the_second_ca_where_the_first_is_down(node: TwoAuthorities) -> None:
    node.fleet.hosts[0].run(DOWN)
    for _ in range(4):
        if (ended := node.wait(node.start("apply", "--yes"))).code == 0:
            break
    assert ended.code == 0, ended.out + ended.err
    assert node.issuer() == 2
    assert node.ledgers()[1] == ["begun", "issued"]
    node.settled()


def test_the_first_is_well_again_and_the_next_renewal_is_its_own(node: TwoAuthorities) -> None:
    node.fleet.hosts[0].run(UP)
    before = node.ledgers()
    node.due(True)
    node.cron()
    node.due(False)
    after = node.ledgers()
    assert (after[0][len(before[0]) :], after[1]) == (["begun", "issued"], before[1])
    node.apply(0)
    assert node.issuer() == 1
    node.settled()


def test_one_failed_try_with_plenty_of_time_is_no_reason(node: TwoAuthorities) -> None:
    before, second = node.one(), node.ledgers()[1]
    node.fleet.hosts[0].run(DOWN)
    node.due(True)
    said = node.cron(1)
    node.due(False)
    assert "second CA" not in said
    assert (node.one(), node.ledgers()[1]) == (before, second)
    node.settled()


def test_cron_alone_orders_at_the_second_once_it_is_overdue(node: TwoAuthorities) -> None:
    second, before = node.ledgers()[1], node.one()
    node.overdue()
    said = node.cron()
    assert "it is ordered at the second CA, https://" in said
    assert node.ledgers()[1] == [*second, "begun", "issued"]
    # What is served is changed by an apply, as ever, and nothing else is left to do.
    assert node.pending(2) == node.rolls_out((1, 2))
    node.apply(0)
    assert node.one() != before
    assert node.issuer() == 2
    node.settled()
    # certbot's renewal file has gone back to the first, with the account there.
    conf = node.fleet.hosts[0].run(f"cat {CONF}").stdout
    assert f"server = {node.fleet.ca.directory}\n" in conf
    node.run(0, "drift")
    told = node.run(0, "status").out
    assert f"the certificate is of the second CA, {node.fleet.ca.other_by_address}" in told
    primary = node.fleet.hosts[0].name
    explained = node.run(0, "explain", f"certificate:{ROUTER}", "--host", primary).out
    assert f"the next renewal goes back to {node.fleet.ca.directory}" in explained


def test_and_the_renewal_after_that_is_the_firsts_again(node: TwoAuthorities) -> None:
    node.fleet.hosts[0].run(UP)
    second = node.ledgers()[1]
    node.due(True)
    node.cron()
    node.due(False)
    assert node.ledgers()[1] == second
    node.apply(0)
    assert node.issuer() == 1
    node.run(0, "drift")
    assert "second CA" not in node.run(0, "status").out
    node.settled()


def test_a_first_that_refuses_is_no_different(node: TwoAuthorities) -> None:
    first, second = node.ledgers()
    node.overdue()
    node.fleet.refuse(True)
    try:
        said = node.cron()
    finally:
        node.fleet.refuse(False)
    assert "rateLimited" in said
    assert "it is ordered at the second CA, https://" in said
    # Each CA has its own ledger.
    assert node.ledgers() == ([*first, "begun", "failed"], [*second, "begun", "issued"])
    node.settle()
    assert node.issuer() == 2
