"""A fleet that serves a certificate, seen as its clients see it; a pytest plugin."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from lab import Fleet, LabHost
from lab.ca import PORT
from reconciler import x509
from reconciler.tls.endpoint import Endpoint, NoHandshake, TlsAnswer
from reconciler.tls.handshake import probe_all_tls, probe_tls
from tests.support.faults import Ended
from tests.support.running import AdminMachine

STORE = "/var/lib/reconciler/certificate"
LIVE = "/etc/letsencrypt/live/cn-lab.test.dataone.org"
ARCHIVE = "/etc/letsencrypt/archive/cn-lab.test.dataone.org"
SCRIPT = "sh /etc/letsencrypt/renewal/certificate.sh"
ROUTER = "cn-lab.test.dataone.org"
DEADLINE = 5
"""Seconds within which a service has to serve what is new, unless the module of tests says otherwise."""

UNHURRIED = 30
"""The same where many services start at once, on hosts that were bare."""


class Node(AdminMachine):
    """An administrator's machine and hosts that serve a certificate of the fleet's own CA."""

    def __init__(self, fleet: Fleet, folder: Path, deadline: int = DEADLINE) -> None:
        super().__init__(fleet, folder)
        self.deadline = deadline

    def declare(
        self, more: str = "", swap: tuple[str, str] | None = None, more_certificate: str = "", **other: Any
    ) -> Path:
        """As everywhere, with short deadlines and a ledger that does not fill up. `more_certificate` are
        further lines of `certificate:`."""
        settings = {"manage": True, **other}
        path = super().declare(more, swap, **settings)
        times = f"  deadline: {self.deadline}\n  orders_a_week: 1000\n  failures_an_hour: 1000\n{more_certificate}"
        text = path.read_text(encoding="utf-8").replace("  jitter: 0\n", f"  jitter: 0\n{times}")
        path.write_text(text, encoding="utf-8")
        return path

    excused: str | tuple[str, ...] = "nothing"
    """How HOST PORT begins, of what a test itself has made serve nonsense."""

    in_order = False
    """Whether the last test left everything as declared."""

    def names(self, host: LabHost) -> tuple[str | None, ...]:
        """Under which names a host is asked."""
        return ROUTER, host.name, None

    def endpoints(self) -> list[Endpoint]:
        """Every host × service × name."""
        return [
            Endpoint(host.name, host.address, service, port, "tls", name)
            for host in self.fleet.hosts
            for service, port in (("apache2", 443), ("tomcat", 8443))
            for name in self.names(host)
        ] + [
            Endpoint(host.name, host.address, "postgresql", 5432, "postgresql", None)
            for host in self.fleet.hosts
        ]

    def served(self) -> dict[str, set[str]]:
        """What each host serves, from outside: `HOST PORT` to identities, or why there is none.

        Every chain must be one that a client trusts, for every name, now.
        """
        found: dict[str, set[str]] = {}
        for endpoint, shown in probe_all_tls(self.endpoints(), 10, 8).items():
            where = f"{endpoint.host.split('.')[0]} {endpoint.port}"
            found.setdefault(where, set()).add(self.judged(shown))
        return found

    def judged(self, shown: TlsAnswer | NoHandshake) -> str:
        """The identity of what was shown, or why a client would not take it."""
        if isinstance(shown, NoHandshake):
            return shown.reason
        chain = x509.chain_der(shown.chain)
        roots, now = self.fleet.ca.roots.read_bytes(), datetime.now(UTC)
        return x509.why_not_trusted(chain, roots, ROUTER, now) or x509.identity(chain)

    def one(self) -> str:
        """The one release that everything serves; the test fails where it is not one."""
        found = set().union(*self.served().values())
        assert len(found) == 1, self.served()
        (release,) = found
        assert len(release) == 32, release
        return release

    def orders(self) -> list[str]:
        """What the ledger on the primary says: begun, issued, failed."""
        return [line.split()[1] for line in self.ledger()]

    def ledger(self) -> list[str]:
        """The lines of the ledger on the primary; none before the first order."""
        return self.fleet.hosts[0].run("cat /var/lib/reconciler/orders", check=False).stdout.splitlines()

    def renew(self) -> None:
        """Cron's command on the primary, on the day that it is due."""
        primary = self.fleet.hosts[0]
        conf = f"/etc/letsencrypt/renewal/{ROUTER}.conf"
        primary.run(f"sed -i -e '1i renew_before_expiry = 3650 days' -e '/renew_before_expiry/d' {conf}")
        primary.run(f"{SCRIPT} renew")
        primary.run(f"sed -i '/renew_before_expiry/d' {conf}")

    def rolls_out(self, hosts: Iterable[int] = (1, 2, 3)) -> list[str]:
        """What a plan holds that does nothing but bring another certificate to everybody."""
        return sorted(
            [f"reload cn-lab-{n} serving {ROUTER}" for n in hosts]
            + [f"change cn-lab-{n} release {ROUTER}" for n in hosts]
            + [f"change cn-lab-1 delivery cn-lab-{n}.test.dataone.org" for n in hosts if n != 1]
        )


def is_revoked(fleet: Fleet, number: str, port: int = PORT) -> bool:
    """Whether the CA at a port has revoked a certificate, and then for a compromised key (RFC 5280, section
    5.3.1), as Pebble's management interface has it (cert-status-by-serial)."""
    url = f"https://{fleet.ca.address}:{port + 1000}/cert-status-by-serial/{number}"
    done = subprocess.run(
        ["curl", "-sSk", "--max-time", "5", url], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert said["Status"] in ("Valid", "Revoked"), said
    assert said["Status"] == "Valid" or said["Reason"] == 1, said
    return said["Status"] == "Revoked"


class Clients:
    """Clients that connect to every host and service again and again while something happens.

    `failures` are the handshakes that failed.
    """

    def __init__(self, node: Node, pause: float = 0.03) -> None:
        self.node, self.pause = node, pause
        self.failures: list[str] = []
        self.seen: dict[str, list[tuple[float, str]]] = {}
        self._end = threading.Event()
        endpoints = [each for each in node.endpoints() if each.name in (ROUTER, None)]
        wanted = {(each.host, each.port): each for each in endpoints}
        self._threads = [threading.Thread(target=self._ask, args=(each,)) for each in wanted.values()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, endpoint: Endpoint) -> None:
        where = f"{endpoint.host.split('.')[0]} {endpoint.port}"
        history = self.seen.setdefault(where, [])
        while not self._end.wait(self.pause):
            try:
                said = self.node.judged(probe_tls(endpoint, 10))
            except NoHandshake as why_not:
                said = why_not.reason
            if len(said) != 32:
                self.failures.append(f"{where}: {said}")
            if not history or history[-1][1] != said:
                history.append((time.monotonic(), said))


@pytest.fixture(scope="module")
def settled(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Node:
    """Hosts that serve a certificate, whatever the tests before left them as."""
    node = Node(fleet, tmp_path_factory.mktemp("node"), UNHURRIED)
    node.declare()
    node.apply(0)
    node.deadline = getattr(request.module, "DEADLINE", DEADLINE)
    node.declare()
    return node


@pytest.fixture
def watched(settled: Node) -> Iterator[Node]:
    """The same; clients look at all of them as long as the test lasts, and afterwards the next
    run has brought everything to what is declared. What a test that failed has left goes."""
    settled.declare()
    if not settled.in_order and settled.wait(settled.start("apply", "--yes")).code != 0:
        settled.fleet.reset()
        settled.apply(0)
    settled.excused, settled.in_order = "nothing", False
    with Clients(settled, pause=1) as clients:
        yield settled
    settled.declare()
    if settled.wait(settled.start("plan", "--detailed-exitcode")).code != 0:
        settled.settle()
    settled.one()
    settled.in_order = True
    failures = [each for each in clients.failures if not each.startswith(settled.excused)]
    wrong = [each for each in failures if not _away(each)]
    assert wrong == [], "a client was shown what it would not take"


def _away(failure: str) -> bool:
    """A service that is stopped, or a host that is off, shows nothing; that is no wrong pair."""
    words = ("connection refused", "no answer within", "cannot be reached", "closed the connection")
    return any(word in failure for word in words) or "did not finish within" in failure


def reason(ended: Ended, host: str, kind: str) -> str:
    """Why an action failed, as it was told; the test fails where that was not said once."""
    found = [line for line in ended.out.splitlines() if line.startswith("failed: ")]
    assert len(found) == 1, ended.out[-3000:]
    assert found[0].startswith(f"failed: {host} {kind} "), found
    return found[0]
