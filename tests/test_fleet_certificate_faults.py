"""What goes wrong with a certificate, one fault a test; the name says the outcome.

In each: no host ever serves a pair that a client would not take, the message is clear, and
the next run finishes the job once the cause is gone.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lab import Fleet, LabHost
from tests.faults import Ended, until
from tests.forged import authority, key_pem, pem, rsa_key, signed
from tests.running import announced, free
from tests.serving import ARCHIVE, LIVE, ROUTER, SCRIPT, STORE, Clients, Node, node_of

pytestmark = pytest.mark.fleet
CERTIFICATE = f"change cn-lab-1 certificate {ROUTER}"
HOSTS = [f"cn-lab-{number}.test.dataone.org" for number in (1, 2, 3)]
NAMES = (ROUTER, *HOSTS)


@pytest.fixture(scope="module")
def settled(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return node_of(fleet, tmp_path_factory.mktemp("node"))


@pytest.fixture
def node(settled: Node) -> Iterator[Node]:
    """Hosts that serve the certificate; clients look at all of them as long as the test lasts,
    and afterwards one apply has to bring everything to what is declared."""
    settled.declare()
    settled.settle()
    with Clients(settled) as clients:
        yield settled
    settled.declare()
    settled.settle()
    settled.one()
    wrong = [each for each in clients.failures if not _away(each)]
    assert wrong == [], "a client was shown what it would not take"


def _away(failure: str) -> bool:
    """A service that is stopped, or a host that is off, shows nothing; that is no wrong pair."""
    words = ("connection refused", "no answer within", "cannot be reached", "closed the connection")
    return any(word in failure for word in words) or "was not over within" in failure


def reason(ended: Ended, host: str, kind: str) -> str:
    """Why an action failed, as it was told; the test fails where that was not said once."""
    found = [line for line in ended.out.splitlines() if line.startswith("failed: ")]
    assert len(found) == 1, ended.out[-3000:]
    assert found[0].startswith(f"failed: {host} {kind} "), found
    return found[0]


# -- the lineage -------------------------------------------------------------------------------


def put(node: Node, certificate: str, chain: str, key: str, fullchain: str | None = None) -> None:
    """Leaves this as certbot's newest version, as somebody's hand might."""
    primary = node.fleet.hosts[0]
    count = primary.run(
        f"ls {ARCHIVE} | sed -n 's/^privkey\\([0-9]*\\).pem/\\1/p' | sort -n | tail -1"
    ).stdout
    number = int(count) + 1
    whole = certificate + chain if fullchain is None else fullchain
    for name, text in {"cert": certificate, "chain": chain, "fullchain": whole, "privkey": key}.items():
        primary.write(f"{ARCHIVE}/{name}{number}.pem", text, 0o600 if name == "privkey" else 0o644)
        primary.run(f"ln -sfn ../../archive/{ROUTER}/{name}{number}.pem {LIVE}/{name}.pem")
    roots = node.fleet.ca.roots
    root = pem(authority()[0].certificate)
    if root not in roots.read_text():
        new = roots.with_name("roots.new")
        new.write_text(roots.read_text() + root)
        new.replace(roots)


def forge(node: Node, fault: str) -> None:
    _, intermediate = authority()
    key = ec.generate_private_key(ec.SECP256R1()) if fault == "an ECDSA key" else rsa_key()
    names = NAMES[:-1] if fault == "a missing name" else NAMES
    days = (-90, -1) if fault == "expired" else (-80, 10) if fault == "overdue" else (-1, 89)
    leaf = signed(ROUTER, key, intermediate, names=names, days=days)
    certificate, chain, private = pem(leaf), pem(intermediate.certificate), key_pem(key)
    whole = certificate + chain
    if fault == "the wrong key":
        private = key_pem(rsa_key())
    if fault == "a truncated certificate":
        certificate = certificate[:500]
        whole = certificate
    if fault == "an empty certificate":
        certificate = whole = ""
    if fault == "an empty key":
        private = ""
    put(node, certificate, chain, private, whole)


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ("the wrong key", "pair"),
        ("an empty key", "pair"),
        ("a truncated certificate", "release"),
        ("an empty certificate", "release"),
        ("a missing name", "names"),
        ("an ECDSA key", "key"),
        ("expired", "fresh"),
        ("overdue", "fresh"),
    ],
)
def test_a_lineage_that_is_no_good_is_ordered_anew_and_never_served(
    node: Node, fault: str, field: str
) -> None:
    before, orders = node.one(), node.orders()
    forge(node, fault)
    document = node.document(2, "drift")
    (action,) = [each for each in document["actions"] if each["kind"] == "certificate"]
    assert field in {delta["field"] for delta in action["deltas"]}
    node.apply(0)
    assert node.one() != before
    assert node.orders() == [*orders, "begun", "issued"]


def test_a_chain_without_its_intermediate_is_refused_and_nothing_is_ordered(node: Node) -> None:
    before, orders = node.one(), node.orders()
    _, intermediate = authority()
    key = rsa_key()
    leaf = pem(signed(ROUTER, key, intermediate, names=NAMES))
    put(node, leaf, "", key_pem(key))
    ended = node.apply(4)
    assert "the chain does not lead to a known root" in ended.out
    assert "look at `certificate:` `roots` first" in ended.out
    assert (node.one(), node.orders()) == (before, orders)
    # The cause is gone: the whole chain is there, and this lineage is as good as any.
    put(node, leaf, pem(intermediate.certificate), key_pem(key))
    node.apply(0)
    assert node.one() != before
    forge(node, "overdue")


def test_live_that_leads_to_an_older_version_is_led_back_without_an_order(node: Node) -> None:
    before = node.one()
    node.renew()
    node.apply(0)
    after, orders = node.one(), node.orders()
    primary = node.fleet.hosts[0]
    versions = primary.run(
        f"ls {ARCHIVE} | sed -n 's/^privkey\\([0-9]*\\).pem/\\1/p' | sort -n"
    ).stdout.split()
    for name in ("cert", "privkey"):
        primary.run(f"ln -sfn ../../archive/{ROUTER}/{name}{versions[-2]}.pem {LIVE}/{name}.pem")
    ended = node.apply(0)
    assert announced(ended) == [CERTIFICATE]
    assert (node.one(), node.orders()) == (after, orders)
    assert after != before


def test_a_lineage_whose_renewal_was_changed_by_hand_is_set_right_without_an_order(node: Node) -> None:
    primary, orders = node.fleet.hosts[0], node.orders()
    primary.run(
        f"sed -i 's,^manual_auth_hook.*,manual_auth_hook = /bin/true,' /etc/letsencrypt/renewal/{ROUTER}.conf"
    )
    ended = node.run(0, "plan")
    assert (
        'renewal: manual_auth_hook: "/bin/true" → "/etc/letsencrypt/renewal/manual-auth-hook.sh"' in ended.out
    )
    assert announced(node.apply(0)) == [CERTIFICATE]
    assert node.orders() == orders


# -- the order ---------------------------------------------------------------------------------


def ordering(node: Node, code: int = 4) -> tuple[str, list[str]]:
    """An apply that orders another certificate and fails: why, and what the ledger has more."""
    before, orders = node.one(), node.orders()
    ended = node.apply(code, "--replace", "certificate")
    why = reason(ended, HOSTS[0], "certificate")
    assert node.one() == before
    return why, node.orders()[len(orders) :]


def test_a_name_that_resolves_to_a_stranger_costs_no_order(node: Node) -> None:
    stranger = node.fleet.hosts[0].address.rpartition(".")[0] + ".99"
    node.fleet.ca.set_name(HOSTS[1], node.fleet.hosts[1].address, stranger)
    try:
        why, more = ordering(node)
    finally:
        node.fleet.ca.set_name(HOSTS[1], node.fleet.hosts[1].address)
    assert f"{HOSTS[1]} through {stranger}" in why
    assert more == []


def test_a_name_that_does_not_resolve_costs_no_order(node: Node) -> None:
    node.fleet.ca.set_name(HOSTS[2])
    try:
        why, more = ordering(node)
    finally:
        node.fleet.ca.set_name(HOSTS[2], node.fleet.hosts[2].address)
    assert f"{HOSTS[2]}: the DNS has no address for it" in why
    assert more == []


def test_a_vhost_that_swallows_the_challenge_costs_no_order(node: Node) -> None:
    host = node.fleet.hosts[2]
    vhost = f"<VirtualHost *:80>\nServerName {ROUTER}\nRedirect gone /\n</VirtualHost>\n"
    host.write("/etc/apache2/sites-enabled/000-theirs.conf", vhost)
    host.run("systemctl reload apache2")
    orders = node.orders()
    ended = node.apply(4, "--replace", "certificate")
    assert "something else answers" in reason(ended, host.name, "answer")
    assert node.orders() == orders
    host.run("rm /etc/apache2/sites-enabled/000-theirs.conf; systemctl reload apache2")


def test_a_hook_that_cannot_write_on_a_peer_costs_no_order(node: Node) -> None:
    host = node.fleet.hosts[1]
    host.run("chattr +i /var/www/.well-known/acme-challenge")
    try:
        why, more = ordering(node)
    finally:
        host.run("chattr -i /var/www/.well-known/acme-challenge")
    assert f"challenge put failed for: {host.name}" in why
    assert more == []


def test_a_challenge_directory_that_lost_its_acl_gets_it_back_before_the_order(node: Node) -> None:
    before = node.one()
    node.fleet.hosts[1].run(
        "setfacl -b -k /var/www/.well-known/acme-challenge; chmod 0755 /var/www/.well-known/acme-challenge"
    )
    ended = node.apply(0, "--replace", "certificate")
    assert "change cn-lab-2 acl /var/www/.well-known/acme-challenge" in announced(ended)
    assert node.one() != before


def test_a_ca_that_is_down_is_named_and_nothing_changes(node: Node) -> None:
    primary = node.fleet.hosts[0]
    primary.run("cp /etc/hosts /root/hosts; sed -i 's/^.* acme$/127.0.0.9 acme/' /etc/hosts")
    try:
        why, more = ordering(node)
    finally:
        primary.run("cat /root/hosts >/etc/hosts")
    assert "onnection" in why
    assert more in ([], ["begun", "failed"])


def test_a_ca_at_its_limit_is_told_and_counted(node: Node) -> None:
    node.fleet.refuse(True)
    try:
        why, more = ordering(node)
    finally:
        node.fleet.refuse(False)
    assert "rateLimited" in why
    assert more == ["begun", "failed"]


def test_another_certbot_at_work_is_told(node: Node) -> None:
    primary = node.fleet.hosts[0]
    hold = "import fcntl, time; f = open('/etc/letsencrypt/.certbot.lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); open('/run/held', 'w'); time.sleep(60)"
    primary.write("/root/hold.py", hold)
    primary.run("rm -f /run/held; setsid -f timeout 60 python3 /root/hold.py </dev/null >/dev/null 2>&1")
    until(lambda: primary.run("test -e /run/held", check=False).returncode == 0, "certbot's lock is held")
    try:
        why, more = ordering(node)
    finally:
        primary.run("kill $(pgrep -f /root/hold.py)", check=False)
    assert "Another instance of Certbot is already running" in why
    assert more == []


def test_a_renewal_by_cron_that_fails_says_so_and_leaves_the_old_one(node: Node) -> None:
    before, primary = node.one(), node.fleet.hosts[0]
    node.fleet.ca.set_name(HOSTS[2])
    try:
        done = primary.run(f"{SCRIPT} renew", check=False)
    finally:
        node.fleet.ca.set_name(HOSTS[2], node.fleet.hosts[2].address)
    assert done.returncode == 1
    assert f"{HOSTS[2]}: the DNS has no address for it" in done.stderr
    assert node.one() == before
    assert node.pending(0) == []


# -- delivery and staging ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("chmod 0644", "root:ssl-cert 0644"),
        ("chmod 0000", "root:ssl-cert 0000"),
        ("chown postgres", "postgres:ssl-cert 0640"),
        ("setfacl -m u:daemon:r", "root:ssl-cert 0640 and an ACL"),
        ("setfacl -m m::---", "root:ssl-cert 0600"),
    ],
)
def test_a_key_with_other_permissions_is_staged_again_and_used_without_a_reload(
    node: Node, fault: str, seen: str
) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    host.run(f"{fault} {STORE}/current/privkey.pem")
    document = node.document(2, "drift")
    deltas = {
        d["field"]: d["seen"] for a in document["actions"] if a["kind"] == "release" for d in a["deltas"]
    }
    assert deltas["key file"] == seen
    ended = node.apply(0)
    assert f"reload cn-lab-2 serving {ROUTER}" in announced(ended)
    assert host.run(f"stat -c '%U:%G %a' {STORE}/current/privkey.pem").stdout == "root:ssl-cert 640\n"
    assert host.run(f"getfacl -cpE {STORE}/current/privkey.pem | grep -c daemon", check=False).stdout == "0\n"
    assert node.one() == before


@pytest.mark.parametrize("fault", ["another key", "an empty key", "a truncated chain"])
def test_a_release_that_is_damaged_is_brought_anew_before_a_service_can_load_it(
    node: Node, fault: str
) -> None:
    before, host = node.one(), node.fleet.hosts[2]
    folder = f"{STORE}/current"
    if fault == "another key":
        host.write(f"{folder}/privkey.pem", key_pem(rsa_key()), 0o640)
    elif fault == "an empty key":
        host.run(f": >{folder}/privkey.pem")
    else:
        host.run(f"head -c 600 {folder}/fullchain.pem >/root/x; cat /root/x >{folder}/fullchain.pem")
    ended = node.apply(0)
    assert f"change cn-lab-3 release {ROUTER}" in announced(ended)
    assert f"change cn-lab-1 delivery {host.name}" in announced(ended)
    host.run("systemctl restart apache2 postgresql@15-main tomcat10")
    until(lambda: set().union(*node.served().values()) == {before}, "all services are back", 60)


def test_what_lies_in_incoming_with_a_newer_date_is_not_taken(node: Node) -> None:
    host = node.fleet.hosts[1]
    sync = "runuser -u rsync_user --"
    host.run(
        f"{sync} mkdir -p /home/rsync_user/incoming; for f in cert chain fullchain privkey; do echo x | {sync} tee /home/rsync_user/incoming/$f.pem >/dev/null; {sync} touch -d 2040-01-01 /home/rsync_user/incoming/$f.pem; done"
    )
    before = node.one()
    node.renew()
    node.apply(0)
    assert node.one() != before


def test_links_in_incoming_lead_root_nowhere(node: Node) -> None:
    host = node.fleet.hosts[1]
    host.run("echo secret-of-root >/root/secret; chmod 600 /root/secret")
    host.run(
        "runuser -u rsync_user -- sh -c 'mkdir -p ~/incoming && ln -sf /root/secret ~/incoming/privkey.pem'"
    )
    node.renew()
    node.apply(0)
    node.one()
    assert host.run("cat /root/secret").stdout == "secret-of-root\n"


def test_a_full_disk_while_staging_means_that_no_host_switches(node: Node) -> None:
    host = node.fleet.hosts[1]
    before = node.one()
    host.run(
        f"mkdir /root/kept; cp -a {STORE}/. /root/kept/; mount -t tmpfs -o size=96k tmpfs {STORE}; cp -a /root/kept/. {STORE}/"
    )
    host.run(f"dd if=/dev/zero of={STORE}/filler bs=1k 2>/dev/null", check=False)
    try:
        node.renew()
        ended = node.apply(4)
        assert "No space left on device" in reason(ended, host.name, "release")
        assert node.one() == before
        assert "until" not in ended.err
    finally:
        host.run(f"umount {STORE}; rm -rf /root/kept")
    node.apply(0)
    assert node.one() != before


def test_a_sync_key_that_was_taken_out_is_authorised_again_and_the_rollout_goes_on(node: Node) -> None:
    before = node.one()
    node.fleet.hosts[1].run("sed -i /cn-lab-1/d /home/rsync_user/.ssh/authorized_keys")
    node.renew()
    ended = node.apply(0)
    assert "change cn-lab-2 authorized_keys /home/rsync_user/.ssh/authorized_keys" in announced(ended)
    assert node.one() != before


def test_a_peer_that_lets_the_sync_account_in_no_more_stops_the_rollout_everywhere(node: Node) -> None:
    host = node.fleet.hosts[2]
    before = node.one()
    host.write("/etc/ssh/sshd_config.d/deny.conf", "DenyUsers rsync_user\n")
    host.run("systemctl restart ssh")
    node.renew()
    try:
        ended = node.apply(4)
        assert f"failed: {HOSTS[0]} ssh_access rsync_user@{host.name}: " in ended.out
        assert node.one() == before
    finally:
        host.run("rm /etc/ssh/sshd_config.d/deny.conf; systemctl reset-failed ssh; systemctl restart ssh")
    node.apply(0)
    assert node.one() != before


# -- switching ---------------------------------------------------------------------------------


def rolled_back(node: Node, host: LabHost, before: str) -> str:
    """A rollout that fails on this host, the first: why. Everything serves what it did before."""
    node.renew()
    ended = node.apply(4)
    why = reason(ended, host.name, "serving")
    assert "it was put back (notAfter=" in why
    assert node.one() == before
    assert not any("cn-lab-3 serving" in line or "cn-lab-1 serving" in line for line in announced(ended))
    return why


def test_a_service_that_ignores_the_reload_is_rolled_back_and_stops_the_rollout(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    host.write(
        "/etc/systemd/system/apache2.service.d/deaf.conf", "[Service]\nExecReload=\nExecReload=/bin/true\n"
    )
    host.run("systemctl daemon-reload")
    try:
        why = rolled_back(node, host, before)
    finally:
        host.run("rm /etc/systemd/system/apache2.service.d/deaf.conf; systemctl daemon-reload")
    assert "port 443" in why
    assert "it still serves another certificate after 5 s" in why
    node.apply(0)
    assert node.one() != before


def test_postgresql_that_refuses_the_key_is_rolled_back_with_all_before_it(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    host.run(
        "cp -aL /var/lib/reconciler/certificate/current/privkey.pem /var/lib/postgresql/k.pem; chown postgres /var/lib/postgresql/k.pem; chmod 0644 /var/lib/postgresql/k.pem"
    )
    host.run("runuser -u postgres -- psql -c \"alter system set ssl_key_file = '/var/lib/postgresql/k.pem'\"")
    try:
        why = rolled_back(node, host, before)
    finally:
        host.run(
            "runuser -u postgres -- psql -c 'alter system reset ssl_key_file'; rm /var/lib/postgresql/k.pem; systemctl reload postgresql@15-main"
        )
    assert "port 5432" in why
    node.apply(0)
    assert node.one() != before


def test_tomcat_with_a_pair_that_does_not_match_fails_its_proof_and_stops_the_rollout(node: Node) -> None:
    host = node.fleet.hosts[1]
    before = node.one()
    host.write("/etc/tomcat10/other.pem", key_pem(rsa_key()), 0o644)
    host.run(
        f"cp -p /etc/tomcat10/server.xml /root/server.xml; sed -i 's|{STORE}/current/privkey.pem|/etc/tomcat10/other.pem|' /etc/tomcat10/server.xml; systemctl restart tomcat10"
    )
    until(
        lambda: host.run("ss -Hltn sport = :8443 | grep -q .", check=False).returncode == 0,
        "Tomcat is up",
        60,
    )
    node.renew()
    try:
        ended = node.apply(5)
        why = reason(ended, host.name, "serving")
        assert "port 8443" in why
        served = node.served()
        assert served["cn-lab-2 443"] == served["cn-lab-3 443"] == {before}
    finally:
        host.run("cp -p /root/server.xml /etc/tomcat10/server.xml; systemctl restart tomcat10")
        until(lambda: host.run("ss -Hltn sport = :8443 | grep -q .", check=False).returncode == 0, "up", 60)
    node.apply(0)
    assert node.one() != before


def test_apache_with_a_broken_configuration_is_not_touched_and_nobody_switches(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    host.write("/etc/apache2/conf-enabled/zz.conf", "NoSuchDirective on\n")
    node.renew()
    try:
        ended = node.apply(4)
        assert "Invalid command 'NoSuchDirective'" in reason(ended, host.name, "service")
        assert not any(" serving " in line for line in announced(ended))
        assert node.one() == before
    finally:
        host.run("rm /etc/apache2/conf-enabled/zz.conf")
    node.apply(0)
    assert node.one() != before


@pytest.mark.parametrize("unit", ["apache2", "postgresql@15-main", "tomcat10"])
def test_a_service_that_is_stopped_is_started_and_then_switched(node: Node, unit: str) -> None:
    before = node.one()
    node.fleet.hosts[1].run(f"systemctl stop {unit}")
    node.renew()
    node.apply(0)
    until(lambda: before not in set().union(*node.served().values()), "all serve the new one", 60)


def test_a_dangling_link_leads_to_the_proven_release_again(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[2]
    host.run(f"ln -sfn releases/nowhere {STORE}/current")
    ended = node.apply(0)
    assert f"change cn-lab-3 current {STORE}/current" in announced(ended)
    assert node.one() == before


def test_a_copy_in_the_place_of_the_link_is_moved_aside(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[2]
    host.run(f"cp -aL {STORE}/current /root/copy; rm {STORE}/current; mv /root/copy {STORE}/current")
    node.apply(0)
    assert host.run(f"readlink {STORE}/current").stdout.startswith("releases/")
    assert host.run(f"ls -d {STORE}/current.*").stdout.count("current.") == 1
    assert node.one() == before
    host.run(f"rm -rf {STORE}/current.*")


# -- hosts and runs that are lost --------------------------------------------------------------


def test_a_peer_lost_before_the_switch_means_that_nobody_switches(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[2]
    node.renew()
    run = node.starts(f"{host.name} release {ROUTER}: change")
    host.kill()
    ended = run.end()
    assert ended.code in (4, 5), ended.out[-2000:]
    assert not any(" serving " in line for line in announced(ended))
    host.boot()
    served = node.served()
    assert served["cn-lab-1 443"] == served["cn-lab-2 443"] == {before}
    node.apply(0)
    assert node.one() != before


def test_a_peer_lost_while_it_switches_is_named_and_the_rollout_stops(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    node.renew()
    run = node.starts(f"{host.name} serving {ROUTER}: reload")
    host.kill()
    ended = run.end()
    assert ended.code == 5
    assert f"not known how it is now: {host.name} serving {ROUTER}" in ended.out
    assert not any("cn-lab-3 serving" in line or "cn-lab-1 serving" in line for line in announced(ended))
    host.boot()
    node.apply(0)
    assert node.one() != before


def test_kill_9_during_the_switch_loses_nothing(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    node.renew()
    run = node.starts(f"{host.name} serving {ROUTER}: reload")
    assert run.send(signal.SIGKILL).code == -9
    for each in node.fleet.hosts:
        until(lambda at=each: free(at), "the lock is free", 60)
    node.apply(0)
    assert node.one() != before


def test_a_renewal_in_the_middle_of_a_rollout_ends_it_and_the_next_run_brings_the_newest(node: Node) -> None:
    before = node.one()
    node.renew()
    host = node.fleet.hosts[1]
    host.write(
        "/etc/systemd/system/apache2.service.d/slow.conf",
        "[Service]\nExecReload=\nExecReload=/usr/sbin/apachectl graceful\nExecReload=/bin/sleep 12\n",
    )
    host.run("systemctl daemon-reload")
    run = node.starts(f"{host.name} serving {ROUTER}: reload")
    node.renew()
    ended = run.end()
    host.run("rm /etc/systemd/system/apache2.service.d/slow.conf; systemctl daemon-reload")
    assert ended.code == 4, ended.out[-2000:]
    assert "the plan is stale" in ended.err
    node.apply(0)
    assert node.one() != before
