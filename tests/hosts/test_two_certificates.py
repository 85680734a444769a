"""A second certificate that is ordered beside the environment's own: from another CA, with a key of another kind,
served by nginx on two hosts, renewed by its own cron job, and brought back where it is not served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from lab import LabHost
from lab.ca import OTHER_PORT
from reconciler import x509
from reconciler.tls.endpoint import Endpoint, NoHandshake
from reconciler.tls.handshake import probe_tls
from tests.hosts.test_dns_challenge import HOOK as DNS_HOOK
from tests.support.fleet import PREFIX, _fleet
from tests.support.running import begun_actions
from tests.support.serving import ROUTER, Clients, Node, is_revoked

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

WEB, PORT = "web.test.dataone.org", 8444
STORE = "/var/lib/reconciler/certificates/web"
CONF = "/etc/letsencrypt/renewal/web.conf"
DECLARED = """\
certificates:
  - name: web
    names: [{names}]
    server: {server}
    roots: {roots}
    key_type: ecdsa-p256
    max_failed: 0
{entry}consumers:
  - unit: nginx
    port: {port}
    certificate: web
    package: nginx
    check: nginx -t
    loads: [/etc/nginx]
resources:
{resources}  - symlink: /etc/nginx/sites-enabled/default
    absent: true
    needs: [package nginx]
  - file: /etc/nginx/conf.d/web.conf
    content: |
      server {{
        listen {port} ssl;
        ssl_certificate {store}/current/fullchain.pem;
        ssl_certificate_key {store}/current/privkey.pem;
      }}
    mode: "0644"
    needs: [package nginx]
"""
HOOK = """\
  - file: /etc/letsencrypt/dns-hook-web
    source: dns-hook.sh
    mode: "0700"
    hosts: [primary]
"""
DEAF = "/etc/systemd/system/nginx.service.d"
"""Where a test makes nginx deaf to a reload."""


class TwoCertificates(Node):
    """Hosts that serve two certificates of two CAs."""

    def declare_web(self, entry: str = "", names: str = WEB, resources: str = "") -> None:
        """Both, with further lines of the entry of the second."""
        ca = self.fleet.ca
        more = {"entry": entry, "names": names, "resources": resources}
        where = {"port": PORT, "store": STORE, "server": ca.other_directory, "roots": ca.other_roots}
        self.declare(DECLARED.format(**where, **more))

    def number(self) -> str:
        """The serial number of the second, as an administrator reads it."""
        said = self.fleet.hosts[0].run("openssl x509 -noout -serial -in /etc/letsencrypt/live/web/cert.pem")
        return said.stdout.strip().removeprefix("serial=")

    def web(self, host: LabHost) -> str:
        """What a client of the second is shown by a host: its identity, or why a client would not take it."""
        try:
            shown = probe_tls(Endpoint(host.name, host.address, "nginx", PORT, "tls", WEB), 10)
        except NoHandshake as why_not:
            return why_not.reason
        chain = x509.chain_der(shown.chain)
        roots = self.fleet.ca.other_roots.read_bytes()
        assert x509.key_type(chain[0]) == "ECDSA secp256r1"
        return x509.why_not_trusted(chain, roots, WEB, datetime.now(UTC)) or x509.identity(chain)

    def one_web(self) -> str:
        """The one release of the second that all hosts serve."""
        found = {host.name: self.web(host) for host in self.fleet.hosts}
        (release,) = set(found.values())
        assert len(release) == 32, found
        return release

    def web_orders(self) -> list[str]:
        """What its own ledger says."""
        said = self.fleet.hosts[0].run("cat /var/lib/reconciler/orders-web").stdout
        return [line.split()[1] for line in said.splitlines()]

    def renew_web(self) -> None:
        """The command of its own cron job, on the day that it is due."""
        primary = self.fleet.hosts[0]
        primary.run(f"sed -i -e '1i renew_before_expiry = 3650 days' -e '/renew_before_expiry/d' {CONF}")
        job = primary.run("grep -v '^#' /etc/cron.d/reconcile-certificate-web | tail -n 1").stdout
        primary.run(job.split(maxsplit=6)[6].strip())
        primary.run(f"sed -i '/renew_before_expiry/d' {CONF}")


@pytest.fixture(scope="module")
def node(
    fleet_machine: None, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[TwoCertificates]:
    for fleet in _fleet(f"{PREFIX}-two", 2, pytestconfig):
        made = TwoCertificates(fleet, tmp_path_factory.mktemp("two"), 20)
        fleet.ca.start_other()
        fleet.ca.set_name(WEB, *(host.address for host in fleet.hosts))
        made.declare_web()
        # What a package brings is changed by the run after the one that installs it; and what is only just
        # starting on hosts that were bare makes a plan stale.
        for _ in range(4):
            if made.wait(made.start("apply", "--yes")).code == 0:
                break
        made.settle()
        yield made


def test_both_are_ordered_distributed_served_and_proven(node: TwoCertificates) -> None:
    node.settled()
    assert node.one() != node.one_web()
    assert (node.orders(), node.web_orders()) == (["begun", "issued"], ["begun", "issued"])
    checks = node.document(0, "verify")["checks"]
    asked = [(each["host"], each["seen_from"], each["name"]) for each in checks if each["port"] == PORT]
    assert sorted(asked, key=str) == sorted(
        (
            (host.name, where, name)
            for host in node.fleet.hosts
            for where, name in (("outside", WEB), ("the host itself", None))
        ),
        key=str,
    )
    for host in node.fleet.hosts:
        assert host.run(f"stat -c '%U:%G %a' {STORE}/current/privkey.pem").stdout == "root:ssl-cert 640\n"
        assert host.run("ls -A /home/rsync_user/incoming", check=False).stdout == ""


def test_its_own_cron_job_renews_it_and_the_other_stays(node: TwoCertificates) -> None:
    own, web, orders = node.one(), node.one_web(), node.orders()
    node.renew_web()
    assert node.web_orders() == ["begun", "issued"] * 2
    assert node.pending(2) == [
        "change cn-lab-1 delivery cn-lab-2.test.dataone.org web",
        "change cn-lab-1 release web",
        "change cn-lab-2 release web",
        "reload cn-lab-1 serving web",
        "reload cn-lab-2 serving web",
    ]
    node.apply(0)
    assert node.one_web() != web
    assert (node.one(), node.orders()) == (own, orders)
    node.settled()


def test_one_that_is_not_served_is_brought_back_and_the_other_goes_on(node: TwoCertificates) -> None:
    own, web, last = node.one(), node.one_web(), node.fleet.hosts[1]
    last.run(f"mkdir -p {DEAF}")
    last.write(f"{DEAF}/deaf.conf", "[Service]\nExecReload=\nExecReload=/bin/true\n")
    last.run("systemctl daemon-reload")
    try:
        node.renew()
        node.renew_web()
        ended = node.wait(node.start("apply", "--yes"))
        assert f"failed: {last.name} serving web" in ended.out
        assert "[not-served]" in ended.out
        # The primary comes after it, and waits; the environment's own has gone its way.
        assert node.one_web() == web
        assert node.one() != own
        found = [line for line in node.pending(2) if " serving " in line]
        assert found == ["reload cn-lab-1 serving web", "reload cn-lab-2 serving web"]
    finally:
        last.run(f"rm -r {DEAF}; systemctl daemon-reload")
    node.apply(0)
    assert node.one_web() != web
    node.settled()


def test_one_that_is_compromised_is_replaced_rolled_out_and_revoked_at_its_own_ca(
    node: TwoCertificates,
) -> None:
    own, web, orders, number = node.one(), node.one_web(), node.orders(), node.number()
    node.declare_web(f"    compromised: ['{number}']\n")
    expected = [
        "change cn-lab-1 certificate web",
        "change cn-lab-1 delivery cn-lab-2.test.dataone.org web",
        "change cn-lab-1 release web",
        f"change cn-lab-1 revocation {number}",
        "change cn-lab-2 release web",
        "reload cn-lab-1 serving web",
        "reload cn-lab-2 serving web",
    ]
    assert sorted(node.pending(2)) == expected
    with Clients(node) as clients:
        ended = node.apply(0)
    assert clients.failures == []
    assert begun_actions(ended) == expected
    last = [line for line in ended.err.splitlines() if line.endswith((": change", ": reload"))][-1]
    assert f" revocation {number}: change" in last
    assert is_revoked(node.fleet, number, OTHER_PORT)
    assert not is_revoked(node.fleet, node.number(), OTHER_PORT)
    assert node.one_web() != web
    # Nothing of it is the environment's own's.
    assert (node.one(), node.orders()) == (own, orders)
    primary = node.fleet.hosts[0]
    assert f" {number}" in primary.run("cat /var/lib/reconciler/revoked-web").stdout
    assert primary.run("test -e /var/lib/reconciler/revoked", check=False).returncode == 1
    node.settled()
    node.declare_web()
    node.settled()


def test_one_is_ordered_and_renewed_by_records_in_the_dns_beside_one_on_port_80(
    node: TwoCertificates,
) -> None:
    own, web, orders = node.one(), node.one_web(), node.orders()
    hook = DNS_HOOK.replace("SERVER", node.fleet.ca.address)
    (node.folder / "dns-hook.sh").write_text(hook, encoding="utf-8")
    # The CA could ask no host for it: its name leads nowhere.
    node.fleet.ca.forget(WEB)
    challenge = "    challenge: dns-01\n    dns_hook: /etc/letsencrypt/dns-hook-web\n    dns_wait: 5\n"
    try:
        node.declare_web(challenge, f'{WEB}, "*.{WEB}"', HOOK)
        node.settle()
        first = node.one_web()
        assert first != web
        host = node.fleet.hosts[-1]
        shown = probe_tls(Endpoint(host.name, host.address, "nginx", PORT, "tls", f"any.{WEB}"), 10)
        assert f"*.{WEB}" in x509.names(x509.chain_der(shown.chain)[0])
        primary = node.fleet.hosts[0]
        assert "pref_challs = dns-01," in primary.run(f"cat {CONF}").stdout
        assert "pref_challs = http-01," in primary.run(f"cat /etc/letsencrypt/renewal/{ROUTER}.conf").stdout
        # The next renewal is its own cron job's, and goes by the same way.
        node.renew_web()
        node.apply(0)
        assert node.one_web() not in (web, first)
        assert (node.one(), node.orders()) == (own, orders)
        node.run(0, "verify")
    finally:
        node.fleet.ca.set_name(WEB, *(host.address for host in node.fleet.hosts))
    node.declare_web()
    node.settle()


def test_commands_tell_of_both(node: TwoCertificates) -> None:
    node.run(0, "drift")
    (known,) = node.document(0, "status")["environments"]
    assert [(each["name"], each["ordered"]) for each in known["brought"]] == [("web", True)]
    assert known["brought"][0]["valid_until"] > known["certificate"]["renewal"]
    assert "web: valid until" in node.run(0, "status").out
    host = node.fleet.hosts[0].name
    assert f"{host} serving web" in node.run(0, "explain", "serving:web", "--host", host).out
    page = node.folder / "page.html"
    node.run(0, "report", "-o", page)
    assert {WEB, ROUTER} <= set(re.findall(r"<li>([^<]*)</li>", page.read_text(encoding="utf-8")))
    # What the journal tells of the rollouts goes by the rules.
    assert "went by the rules of a rollout" in node.run_words(0, "history", "--verify").out


def test_one_that_is_ended_is_renewed_no_more(node: TwoCertificates) -> None:
    primary, web = node.fleet.hosts[0], node.one_web()
    node.declare_web("    absent: true\n")
    text = node.file.read_text(encoding="utf-8")
    node.file.write_text(text.partition("consumers:")[0], encoding="utf-8")
    node.settle()
    for path in (
        "/etc/cron.d/reconcile-certificate-web",
        CONF,
        "/etc/letsencrypt/renewal/certificate-web.sh",
    ):
        assert primary.run(f"test -e {path}", check=False).returncode == 1
    assert primary.run("ls /var/lib/reconciler/former-*/live").stdout.split() == ["web"]
    # nginx is nobody's any more, and keeps what it has.
    assert node.one_web() == web
    node.one()
