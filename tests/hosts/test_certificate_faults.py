"""What goes wrong with a certificate, one fault a test; the name says the outcome.

In each: no host ever serves a pair that a client would not take, the message is clear, and
the next run finishes the job once the cause is gone.
"""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.faults import until
from tests.support.forged import authority, key_pem, pem, rsa_key, signed
from tests.support.running import begun_actions
from tests.support.serving import ARCHIVE, LIVE, ROUTER, SCRIPT, STORE, Node, reason

pytestmark = pytest.mark.fleet
CERTIFICATE = f"change cn-lab-1 certificate {ROUTER}"
HOSTS = [f"cn-lab-{number}.test.dataone.org" for number in (1, 2, 3)]
NAMES = (ROUTER, *HOSTS)

EMPTY = "find -L /etc/letsencrypt/live /etc/letsencrypt/renewal /etc/letsencrypt/accounts /var/lib/reconciler /etc/apache2 /home/rsync_user /etc/cron.d /etc/sudoers.d -type f -size 0 ! -path '*/former-*' ! -path '*/certificate/next/*' ! -name '.*' ! -name '*.lock'"
"""Prints the files in use that have no content; placeholders and locks have none on purpose,
and what is being staged is not in use yet."""


@pytest.fixture
def node(watched: Node) -> Node:
    """Hosts that serve the certificate, and clients that look on."""
    return watched


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
    days = (-90, -1) if fault == "expired" else (0, 89)  # else issued after the one in use
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


@pytest.mark.gate
@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ("the wrong key", "pair"),
        pytest.param("a truncated certificate", "release", marks=pytest.mark.soak),
        pytest.param("a missing name", "names", marks=pytest.mark.soak),
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


@pytest.mark.gate
def test_a_lineage_older_than_the_release_in_use_gets_that_without_an_order(node: Node) -> None:
    before, orders = node.one(), node.orders()
    forge(node, "expired")
    ended = node.apply(0)
    assert begun_actions(ended) == [CERTIFICATE]
    assert (node.one(), node.orders()) == (before, orders)
    primary = node.fleet.hosts[0]
    issued = primary.run(f"openssl x509 -noout -serial -in {LIVE}/cert.pem").stdout
    used = primary.run(
        "openssl x509 -noout -serial -in /var/lib/reconciler/certificate/current/cert.pem"
    ).stdout
    assert issued == used
    # And certbot renews that.
    node.renew()
    node.apply(0)
    assert node.one() != before


@pytest.mark.gate
def test_a_primary_that_comes_back_gets_the_newest_of_its_peers_without_an_order(node: Node) -> None:
    """As one that was down while another was the primary: all it has is of the time before."""
    primary = node.fleet.hosts[0]
    keep = f"d=/root/was; rm -rf $d; mkdir $d; cp -a /etc/letsencrypt {STORE} $d/"
    primary.run(keep)
    node.renew()
    node.apply(0)
    newest, orders = node.one(), node.orders()
    primary.run(
        f"rm -rf /etc/letsencrypt {STORE}; cp -a /root/was/letsencrypt /etc/; cp -a /root/was/certificate {STORE};"
        " systemctl reload apache2 postgresql@15-main"
    )
    plan = node.run(0, "plan").out
    assert "brought" in plan
    node.apply(0)
    assert (node.one(), node.orders()) == (newest, orders)
    issued = primary.run(f"openssl x509 -noout -serial -in {LIVE}/cert.pem").stdout
    assert issued == primary.run(f"openssl x509 -noout -serial -in {STORE}/current/cert.pem").stdout
    assert "Nothing to do" in node.run(0, "plan").out
    # And certbot renews that.
    node.renew()
    node.apply(0)
    assert node.one() != newest


@pytest.mark.soak
def test_a_chain_without_its_intermediate_is_refused_and_nothing_is_ordered(node: Node) -> None:
    before, orders = node.one(), node.orders()
    _, intermediate = authority()
    key = rsa_key()
    leaf = pem(signed(ROUTER, key, intermediate, names=NAMES))
    put(node, leaf, "", key_pem(key))
    ended = node.apply(4)
    assert "the chain sent does not lead to a known root" in ended.out
    assert "look at `certificate:` `roots` first" in ended.out
    assert (node.one(), node.orders()) == (before, orders)
    # The cause is gone: the whole chain is there, and this lineage is as good as any.
    put(node, leaf, pem(intermediate.certificate), key_pem(key))
    node.apply(0)
    assert node.one() != before
    forge(node, "the wrong key")


@pytest.mark.soak
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
    assert begun_actions(ended) == [CERTIFICATE]
    assert (node.one(), node.orders()) == (after, orders)
    assert after != before


@pytest.mark.soak
def test_a_lineage_whose_renewal_was_changed_by_hand_is_set_right_without_an_order(node: Node) -> None:
    primary, orders = node.fleet.hosts[0], node.orders()
    primary.run(
        f"sed -i 's,^manual_auth_hook.*,manual_auth_hook = /bin/true,' /etc/letsencrypt/renewal/{ROUTER}.conf"
    )
    ended = node.run(0, "plan")
    assert (
        'renewal: manual_auth_hook: "/bin/true" → "/etc/letsencrypt/renewal/manual-auth-hook.sh"' in ended.out
    )
    assert begun_actions(node.apply(0)) == [CERTIFICATE]
    assert node.orders() == orders


@pytest.mark.soak
def test_what_certbots_next_renewal_would_fail_at_is_set_right_without_an_order(node: Node) -> None:
    primary, orders, conf = node.fleet.hosts[0], node.orders(), f"/etc/letsencrypt/renewal/{ROUTER}.conf"
    primary.run(": >$(ls /etc/letsencrypt/accounts/*/dir/*/regr.json | head -n 1)")
    assert "regr.json is missing or incomplete" in node.run(0, "plan").out
    assert begun_actions(node.apply(0)) == [CERTIFICATE]
    primary.run(f"rm -r /etc/letsencrypt/accounts; printf 'half a li' >>{conf}")
    told = node.run(0, "plan").out
    assert "is neither `[section]` nor `key = value`" in told
    assert "/etc/letsencrypt/accounts/acme:14000/dir is missing" in told
    assert begun_actions(node.apply(0)) == [CERTIFICATE]
    assert node.orders() == orders
    before = node.one()
    node.renew()
    assert node.orders() == [*orders, "begun", "issued"]
    node.apply(0)
    assert node.one() != before


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "fault", "why"),
    [
        ("cert", "rm {file}", "is missing"),
        ("chain", ": >{file}", "is unreadable"),
        ("chain", "cat {archive}/fullchain1.pem >{file}", "is not of"),
    ],
)
def test_a_file_that_certbots_next_renewal_needs_is_made_of_the_others_without_an_order(
    node: Node, name: str, fault: str, why: str
) -> None:
    primary, before, orders = node.fleet.hosts[0], node.one(), node.orders()
    file = primary.run(f"readlink -f {LIVE}/{name}.pem").stdout.strip()
    primary.run(f"cp -p {file} /root/was.pem; {fault.format(file=file, archive=ARCHIVE)}")
    assert f"{file} {why}" in node.run(0, "plan").out
    assert begun_actions(node.apply(0)) == [CERTIFICATE]
    primary.run(f"cmp {file} /root/was.pem; stat -c %a%U {file} | grep -qx 644root")
    assert (node.one(), node.orders()) == (before, orders)
    node.renew()
    node.apply(0)
    assert node.one() != before


@pytest.mark.soak
@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("mkdir {file}", "directory"),
        ("ln -s /nowhere {file}", "link that leads nowhere"),
        ("mknod {file} c 1 3", "character special file"),
    ],
)
def test_what_is_no_file_in_the_lineage_is_named_and_left_alone_and_holds_up_no_host(
    node: Node, fault: str, what: str
) -> None:
    primary, orders = node.fleet.hosts[0], node.orders()
    node.renew()
    renewed = node.orders()
    file = primary.run(f"readlink -f {LIVE}/cert.pem").stdout.strip()
    before = node.one()
    primary.run(f"mv {file} /root/was.pem; {fault.format(file=file)}")
    found = primary.run(f"stat -c '%F %i' {file}").stdout
    try:
        ended = node.apply(4)
        assert f"{file} is no file but a {what}; certbot can neither renew nor order" in ended.out
        assert primary.run(f"stat -c '%F %i' {file}").stdout == found
    finally:
        primary.run(f"rm -rf {file}; mv /root/was.pem {file}")
    assert len(renewed) > len(orders)
    node.apply(0)
    assert (node.one() != before, node.orders()) == (True, renewed)


# -- the order ---------------------------------------------------------------------------------


def ordering(node: Node, code: int = 4) -> tuple[str, list[str]]:
    """An apply that orders another certificate and fails: why, and what the ledger has more."""
    before, orders = node.one(), node.orders()
    ended = node.apply(code, "--replace", "certificate")
    why = reason(ended, HOSTS[0], "certificate")
    assert node.one() == before
    return why, node.orders()[len(orders) :]


@pytest.mark.gate
def test_programs_that_only_fail_prove_nothing_and_no_key_and_no_package_is_replaced(node: Node) -> None:
    replica = node.fleet.hosts[1]
    programs = [f"/usr/local/sbin/{each}" for each in ("openssl", "ssh-keygen", "dpkg-query", "getfacl")]
    try:
        for program in programs:
            replica.write(program, "#!/bin/sh\nexit 1\n", 0o755)
        planned = node.run(3, "plan", "--json")
    finally:
        replica.run(f"rm -f {' '.join(programs)}")
    assert json.loads(planned.out)["actions"] == []
    node.settled()


def test_a_peer_whose_name_leads_back_proves_nothing_and_is_named_with_its_line(node: Node) -> None:
    asks, *_, asked = node.fleet.hosts
    host, peer = asks.name, asked.name
    asks.run("cp -p /etc/hosts /root/hosts")
    try:
        line = asks.run(f"echo '127.0.0.1 {peer}' >>/etc/hosts; wc -l </etc/hosts").stdout.strip()
        planned = node.run(3, "plan")
    finally:
        asks.run("cat /root/hosts >/etc/hosts")
    why = f"{peer} leads to 127.0.0.1, an address of this host itself (/etc/hosts:{line})"
    assert f'works: "{why}" → yes' in planned.out
    assert "refused: correct where the name leads there" in planned.out
    assert f"? {host}: cannot see outside {peer}: apache on 443: {why}" in planned.out
    node.settled()


def test_a_name_that_resolves_to_a_stranger_costs_no_order(node: Node) -> None:
    stranger = node.fleet.hosts[0].address.rpartition(".")[0] + ".99"
    node.fleet.ca.set_name(HOSTS[1], node.fleet.hosts[1].address, stranger)
    try:
        why, more = ordering(node)
    finally:
        node.fleet.ca.set_name(HOSTS[1], node.fleet.hosts[1].address)
    assert f"{HOSTS[1]} through {stranger}" in why
    assert more == []


@pytest.mark.soak
def test_a_name_that_does_not_resolve_costs_no_order(node: Node) -> None:
    node.fleet.ca.set_name(HOSTS[2])
    try:
        why, more = ordering(node)
    finally:
        node.fleet.ca.set_name(HOSTS[2], node.fleet.hosts[2].address)
    assert f"{HOSTS[2]}: the DNS has no address for it" in why
    assert more == []


def test_a_caa_set_that_forbids_costs_no_order_and_fails_verify(node: Node) -> None:
    before, orders, ca = node.one(), node.orders(), node.fleet.ca
    ca.set_caa("test.dataone.org", ";")
    try:
        planned = node.run(0, "plan", "--replace", "certificate").out
        assert "the CA would refuse by the CAA records of the DNS [caa-forbids]" in planned
        why = node.apply(4, "--replace", "certificate").out
        by_cron = node.fleet.hosts[0].run(f"{SCRIPT} order", check=False)
        names = node.document(2, "verify")["names"]
    finally:
        ca.set_caa("test.dataone.org")
    assert f"{', '.join(NAMES)}: the CAA set of test.dataone.org allows no CA" in why
    assert (by_cron.returncode, "so nothing was ordered [caa-forbids]:" in by_cron.stderr) == (1, True)
    assert {each["name"]: each["verdict"] for each in names} == dict.fromkeys(NAMES, "wrong")
    assert (node.one(), node.orders()) == (before, orders)


@pytest.mark.soak
def test_the_records_that_verify_prints_bind_the_account_and_let_it_renew(node: Node) -> None:
    orders, ca, primary = node.orders(), node.fleet.ca, node.fleet.hosts[0]
    bare = node.document(0, "verify")["names"]
    assert {each["name"]: each["verdict"] for each in bare} == dict.fromkeys(NAMES, "open")
    # Pebble does not say by which name it is meant.
    values = {
        each["name"]: "pebble.example.org;" + each["record"].split('"')[1].partition(";")[2] for each in bare
    }
    try:
        for name, value in values.items():
            ca.set_caa(name, value)
        names = node.document(0, "verify")["names"]
        assert {each["name"]: (each["verdict"], each["record"]) for each in names} == dict.fromkeys(
            NAMES, ("ok", None)
        )
        node.renew()
        ca.set_caa(ROUTER, values[ROUTER].replace("validationmethods", "9; validationmethods"))
        ca.set_caa(HOSTS[1], values[HOSTS[1]].replace("/my-account/", "/my-account/0"))
        refused = primary.run(f"{SCRIPT} order", check=False).stderr
    finally:
        for name in NAMES:
            ca.set_caa(name)
    assert f"{ROUTER}: the CAA set of {ROUTER} allows only what this order is not" in refused
    assert (
        f"{HOSTS[1]}: the CAA set of {HOSTS[1]} allows only what this order is not: another account"
        in refused
    )
    assert f"{HOSTS[2]}:" not in refused
    assert node.orders() == [*orders, "begun", "issued"]
    node.apply(0)


@pytest.mark.soak
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


@pytest.mark.soak
def test_a_challenge_directory_that_lost_its_acl_gets_it_back_before_the_order(node: Node) -> None:
    before = node.one()
    node.fleet.hosts[1].run(
        "setfacl -b -k /var/www/.well-known/acme-challenge; chmod 0755 /var/www/.well-known/acme-challenge"
    )
    ended = node.apply(0, "--replace", "certificate")
    assert "change cn-lab-2 acl /var/www/.well-known/acme-challenge" in begun_actions(ended)
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


@pytest.mark.soak
def test_a_ca_at_its_limit_is_told_and_counted(node: Node) -> None:
    node.fleet.refuse(True)
    try:
        why, more = ordering(node)
    finally:
        node.fleet.refuse(False)
    assert "rateLimited" in why
    assert more == ["begun", "failed"]


@pytest.mark.soak
def test_another_certbot_at_work_is_waited_for_and_is_no_failure(node: Node) -> None:
    primary, before, orders = node.fleet.hosts[0], node.one(), node.orders()
    hold = "import fcntl, time; f = open('/etc/letsencrypt/.certbot.lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); open('/run/held', 'w'); time.sleep(14)"
    primary.write("/root/hold.py", hold)
    primary.run("rm -f /run/held; setsid -f timeout 60 python3 /root/hold.py </dev/null >/dev/null 2>&1")
    until(lambda: primary.run("test -e /run/held", check=False).returncode == 0, "certbot's lock is held")
    primary.run(f"sed s/^patience=300/patience=3/ {SCRIPT.split()[1]} >/root/impatient.sh")
    told = primary.run("sh /root/impatient.sh order", check=False)
    assert (told.returncode, node.orders()) == (75, orders)
    assert "another certbot has been at work for more than 3 s: nothing is ordered beside it" in told.stderr
    node.apply(0, "--replace", "certificate")
    assert node.one() != before
    assert node.orders() == [*orders, "begun", "issued"]


def test_cron_and_apply_at_one_moment_give_one_order_and_no_failure(node: Node) -> None:
    primary, conf = node.fleet.hosts[0], f"/etc/letsencrypt/renewal/{ROUTER}.conf"
    release, lines = node.one(), len(node.ledger())
    identity = "sed -n '/^-----B/,/^-----E/{/^-----/d;p}' " + f"{LIVE}/fullchain.pem | base64 -d | sha256sum"
    assert primary.run(identity).stdout[:32] == release
    primary.run(f"sed -i '1i renew_before_expiry = 3650 days' {conf}")
    for first, second, delay in (("renew", "order", 0), ("renew", "order", 1.5), ("order", "renew", 1.5)):
        seen = primary.run(identity).stdout[:32]
        commands = {"renew": f"{SCRIPT} renew", "order": f"{SCRIPT} order {seen}"}
        primary.run(f"{commands[first]} & sleep {delay}; {commands[second]} || exit 1; wait $! || exit 2")
        begun, issued = (line.split() for line in node.ledger()[lines:])
        assert (begun[1], issued[1], begun[2]) == ("begun", "issued", issued[2])
        serial = primary.run(f"openssl x509 -noout -serial -in {LIVE}/cert.pem").stdout
        assert serial == f"serial={issued[3]}\n"
        lines += 2
    primary.run(f"sed -i '/renew_before_expiry/d' {conf}")
    node.apply(0)
    assert node.one() != release


def test_an_order_whose_script_is_killed_is_waited_for_and_noted_as_its_own(node: Node) -> None:
    primary, release, lines = node.fleet.hosts[0], node.one(), len(node.ledger())
    primary.run(f"setsid -f {SCRIPT} order </dev/null >/dev/null 2>&1")
    until(lambda: len(node.ledger()) > lines, "an order has begun")
    run = node.ledger()[lines].split()[2]
    primary.run(f"kill -9 {run.rpartition('-')[2]}")
    node.apply(0, "--replace", "certificate")
    assert node.one() != release
    assert [line.split()[1:3] for line in node.ledger()[lines:]] == [["begun", run], ["issued", run]]


@pytest.mark.gate
def test_a_power_cut_that_loses_what_was_not_synced_is_survived(node: Node) -> None:
    primary, release, lines = node.fleet.hosts[0], node.one(), len(node.ledger())
    primary.make_losing()
    try:
        # In the middle of an order: the CA may have issued, so the ledger has to know that it was asked.
        running = node.starts(f"certificate {ROUTER}", "--replace", "certificate")
        until(lambda: len(node.ledger()) > lines, "an order has begun")
        primary.cut()
        assert running.end().code != 0
        primary.boot()
        assert [line.split()[1] for line in node.ledger()[lines:]] == ["begun"]
        assert primary.run(EMPTY).stdout == ""
        # In the middle of a rollout: a link that leads to the new release, and not to all of it, is the worst.
        running = node.starts(f"release {ROUTER}: change", "--replace", "certificate")
        primary.cut()
        running.end()
        primary.boot()
        assert [line.split()[1] for line in node.ledger()[lines:]] == ["begun", "begun", "issued"]
        assert primary.run(EMPTY).stdout == ""
        assert primary.run(f"openssl x509 -noout -serial -in {LIVE}/cert.pem").stdout == (
            f"serial={node.ledger()[-1].split()[3]}\n"
        )
        node.apply(0)
        assert node.one() != release
        node.settled()
    finally:
        primary.make_keeping()


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


@pytest.mark.soak
def test_a_rehearsal_that_fails_costs_no_order_and_one_that_succeeds_comes_first(node: Node) -> None:
    before, orders = node.one(), node.orders()
    node.declare(swap=("  resolver:", "  rehearsal: https://acme:14999/dir\n  resolver:"))
    ended = node.apply(4, "--replace", "certificate")
    assert "the rehearsal at https://acme:14999/dir failed, so nothing was ordered" in ended.out
    assert (node.one(), node.orders()) == (before, orders)
    node.declare(swap=("  resolver:", "  rehearsal: https://acme:14000/dir\n  resolver:"))
    node.apply(0, "--replace", "certificate")
    assert node.one() != before
    assert node.orders() == [*orders, "begun", "issued"]
