"""What is declared and yet does not count: strangers that undo it, behind the program's back, on one host after
the other of a fleet that serves. Each is named with its place; nothing is done about it; without it all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import Fleet
from reconciler.kinds.certificate.store import TOOL
from reconciler.kinds.service import LISTENERS
from tests.support.fleet import _fleet
from tests.support.running import changed_since
from tests.support.serving import LIVE, ROUTER, Node

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

ACCOUNT = "rsync_user"
AUTO = "/var/lib/postgresql/15/main/postgresql.auto.conf"
PSQL = "cd / && runuser -u postgres -- psql -qc"
CHALLENGES = "/var/www/.well-known/acme-challenge"


@dataclass(frozen=True)
class Stranger:
    """What somebody did (shell, as root, on the replica), what takes it back, and what is said of it: the
    resource, words of its refusal, and the exit code of `drift`."""

    name: str
    done: str
    undone: str
    resource: str
    words: tuple[str, ...]
    drift: int = 2


VHOST = """<VirtualHost *:443>
ServerName somebody.example
ServerAlias cn-lab.test.dataone.org
</VirtualHost>"""

STRANGERS = [
    Stranger(
        "a vhost that answers before ours",
        f"printf '%s\\n' '# by hand' '{VHOST}' >/etc/apache2/sites-enabled/000-aaa.conf",
        "rm /etc/apache2/sites-enabled/000-aaa.conf",
        "apache_config apache2",
        ("no: /etc/apache2/sites-enabled/000-aaa.conf:2 (somebody.example) answers", "a2dissite"),
    ),
    Stranger(
        "Listen on loopback",
        "sed -i 's/Listen 443/Listen 127.0.0.1:443/' /etc/apache2/ports.conf",
        "sed -i 's/Listen 127.0.0.1:443/Listen 443/' /etc/apache2/ports.conf",
        "apache_config apache2",
        ("no: only on 127.0.0.1 (/etc/apache2/ports.conf:8)",),
    ),
    Stranger(
        "ALTER SYSTEM, not loaded yet",
        f"{PSQL} \"ALTER SYSTEM SET ssl_cert_file = '/etc/ssl/certs/ssl-cert-snakeoil.pem'\"",
        f"{PSQL} 'ALTER SYSTEM RESET ssl_cert_file'",
        "postgresql_config postgresql@15-main",
        (f"/etc/ssl/certs/ssl-cert-snakeoil.pem ({AUTO}:3)", "ALTER SYSTEM RESET ssl_cert_file"),
    ),
    Stranger(
        "a file that PostgreSQL reads after ours",
        "echo \"listen_addresses = 'localhost'\" >/etc/postgresql/15/main/conf.d/zzz.conf",
        "rm /etc/postgresql/15/main/conf.d/zzz.conf",
        "postgresql_config postgresql@15-main",
        ("no: localhost (/etc/postgresql/15/main/conf.d/zzz.conf:1)",),
    ),
    Stranger(
        "a connector that names another certificate, not restarted yet",
        "sed -i 's|certificateFile=\"/var/lib/reconciler/certificate/current/|certificateFile=\"/srv/|'"
        " /etc/tomcat10/server.xml",
        "sed -i 's|certificateFile=\"/srv/|certificateFile=\"/var/lib/reconciler/certificate/current/|'"
        " /etc/tomcat10/server.xml",
        "tomcat_config tomcat10",
        ("no: /etc/tomcat10/server.xml:161 names /srv/cert.pem", "then restart tomcat10"),
    ),
    Stranger(
        "AllowUsers without the sync account",
        "echo 'AllowUsers ops' >/etc/ssh/sshd_config.d/zz.conf; systemctl reload ssh",
        "rm /etc/ssh/sshd_config.d/zz.conf; systemctl reload ssh",
        f"login {ACCOUNT}",
        ("no: sshd's AllowUsers ops (/etc/ssh/sshd_config.d/zz.conf:1)",),
    ),
    Stranger(
        "the sync account has expired",
        f"usermod --expiredate 1 {ACCOUNT}",
        f"usermod --expiredate '' {ACCOUNT}",
        f"login {ACCOUNT}",
        ("no: the account has expired", "usermod --expiredate '' rsync_user"),
    ),
    Stranger(
        "the sync account is in the group sudo",
        f"gpasswd -a {ACCOUNT} sudo",
        f"gpasswd -d {ACCOUNT} sudo",
        f"login {ACCOUNT}",
        ("no: it is in the group sudo", "gpasswd -d rsync_user"),
    ),
    Stranger(
        "a rule of sudo after the one that denies all",
        f"echo '{ACCOUNT} ALL = (root) NOPASSWD: /usr/bin/rsync' >/etc/sudoers.d/zzz",
        "rm /etc/sudoers.d/zzz",
        f"login {ACCOUNT}",
        ("no: sudo allows (root) NOPASSWD: /usr/bin/rsync",),
    ),
    Stranger(
        "an entry of an ACL that denies the sync account",
        f"setfacl -m u:{ACCOUNT}:--- /var/www",
        "setfacl -b /var/www",
        f"writable {CHALLENGES}",
        ("no: /var/www (", "user:rsync_user:---"),
        # The probe in the folder is looked at as the account, which may not.
        drift=3,
    ),
    Stranger(
        "a program is gone although its package is installed",
        "mv /usr/bin/setfacl /usr/bin/setfacl.away",
        "mv /usr/bin/setfacl.away /usr/bin/setfacl",
        "commands needed",
        ("missing", "setfacl is missing: `apt-get install --reinstall acl`"),
    ),
    Stranger(
        "a clock that is off",
        # Nothing can give a container a time of its own; what the host's date says is what is asked.
        'printf \'#!/bin/sh\nexec /bin/date -d "+100 days" "$@"\n\' >/usr/local/bin/date; chmod +x /usr/local/bin/date',
        "rm /usr/local/bin/date",
        "clock system",
        ("no: about 100 days ahead", "timedatectl set-ntp true"),
    ),
]


@pytest.fixture(scope="module")
def node(
    fleet_machine: None, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """Two hosts that serve."""
    pair: Callable[[], Iterator[Fleet]] = lambda: _fleet("effective-test", 2, pytestconfig)  # noqa: E731
    for fleet in pair():
        node = Node(fleet, tmp_path_factory.mktemp("effective"))
        node.declare()
        node.apply(0)
        yield node


def sampled() -> Iterator[Any]:
    """All of them; after the first that concerns a kind the others are for the soak."""
    kinds: set[str] = set()
    for each in STRANGERS:
        kind = each.resource.split(" ")[0]
        yield pytest.param(each, id=each.name, marks=[pytest.mark.soak] if kind in kinds else [])
        kinds.add(kind)


@pytest.mark.parametrize("stranger", list(sampled()))
def test_a_stranger_that_undoes_what_is_declared_is_named_and_left_alone(
    node: Node, stranger: Stranger
) -> None:
    replica = node.fleet.hosts[1]
    node.settled()
    replica.run(stranger.done)
    try:
        document = node.document(stranger.drift, "drift")
        kind, name = stranger.resource.split(" ")
        found = [each for each in document["actions"] if (each["kind"], each["name"]) == (kind, name)]
        assert [each["host"] for each in found] == [replica.name], document["actions"]
        told = " ".join([found[0]["blocked"], *(str(delta["seen"]) for delta in found[0]["deltas"])])
        assert [words for words in stranger.words if words not in told] == [], told
        replica.run("touch /tmp/mark")
        ended = node.apply(4)
        assert f"{replica.name} {stranger.resource}" in ended.out
        kept = [
            path
            for path in changed_since(replica, "/tmp/mark")
            if not path.startswith(("/var/lib/reconciler/loaded", "/var/lib/reconciler/runs"))
        ]
        assert kept == []
    finally:
        replica.run(stranger.undone)
    node.wait(node.start("apply", "--yes"))
    node.settled()


def test_a_copy_in_place_of_a_link_is_put_right(node: Node) -> None:
    replica = node.fleet.hosts[1]
    enabled = "/etc/apache2/sites-enabled"
    replica.run(
        f"cd {enabled} && cp --remove-destination ../sites-available/cn-ssl.conf . && systemctl reload apache2"
    )
    assert node.pending(2) == [
        "change cn-lab-2 apache_site cn-ssl",
        "reload cn-lab-2 service apache2",
    ]
    node.settle()
    assert replica.run(f"readlink {enabled}/cn-ssl.conf").stdout == "../sites-available/cn-ssl.conf\n"
    assert replica.run(f"ls {enabled}/cn-ssl.conf.*").stdout.count("\n") == 1


def test_nothing_is_ordered_on_a_primary_whose_clock_is_off(node: Node) -> None:
    primary = node.fleet.hosts[0]
    clock = STRANGERS[-1]
    primary.run(clock.done)
    before = node.orders()
    try:
        assert "no: about 100 days ahead" in node.run(2, "drift").out
        ended = node.apply(4, "--replace", "certificate")
        assert f"{primary.name} clock system" in ended.out
    finally:
        primary.run(clock.undone)
    assert node.orders() == before
    assert primary.run(f"ls {LIVE}").stdout
    node.settled()


def test_a_portal_that_is_not_there_is_told_by_the_plan(node: Node) -> None:
    replica = node.fleet.hosts[1]
    portal = "/var/lib/tomcat10/webapps/portal"
    replica.run(f"mv {portal} /srv/portal")
    try:
        out = node.run(2, "drift").out
        assert f"there is no {portal}/WEB-INF/portal.properties: install what brings it" in out
    finally:
        replica.run(f"mv /srv/portal {portal}")
    node.settled()


def test_a_proof_that_fails_says_what_decides_which_certificate_is_served(node: Node) -> None:
    replica = node.fleet.hosts[1]
    snakeoil = "SSLCertificateFile /etc/ssl/certs/ssl-cert-snakeoil.pem"
    key = "SSLCertificateKeyFile /etc/ssl/private/ssl-cert-snakeoil.key"
    vhost = f"<VirtualHost *:443>\nServerName {ROUTER}\nSSLEngine on\n{snakeoil}\n{key}\n</VirtualHost>"
    replica.run(
        f"echo '{vhost}' >/etc/apache2/sites-enabled/000-aaa.conf && systemctl reload apache2 && sleep 1"
    )
    apache = replica.run(f"sh {TOOL} prove 1 443 tls {ROUTER}", check=False).stderr
    replica.run("rm /etc/apache2/sites-enabled/000-aaa.conf; systemctl reload apache2")
    first, second = "/etc/apache2/sites-enabled/000-aaa.conf:1", "/etc/apache2/sites-enabled/cn-ssl.conf:2"
    assert f"the vhosts of this port are, in this order, {first} {second}," in apache
    for name, path in (("cert", "certs/ssl-cert-snakeoil.pem"), ("key", "private/ssl-cert-snakeoil.key")):
        replica.run(f"{PSQL} \"ALTER SYSTEM SET ssl_{name}_file = '/etc/ssl/{path}'\"")
    replica.run("systemctl reload postgresql@15-main && sleep 1")
    postgresql = replica.run(f"sh {TOOL} prove 1 5432 postgresql ''", check=False).stderr
    replica.run(f"{PSQL} 'ALTER SYSTEM RESET ALL'; systemctl reload postgresql@15-main")
    assert f"its ssl_cert_file is /etc/ssl/certs/ssl-cert-snakeoil.pem ({AUTO}:3)," in postgresql
    node.wait(node.start("apply", "--yes"))
    node.settled()


@pytest.mark.parametrize("loopback", [True, False])
def test_a_service_that_is_missing_at_one_of_the_addresses_of_its_host_is_told(
    node: Node, *, loopback: bool
) -> None:
    witness, replica = node.fleet.hosts
    more = f"{replica.address.rpartition('.')[0]}.201"
    replica.run(f"ip addr add {more}/24 dev host0")
    witness.run(f"cp -p /etc/hosts /root/hosts && echo '{more} {replica.name}' >>/etc/hosts")
    ports, apache = "/etc/apache2/ports.conf", "systemctl restart apache2 && sleep 1"
    try:
        node.settled()
        listens = f"Listen {replica.address}:\\1" + ("\\nListen 127.0.0.1:\\1" if loopback else "")
        replica.run(f"sed -i.all 's/Listen \\(.*\\)/{listens}/' {ports} && {apache}")
        out = node.run(2, "drift").out
        assert f"at {more}: nothing listens" in out
        assert (f"nothing answers at {more}" in out) == loopback
    finally:
        replica.run(f"mv {ports}.all {ports} && {apache}; ip addr del {more}/24 dev host0")
        witness.run("mv /root/hosts /etc/hosts")
    node.settled()


def test_who_listens_where_is_told_in_one_line(node: Node) -> None:
    told = node.fleet.hosts[1].run(LISTENERS).stdout
    assert "apache2 on *:443,apache2 on *:80,java on *:8080" in told
    assert told.count("\n") == 1
