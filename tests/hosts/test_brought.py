"""Certificates that somebody brings, on two hosts whose service serves one: openssl's own, restarted to load it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from reconciler import x509
from reconciler.tls.endpoint import Endpoint, NoHandshake
from reconciler.tls.handshake import probe_tls
from tests.support.faults import until
from tests.support.forged import Key, authority, key_pem, pem, rsa_key, signed
from tests.support.running import AdminMachine, free

pytestmark = pytest.mark.fleet

NAME, PORT = "web.example.org", 9443
FILE, CHAIN, KEY = (f"/etc/brought/{name}" for name in ("web.pem", "chain.pem", "web.key"))
ROOT, INTERMEDIATE = authority()
UNIT = f"""[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/bin/openssl s_server -accept {PORT} -www -cert {FILE} -cert_chain {CHAIN} -key {KEY}
"""


def declared(one: LabHost, two: LabHost) -> str:
    return f"""blueprint: false
certificates:
  - name: web
    file: {FILE}
    key: {KEY}
    roots: brought-ca.pem
    names: [{NAME}]
    mode: "0640"
    hosts: [{one.name}, {two.name}]
consumers:
  - {{unit: brought, port: {PORT}, certificate: web, on_change: restart, hosts: [{one.name}, {two.name}]}}
"""


class Bringing(AdminMachine):
    """An administrator's machine, and hosts to which certificates are brought by hand."""

    def bring(self, host: LabHost, key: Key, *, days: float = 400, other: Key | None = None) -> str:
        """Writes a certificate with its chain, and a key with the rights of a careless copy; what stands for
        the certificate. The key is that of the certificate, unless `other` is given."""
        leaf = signed(NAME, key, INTERMEDIATE, names=(NAME,), days=(-1, days))
        host.write(FILE, pem(leaf, INTERMEDIATE.certificate))
        host.write(CHAIN, pem(INTERMEDIATE.certificate))
        host.write(KEY, key_pem(other or key), 0o644)
        return x509.identity((leaf,))

    def served(self, host: LabHost) -> str:
        """What stands for the certificate that a client is shown, or why there is none."""
        try:
            shown = probe_tls(Endpoint(host.name, host.address, "brought", PORT, "tls", NAME), 10)
        except NoHandshake as error:
            return error.reason
        return x509.identity(x509.chain_der(shown.chain)[:1])


@pytest.fixture
def admin(bare_fleet: Fleet, tmp_path: Path) -> Iterator[Bringing]:
    made = Bringing(bare_fleet, tmp_path)
    one, two, _ = bare_fleet.hosts
    (tmp_path / "brought-ca.pem").write_text(pem(ROOT.certificate), encoding="utf-8")
    made.declare(declared(one, two))
    for host in (one, two):
        host.run("mkdir -p /etc/brought")
        host.write("/etc/systemd/system/brought.service", UNIT)
        host.run("systemctl daemon-reload")
    yield made
    for host in (one, two):
        until(lambda at=host: free(at), "no run holds the host")
        host.run("systemctl stop brought; rm -rf /etc/brought /etc/systemd/system/brought.service")


def test_it_is_told_of_loaded_once_it_is_good_proven_and_watched(admin: Bringing) -> None:
    one, two, _ = admin.fleet.hosts
    key, other = rsa_key(), rsa_key()
    # It is nowhere yet: nothing is made in its place.
    said = admin.run(2, "plan", "--detailed-exitcode").out
    assert f"there is no {FILE}" in said
    assert "bring another one for web" in said

    first = {host.name: admin.bring(host, key) for host in (one, two)}
    admin.apply(0)
    admin.settled()
    for host in (one, two):
        assert host.run(f"stat -c '%a %U' {KEY}").stdout == "640 root\n"
        assert admin.served(host) == first[host.name]
    checks = admin.document(0, "verify")["checks"]
    assert {(each["host"], each["seen_from"], each["verdict"]) for each in checks} == {
        (host.name, where, "ok") for host in (one, two) for where in ("outside", "the host itself")
    }

    # The certificate has come, and its key has not yet: what is served stays.
    admin.bring(one, other, other=key)
    said = admin.run(2, "drift").out
    assert "the key belongs to another certificate" in said
    admin.wait(admin.start("apply", "--yes"))
    assert admin.served(one) == first[one.name]

    # Now both have: on both hosts it is loaded and proven, one after the other.
    second = {host.name: admin.bring(host, other) for host in (one, two)}
    found = [line.split(maxsplit=2) for line in admin.pending(2, "plan", "--detailed-exitcode")]
    assert {(verb, what) for verb, _, what in found} == {
        ("change", "brought_key web"), ("restart", "brought_serving web"),
    }  # fmt: skip
    admin.apply(0)
    admin.settled()
    assert {host.name: admin.served(host) for host in (one, two)} == second
    assert key_pem(key).splitlines()[3] not in "".join(admin.said)
    assert key_pem(other).splitlines()[3] not in "".join(admin.said)


@pytest.mark.gate
def test_its_end_is_told_before_it_comes_and_refused_after(admin: Bringing) -> None:
    one, two, _ = admin.fleet.hosts
    for host in (one, two):
        admin.bring(host, rsa_key(), days=20)
    admin.apply(0)
    said = admin.run(2, "drift").out
    assert "expiring" in said
    assert "nothing renews it: bring another" in said
    day = (datetime.now(UTC) + timedelta(days=20)).date()
    assert f"web ends on {day}" in admin.run(2, "forecast").out
    assert f"web: valid until {day}" in admin.wait(admin.start("status")).out
    # One that is over is loaded by nobody.
    running = admin.served(two)
    admin.bring(two, rsa_key(), days=-0.5)
    assert "it expired on" in admin.run(2, "plan", "--detailed-exitcode").out
    admin.wait(admin.start("apply", "--yes"))
    assert admin.served(two) == running


@pytest.mark.gate
def test_a_port_that_only_the_host_itself_reaches_is_named(admin: Bringing) -> None:
    one, two, _ = admin.fleet.hosts
    for host in (one, two):
        admin.bring(host, rsa_key())
    local = UNIT.replace(f"-accept {PORT}", f"-accept 127.0.0.1:{PORT}")
    two.write("/etc/systemd/system/brought.service", local)
    two.run("systemctl daemon-reload")
    admin.wait(admin.start("apply", "--yes"))
    found = admin.pending(2, "plan", "--detailed-exitcode")
    assert [line.split()[2] for line in found] == ["reachable"]
    assert found[0].split()[1] == two.name.split(".")[0]
