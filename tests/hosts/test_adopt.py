"""Hosts that somebody has configured by hand, along the published procedure, are adopted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import Fleet
from lab.recipe import TOMCAT_RELOAD
from reconciler.environment.load import load
from tests.support.faults import Ended
from tests.support.running import bare_hosts
from tests.support.schemas import hold
from tests.support.serving import ROUTER, Node

pytestmark = [pytest.mark.fleet, pytest.mark.gate]

WEB = "web.test.dataone.org"
"""The name of a further certificate, which has a lineage `web` of its own."""
ACCOUNT = r"""set -eu
cat >>/etc/dataone/node.properties <<END
cn.router.hostname=$router
cn.rsyncuser=rsync_user
environment.hosts=$hosts
cn.server.publiccert.filename=/etc/letsencrypt/live/$router/cert.pem
END
adduser --quiet --disabled-password --gecos '' rsync_user
cd /home/rsync_user
install -d -m 0700 -o rsync_user -g rsync_user .ssh bin
runuser -u rsync_user -- ssh-keygen -q -t rsa -N '' -f .ssh/id_rsa
cat >bin/rsync-wrapper.sh <<'END'
#!/bin/bash
LOG="/home/rsync_user/actions.log"
echo "`date` $@" >>${LOG}
/usr/bin/sudo /usr/bin/rsync $@
END
chmod u+x bin/rsync-wrapper.sh
echo 'rsync_user ALL=(root) NOPASSWD: /usr/bin/rsync' >/etc/sudoers.d/rsync_user
mkdir -p /var/www/.well-known/acme-challenge
chown rsync_user:rsync_user /var/www/.well-known/acme-challenge
setfacl -d -m g:rsync_user:rw /var/www/.well-known/acme-challenge
chmod g+s /var/www/.well-known/acme-challenge
cat >/etc/apache2/sites-available/cn-http.conf <<END
<VirtualHost *:80>
    ServerName $router
    ServerAlias $(hostname -f)
    DocumentRoot /var/www
    RedirectMatch ^/(?!.well-known)(.*) https://$router/\$1
</VirtualHost>
END
a2dissite -q 000-default >/dev/null && a2ensite -q cn-http >/dev/null && systemctl reload apache2
cat .ssh/id_rsa.pub
"""

ISSUE = r"""set -eu
mkdir -p /etc/letsencrypt/renewal
cat >/etc/letsencrypt/renewal/manual-auth-hook.sh <<'END'
#!/bin/bash
FNVALID="/var/www/.well-known/acme-challenge/$CERTBOT_TOKEN"
echo $CERTBOT_VALIDATION >$FNVALID
for TARGET_HOST in $(grep '^environment.hosts=' /etc/dataone/node.properties | cut -d'=' -f2); do
  scp -q -o StrictHostKeyChecking=accept-new -i /home/rsync_user/.ssh/id_rsa $FNVALID rsync_user@$TARGET_HOST:$FNVALID
done
END
chmod 755 /etc/letsencrypt/renewal/manual-auth-hook.sh
names=; for name in $router $hosts; do names="$names -d $name"; done
certbot certonly -n -q --agree-tos -m operations@example.org --manual --preferred-challenges http \
  --manual-auth-hook /etc/letsencrypt/renewal/manual-auth-hook.sh --key-type rsa --server $server \
  --cert-name $router $names
certbot certonly -n -q --manual --preferred-challenges http \
  --manual-auth-hook /etc/letsencrypt/renewal/manual-auth-hook.sh --key-type ecdsa --elliptic-curve secp384r1 \
  --server $server --cert-name web -d $web
mkdir -p /etc/letsencrypt/renew-hook.d
cat >/etc/letsencrypt/renew-hook.d/notify-administrators.sh <<'END'
#!/bin/bash
ADMIN="administrator@example.org"
mail -s "renewed" ${ADMIN} </dev/null
END
cat >/etc/cron.weekly/certbot-renew <<'END'
#!/bin/bash
certbot renew -n --quiet --renew-hook "/bin/run-parts /etc/letsencrypt/renew-hook.d/"
END
chmod 755 /etc/cron.weekly/certbot-renew /etc/letsencrypt/renew-hook.d/*
tar -C /etc -cz letsencrypt | base64
"""

USE = r"""set -eu
base64 -d | tar -C /etc -xz
chgrp -R ssl-cert /etc/letsencrypt/archive /etc/letsencrypt/live
chmod g+rx /etc/letsencrypt/archive /etc/letsencrypt/live
chmod 0640 /etc/letsencrypt/archive/$router/privkey*
adduser --quiet postgres ssl-cert
cd /var/lib/postgresql/15/main
ln -s /etc/letsencrypt/live/$router/cert.pem server.crt
ln -s /etc/letsencrypt/live/$router/privkey.pem server.key
sed -i "s/^ssl_cert_file.*/ssl_cert_file = 'server.crt'/; s/^ssl_key_file.*/ssl_key_file = 'server.key'/" \
  /etc/postgresql/15/main/postgresql.conf
systemctl restart postgresql@15-main
cp /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/DataONETestCAChain.crt
cat >/etc/apache2/sites-available/cn-ssl.conf <<END
<VirtualHost *:443>
    ServerName $router
    ServerAlias $(hostname -f)
    SSLEngine on
    SSLCertificateFile /etc/letsencrypt/live/$router/cert.pem
    SSLCertificateKeyFile /etc/letsencrypt/live/$router/privkey.pem
    SSLCertificateChainFile /etc/letsencrypt/live/$router/chain.pem
    SSLCACertificateFile /etc/ssl/certs/DataONETestCAChain.crt
</VirtualHost>
END
a2enmod -q ssl >/dev/null && a2ensite -q cn-ssl >/dev/null && systemctl restart apache2
"""


def by_hand(fleet: Fleet) -> None:
    """What the procedure tells an administrator to do on each host."""
    names = " ".join(host.name for host in fleet.hosts)
    values = f"router={ROUTER}; hosts='{names}'; server={fleet.ca.directory}; web={WEB}\n"
    fleet.ca.set_name(WEB, *(host.address for host in fleet.hosts))
    own = "-m 600 -o rsync_user -g rsync_user /dev/stdin /home/rsync_user/.ssh/authorized_keys"
    with ThreadPoolExecutor() as pool:
        installing = pool.submit(fleet.hosts[0].run, "apt-get -qq -y install certbot >/dev/null 2>&1")
        keys = [done.stdout for done in pool.map(lambda host: host.run(values + ACCOUNT), fleet.hosts)]
        list(pool.map(lambda host: host.run(f"install {own}", stdin="".join(keys)), fleet.hosts))
        installing.result()
        folder = fleet.hosts[0].run(values + ISSUE).stdout
        list(pool.map(lambda host: host.run(values + USE, stdin=folder), fleet.hosts))


@pytest.fixture(scope="module")
def node(
    fleet: Fleet, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """An administrator's machine and hosts that were configured by hand; they are bare again afterwards."""
    made = Node(bare_hosts(fleet, pytestconfig), tmp_path_factory.mktemp("adopt"))
    by_hand(fleet)
    yield made
    bare_hosts(fleet, pytestconfig)


def flags(node: Node, output: Path) -> list[str | Path]:
    """What nobody but the administrator knows."""
    given: list[str | Path] = ["-o", output, "--user", "ops"]
    given += ["--identity", node.fleet.identity, "--known-hosts", node.fleet.known_hosts]
    given += ["--roots", node.fleet.ca.roots]
    return given + [f"--host={host.name}={host.address}" for host in node.fleet.hosts]


def importing(node: Node, output: Path, *more: str) -> Ended:
    """`import` as an administrator runs it."""
    words = [str(each) for each in (*flags(node, output), *more)]
    return node.wait(node.start_words("import", *words))


def adopted(node: Node, name: str, *more: str) -> tuple[Path, dict[str, Any]]:
    """The file that `import` has written, and what it has said."""
    path = node.folder / name
    ended = importing(node, path, "--json", *more)
    return path, {"code": ended.code, "err": ended.err, **json.loads(ended.out or "{}")}


@pytest.fixture(scope="module")
def first(node: Node) -> tuple[Path, dict[str, Any]]:
    """What import makes of hosts that were configured by hand."""
    return adopted(node, "first.yaml", "--name", "lab")


def test_hosts_configured_by_hand_are_declared_as_they_are(
    node: Node, first: tuple[Path, dict[str, Any]]
) -> None:
    path, said = first
    assert (said["code"], said["unreachable"], said["unknown"]) == (0, [], [])
    # The services of these hosts have just been started.
    waited = ("it is starting", "was started or reloaded a moment ago")
    assert [line for line in said["err"].splitlines() if not any(why in line for why in waited)] == []
    node.run(0, "validate", path)
    made = load(str(path))
    assert (made.name, made.router, made.primary) == ("lab", ROUTER, made.hosts[0])
    assert [host.name for host in made.hosts] == [host.name for host in node.fleet.hosts]
    assert (made.sync.account, made.sync.folder) == ("rsync_user", "/home/rsync_user")
    assert made.certificate.server == node.fleet.ca.directory
    assert made.certificate.administrators == "administrator@example.org"
    (further,) = made.ordered
    assert (further.name, further.names, further.hosts) == ("web", (WEB,), None)
    assert (further.settings.server, further.settings.key_type) == (made.certificate.server, "ecdsa-p384")
    services = made.services
    assert (services.postgresql, services.postgresql_certificate) == ("15", "links")
    assert (services.tomcat, services.portal) == ("10", True)
    assert services.tomcat_tls is not None
    assert services.client_ca == "/etc/ssl/certs/DataONETestCAChain.crt"


def test_every_difference_is_named(node: Node, first: tuple[Path, dict[str, Any]]) -> None:
    path, said = first
    node.file, kept = path, node.file
    plan = node.document(0, "plan")
    node.file = kept
    planned = {
        (action["host"], action["kind"], action["name"], delta["field"])
        for action in plan["actions"]
        for delta in action["deltas"]
    }
    named = {tuple(each[key] for key in ("host", "kind", "name", "field")) for each in said["differences"]}
    assert named == planned
    rows = {each["row"].split(":")[0] for each in said["differences"]}
    assert rows >= {"S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "S14"}
    short = {(kind, name, field) for _, kind, name, field in named}
    assert {
        ("account", "rsync_user", "shell"),
        ("directory", "/var/www/.well-known/acme-challenge", "mode"),
        ("file", "/usr/local/lib/reconciler/rsync-wrapper.sh", "content"),
        ("file", "/etc/apache2/sites-available/cn-ssl.conf", "content"),
        ("property", "/etc/dataone/node.properties cn.server.publiccert.filename", "value"),
        ("service", "certbot.timer", "running"),
        ("symlink", "/var/lib/postgresql/15/main/server.crt", "target"),
    } <= short, short
    # The copies of certbot's folder that the procedure makes: a second issuer on each peer.
    peers = {host for host, kind, _, _ in named if kind == "certificate"}
    assert peers == {host.name for host in node.fleet.hosts}
    told = " ".join(each["text"] for each in said["remarks"])
    assert "/etc/cron.weekly/certbot-renew" in told
    assert "cn-http.conf" in told
    assert "3 keys that are not ours open rsync_user" in told
    assert "web: no host shows what serves it" in told
    hold({k: v for k, v in said.items() if k not in ("code", "err")}, "import")


def test_no_secret_was_read_and_nothing_is_written_twice(
    node: Node, first: tuple[Path, dict[str, Any]]
) -> None:
    path, _ = first
    text = path.read_text(encoding="utf-8")
    everything = text + "".join(node.said)
    assert re.search("canary-(portal|[0-9a-f]{12})", everything) is None  # the lab's passwords
    assert "PRIVATE KEY" not in everything
    assert "only-on-loopback" not in everything
    ended = importing(node, path)
    assert (ended.code, path.read_text(encoding="utf-8")) == (64, text)
    assert "exists already, and is never overwritten" in ended.err


def test_once_applied_the_first_plan_is_empty(node: Node, first: tuple[Path, dict[str, Any]]) -> None:
    text = first[0].read_text(encoding="utf-8")
    server = f"  server: {node.fleet.ca.directory}\n"
    assert server in text
    unknown = "    # reload: cannot be found out; without it Tomcat is restarted for a certificate\n"
    assert unknown in text
    text = text.replace(unknown, f"    reload: {TOMCAT_RELOAD}\n")
    more = f"  resolver: {node.fleet.ca.address}\n  jitter: 0\n  orders_a_week: 999\n  email: a@example.org\n"
    node.file.write_text(text.replace(server, server + more), encoding="utf-8")
    node.apply(0)
    path, said = adopted(node, "second.yaml")
    assert (said["code"], said["differences"], said["err"]) == (0, [], "")
    again, declared = load(str(path)), load(str(node.file))
    assert again.name == "lab", "as the hosts say"
    assert again.ordered == declared.ordered
    primary = node.fleet.hosts[0]
    assert primary.run("test -e /var/lib/reconciler/orders-web", check=False).returncode == 1, (
        "not ordered again"
    )
    shown = "openssl x509 -noout -serial -in /var/lib/reconciler/certificates/web/current/cert.pem"
    assert len({host.run(shown).stdout for host in node.fleet.hosts}) == 1
    assert (again.certificate, again.paths) == (declared.certificate, declared.paths)
    assert replace(again.services, tomcat_tls=None) == replace(declared.services, tomcat_tls=None)
