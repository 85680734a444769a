"""The certificate on three real hosts: issued, distributed, served, proven, renewed."""

from __future__ import annotations

import json
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from lab import Fleet
from tests.support.running import bare_hosts, begun_actions
from tests.support.serving import ARCHIVE, LIVE, ROUTER, STORE, UNHURRIED, Clients, Node

pytestmark = pytest.mark.fleet


@pytest.fixture(scope="module")
def admin(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Node:
    """An environment file with the certificate in it, for hosts in whatever state."""
    made = Node(fleet, tmp_path_factory.mktemp("node"), UNHURRIED)
    made.declare()
    return made


@pytest.fixture
def bare(admin: Node, pytestconfig: pytest.Config) -> Node:
    """Bare hosts."""
    bare_hosts(admin.fleet, pytestconfig)
    return admin


@pytest.fixture
def node(admin: Node) -> Node:
    """Hosts that serve: the first test has brought them to that, or it is done now."""
    if not admin.in_order:
        admin.apply(0)
        admin.in_order = True
    return admin


def test_bare_hosts_serve_the_certificate_after_one_apply(bare: Node) -> None:
    node = bare
    document = node.document(2, "plan", "--detailed-exitcode")
    assert (document["unknown"], document["unreachable"]) == ([], [])
    planned = {(a["host"], a["kind"], a["name"]) for a in document["actions"]}
    ended = node.apply(0)
    assert {line.split()[0] for line in begun_actions(ended)} <= {
        "create",
        "change",
        "remove",
        "reload",
        "restart",
    }
    node.settled()
    assert {(host, kind) for host, kind, _ in planned} >= {
        (host.name, "serving") for host in node.fleet.hosts
    }
    node.one()
    assert node.orders() == ["begun", "issued"]
    node.in_order = True


def test_verify_asks_every_host_service_and_name(node: Node) -> None:
    report = node.folder / "junit.xml"
    document = node.document(0, "verify", "--junit", report)
    assert len(document["checks"]) == 3 * (3 + 1 + 3) + 3 * 3
    assert {each["verdict"] for each in document["checks"]} == {"ok"}
    suite = ET.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("34", "0", "0")
    ended = node.run(0, "verify")
    whole = "Verified: 34 checks of lab, none wrong; names not bound by CAA: 4."
    assert ended.out.splitlines()[-1] == whole


def test_what_services_are_told_is_one_path_on_every_host(node: Node) -> None:
    for host in node.fleet.hosts:
        portal = host.run("grep -h ^cn.server /var/lib/tomcat10/webapps/*/WEB-INF/portal.properties").stdout
        assert portal.split() == [
            f"cn.server.publiccert.filename={STORE}/current/cert.pem",
            f"cn.server.privatekey.filename={STORE}/current/privkey.pem",
        ]
        assert (
            "cilogon.password=canary-portal"
            in host.run("cat /var/lib/tomcat10/webapps/portal/WEB-INF/*").stdout
        )
        for user in ("postgres", "tomcat"):
            host.run(f"runuser -u {user} -- test -r {STORE}/current/privkey.pem")
        denied = host.run(f"runuser -u rsync_user -- cat {STORE}/current/privkey.pem", check=False)
        assert denied.returncode != 0
        assert host.run("ls -A /home/rsync_user/incoming", check=False).stdout == ""


def test_no_account_key_and_no_renewal_reaches_a_peer(node: Node) -> None:
    for host in node.fleet.hosts[1:]:
        assert host.run("find /etc/letsencrypt -type f -o -type l", check=False).stdout == ""
        assert host.run("test -e /etc/cron.d/reconcile-certificate", check=False).returncode == 1


def test_a_renewal_is_rolled_out_host_by_host_and_no_client_notices(node: Node) -> None:
    before = node.one()
    node.renew()
    assert node.pending(2) == node.rolls_out()
    with Clients(node) as clients:
        ended = node.apply(0)
    assert begun_actions(ended) == node.rolls_out()
    assert clients.failures == []
    after = node.one()
    assert after != before
    switched = {
        where: [at for at, said in history if said == after] for where, history in clients.seen.items()
    }
    assert all(switched.values()), clients.seen
    asked_before = [where for where, history in clients.seen.items() if history[0][1] == before]
    assert sorted(asked_before) == sorted(clients.seen), "clients were asked before and after"
    order = ["cn-lab-2", "cn-lab-3", "cn-lab-1"]
    for first, second in pairwise(order):
        last = max(at[0] for where, at in switched.items() if where.startswith(first))
        assert last < min(at[0] for where, at in switched.items() if where.startswith(second))
    node.settled()
    assert node.apply(0).out.splitlines()[-1] == "Nothing to do: lab is as declared."


@pytest.mark.gate
def test_a_name_more_and_a_name_less_are_shown_as_such_and_ordered(node: Node) -> None:
    before, extra = node.one(), "cn-extra.test.dataone.org"
    node.fleet.ca.set_name(extra, node.fleet.hosts[0].address)
    node.declare(swap=("  manage: true\n", f"  manage: true\n  names: [{extra}]\n"))
    ended = node.run(0, "plan")
    assert f"        + {extra}\n" in ended.out
    script = "change cn-lab-1 file /etc/letsencrypt/renewal/certificate.sh"
    expected = sorted([script, f"change cn-lab-1 certificate {ROUTER}", *node.rolls_out()])
    assert node.pending(2) == expected
    node.apply(0)
    longer = node.one()
    assert longer != before
    assert "-0001" not in node.fleet.hosts[0].run("ls /etc/letsencrypt/live").stdout
    node.declare()
    assert f"        - {extra}\n" in node.run(0, "plan").out
    assert node.pending(2) == expected
    node.settle()
    assert node.one() not in (before, longer)


@pytest.mark.soak
def test_a_compromised_key_is_replaced_on_demand(node: Node) -> None:
    before = node.one()
    key = node.fleet.hosts[0].run(f"openssl pkey -pubout -in {LIVE}/privkey.pem").stdout
    expected = sorted([f"change cn-lab-1 certificate {ROUTER}", *node.rolls_out()])
    assert node.pending(0, "plan", "--replace", "certificate") == expected
    plan = node.folder / "replace.json"
    node.run(0, "plan", "--replace", "certificate", "-o", plan)
    node.apply(0, plan)
    assert node.one() != before
    assert node.fleet.hosts[0].run(f"openssl pkey -pubout -in {LIVE}/privkey.pem").stdout != key
    node.settled()
    assert node.run(64, "plan", "--replace", "package").err == (
        "--replace package: only `--replace certificate` is possible\n"
    )


@pytest.mark.gate
def test_certbots_own_timer_is_drift(node: Node) -> None:
    host = node.fleet.hosts[1]
    host.run(
        "rm /etc/systemd/system/certbot.timer; printf '[Timer]\\nOnCalendar=daily\\n[Install]\\nWantedBy=timers.target\\n' >/etc/systemd/system/certbot.timer; printf '[Service]\\nExecStart=true\\n' >/etc/systemd/system/certbot.service; systemctl daemon-reload; systemctl enable --now certbot.timer"
    )
    assert node.pending(2) == [
        "change cn-lab-2 symlink /etc/systemd/system/certbot.timer",
        "remove cn-lab-2 service certbot.timer",
    ]
    node.settle()
    assert host.run("systemctl is-active certbot.timer", check=False).stdout == "inactive\n"
    host.run(
        "rm -f /etc/systemd/system/certbot.service /etc/systemd/system/certbot.timer.2*; systemctl daemon-reload"
    )


def test_the_ledger_refuses_before_the_ca_would(node: Node) -> None:
    path = node.declare()
    path.write_text(path.read_text().replace("orders_a_week: 1000", "orders_a_week: 2"), encoding="utf-8")
    node.apply(0)
    ended = node.run(0, "plan", "--replace", "certificate")
    assert "refused: " in ended.out
    assert (
        "certificates for these names in 7 days, and the limit is 2; the next is possible from 20"
        in ended.out
    )
    orders = node.orders()
    node.apply(4, "--replace", "certificate")
    assert node.orders() == orders
    node.declare()
    node.settle()


def test_a_service_that_is_behind_is_found_by_verify_and_mended_by_apply(node: Node) -> None:
    host = node.fleet.hosts[2]
    release = node.one()
    host.run(
        f"cp -a {STORE}/current/. /srv/old; openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout /srv/old/privkey.pem -out /srv/old/fullchain.pem 2>/dev/null"
    )
    host.run(
        "mkdir -p /etc/systemd/system/apache2.service.d; cp -a /etc/apache2/sites-available/cn-ssl.conf /srv/kept"
    )
    host.run(
        f"sed -i 's|{STORE}/current|/srv/old|' /etc/apache2/sites-available/cn-ssl.conf; systemctl reload apache2; cp -a /srv/kept /etc/apache2/sites-available/cn-ssl.conf"
    )
    document = node.document(2, "verify")
    wrong = {
        (each["host"], each["port"], each["verdict"])
        for each in document["checks"]
        if each["verdict"] != "ok"
    }
    assert wrong == {(host.name, 443, "wrong")}
    ended = node.apply(0)
    assert f"reload cn-lab-3 serving {ROUTER}" in begun_actions(ended)
    assert node.one() == release
    node.settled()
    host.run("rm -rf /srv/old /srv/kept")


@pytest.mark.soak
def test_the_primary_moves_without_another_order(node: Node) -> None:
    before, orders = node.one(), node.orders()
    node.declare(primary=1)
    planned = node.pending(2)
    assert f"change cn-lab-2 certificate {ROUTER}" in planned
    assert f"remove cn-lab-1 certificate {ROUTER}" in planned
    assert not any("serving" in line or "release" in line for line in planned)
    node.settle()
    assert node.one() == before
    first, second = node.fleet.hosts[:2]
    assert first.run("command -v certbot", check=False).returncode != 0
    gone = first.run(
        "find /etc/letsencrypt/renewal /etc/letsencrypt/live /etc/cron.d -name '*.sh' -o -name '*.conf' -o -name 'reconcile*'"
    )
    assert gone.stdout == ""
    assert first.run("cat /var/lib/reconciler/orders").stdout.count("issued") == orders.count("issued")
    # The new primary renews what it has taken over, with an account of its own.
    second.run(f"sed -i '1i renew_before_expiry = 3650 days' /etc/letsencrypt/renewal/{ROUTER}.conf")
    second.run("sh /etc/letsencrypt/renewal/certificate.sh renew")
    second.run(f"sed -i '/renew_before_expiry/d' /etc/letsencrypt/renewal/{ROUTER}.conf")
    node.settle()
    assert node.one() != before
    node.declare()
    node.settle()
    assert node.one() != before


@pytest.mark.soak
def test_old_releases_are_kept_but_not_all(node: Node) -> None:
    before = node.one()
    for host in node.fleet.hosts:
        copies = (
            "for n in 1 2 3 4 5 6 7 8; do cp -a $(readlink -f current) releases/20260101-00000$n-copy; done"
        )
        host.run(f"cd {STORE}; {copies}")
    node.renew()
    node.apply(0)
    for host in node.fleet.hosts:
        kept = host.run(f"ls {STORE}/releases").stdout.split()
        assert 2 <= len(kept) <= 6
        assert [name for name in kept if name.endswith(before)] != []
        assert "20260101-000001-copy" not in kept


@pytest.mark.soak
def test_the_seeds_path_works_as_an_option(node: Node) -> None:
    release = node.one()
    more = f"paths:\n  letsencrypt: /var/lib/certbot\n  certificate: {LIVE}\n"
    primary = node.fleet.hosts[0]
    primary.run("mkdir -p /var/lib/certbot; cp -a /etc/letsencrypt/. /var/lib/certbot/")
    primary.run(
        f"sed -i s,/etc/letsencrypt,/var/lib/certbot, /var/lib/certbot/renewal/{ROUTER}.conf; rm -rf {LIVE} {ARCHIVE}"
    )
    node.declare(more)
    node.settle()
    assert node.one() == release
    for host in node.fleet.hosts:
        assert host.run(f"readlink {LIVE}").stdout == f"{STORE}/current\n"
        host.run(f"runuser -u postgres -- test -r {LIVE}/privkey.pem")
    assert f"{LIVE}/fullchain.pem" in primary.run("cat /etc/apache2/sites-available/cn-ssl.conf").stdout
    # And back: the link in the place of certbot's folder must not be written through.
    node.declare()
    node.settle()
    assert node.one() == release
    assert primary.run("ls /etc/letsencrypt/live").stdout.split() == ["README", ROUTER]


@pytest.mark.soak
def test_postgresql_takes_it_by_links_in_its_data_directory_too(node: Node) -> None:
    release, data = node.one(), "/var/lib/postgresql/15/main"
    primary = node.fleet.hosts[0]
    primary.run(f"printf 'of another time' >{data}/server.key")
    pinned = f"/etc/letsencrypt/live/{ROUTER}/privkey.pem.pk8"
    primary.run(
        f"openssl genpkey -algorithm RSA -outform DER -out {pinned} 2>/dev/null; sha256sum {pinned} >/root/pinned"
    )
    node.declare(swap=('  postgresql: "15"\n', '  postgresql: "15"\n  postgresql_certificate: links\n'))
    node.settle()
    assert node.one() == release
    for host in node.fleet.hosts:
        said = host.run(f"readlink {data}/server.crt {data}/server.key").stdout.split()
        assert said == [f"{STORE}/current/fullchain.pem", f"{STORE}/current/privkey.pem"]
        assert 1 <= len(host.run(f"ls {STORE}/releases").stdout.split()) <= 6
    kept = primary.run(f"cat {data}/server.key.20*").stdout
    assert kept == "of another time"
    # What CILogon has pinned is told, and stays.
    told = node.run(0, "observe", "--only", "pinned").out
    assert "an older one" in told
    primary.run("sha256sum -c --status /root/pinned")
    node.declare()
    node.settle()
    primary.run(f"rm {pinned}")


@pytest.mark.gate
def test_another_kind_of_key_is_ordered_rolled_out_and_no_client_notices(node: Node) -> None:
    before, primary = node.one(), node.fleet.hosts[0]
    node.declare(swap=("  portal: true\n", ""), more_certificate="  key_type: ecdsa-p384\n")
    with Clients(node) as clients:
        node.apply(0)
    assert clients.failures == []
    node.settled()
    assert node.one() != before
    told = primary.run(f"openssl x509 -noout -text -in {LIVE}/cert.pem | grep 'NIST CURVE'").stdout
    assert told.split() == ["NIST", "CURVE:", "P-384"]
    # What certbot will renew by itself is of the same kind.
    renewal = primary.run(
        f"grep -E '^(key_type|elliptic_curve) ' /etc/letsencrypt/renewal/{ROUTER}.conf"
    ).stdout
    assert sorted(renewal.splitlines()) == ["elliptic_curve = secp384r1", "key_type = ecdsa"]
    node.declare()
    node.settle()
    assert "rsaEncryption" in primary.run(f"openssl x509 -noout -text -in {LIVE}/cert.pem").stdout


@pytest.mark.soak
def test_a_larger_key_survives_a_renewal_by_cron_from_a_file_that_did_not_say_it(node: Node) -> None:
    primary, conf = node.fleet.hosts[0], f"/etc/letsencrypt/renewal/{ROUTER}.conf"
    node.declare(more_certificate="  key_size: 3072\n")
    node.settle()
    primary.run(f"sed -i '/^rsa_key_size/d' {conf}")
    assert 'renewal: rsa_key_size: null → "3072"' in node.run(0, "plan").out
    node.apply(0)
    node.renew()
    node.apply(0)
    for host in node.fleet.hosts:
        told = host.run(f"openssl x509 -noout -text -in {STORE}/current/fullchain.pem").stdout
        assert "Public-Key: (3072 bit)" in told
    node.declare()
    node.settle()


def test_no_private_key_was_ever_told(node: Node) -> None:
    keys = [
        host.run(f"cat {STORE}/releases/*/privkey.pem").stdout.split("-----")[2].split()
        for host in node.fleet.hosts
    ]
    said = "\n".join(node.said) + json.dumps([path.read_text() for path in node.folder.glob("*.json")])
    assert "PRIVATE KEY" not in said
    for lines in keys:
        assert not any(line in said for line in lines)
