"""What goes wrong while a certificate is brought to the hosts and switched, one fault a test.

In each: no host ever serves a pair that a client would not take, the message is clear, and
the next run finishes the job once the cause is gone.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from lab import LabHost
from tests.support.faults import until
from tests.support.forged import key_pem, rsa_key
from tests.support.running import begun_actions, free
from tests.support.serving import ROUTER, STORE, Node, reason

pytestmark = pytest.mark.fleet
CERTIFICATE = f"change cn-lab-1 certificate {ROUTER}"
HOSTS = [f"cn-lab-{number}.test.dataone.org" for number in (1, 2, 3)]
NAMES = (ROUTER, *HOSTS)


@pytest.fixture
def node(watched: Node) -> Iterator[Node]:
    """Hosts that serve the certificate, and clients that look on. Whatever befell a run, it went by the rules
    of a rollout."""
    yield watched
    told = watched.run_words(0, "history", "--verify").out
    all_runs = re.search(r"^(\d+) runs? of (\d+) went by the rules of a rollout", told, re.MULTILINE)
    assert all_runs, told
    assert all_runs[1] == all_runs[2], told


def has_switched(node: Node, before: str, *, but: int) -> None:
    """Everything serves another release than before, but one host, which serves that one."""
    served = node.served()
    left = {where for where, releases in served.items() if before in releases}
    assert left == {where for where in served if where.startswith(f"cn-lab-{but} ")}, served
    assert len(set().union(*served.values()) - {before}) == 1, served


# -- delivery and staging ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("chmod 0644", "root:ssl-cert 0644"),
        pytest.param("setfacl -m m::---", "root:ssl-cert 0600", marks=pytest.mark.soak),
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
    assert f"change cn-lab-2 current {STORE}/current" in begun_actions(ended)
    assert host.run(f"stat -c '%U:%G %a' {STORE}/current/privkey.pem").stdout == "root:ssl-cert 640\n"
    assert host.run(f"getfacl -cpE {STORE}/current/privkey.pem | grep -c daemon", check=False).stdout == "0\n"
    assert node.one() == before


@pytest.mark.gate
@pytest.mark.parametrize("fault", ["another key", pytest.param("a truncated chain", marks=pytest.mark.soak)])
def test_a_release_that_is_damaged_is_brought_anew_before_a_service_can_load_it(
    node: Node, fault: str
) -> None:
    before, host = node.one(), node.fleet.hosts[2]
    folder = f"{STORE}/current"
    if fault == "another key":
        host.write(f"{folder}/privkey.pem", key_pem(rsa_key()), 0o640)
    else:
        host.run(f"head -c 600 {folder}/fullchain.pem >/root/x; cat /root/x >{folder}/fullchain.pem")
    ended = node.apply(0)
    assert f"change cn-lab-3 release {ROUTER}" in begun_actions(ended)
    assert f"change cn-lab-1 delivery {host.name}" in begun_actions(ended)
    host.run("systemctl restart apache2 postgresql@15-main tomcat10")
    until(lambda: set().union(*node.served().values()) == {before}, "all services are back", 60)


@pytest.mark.soak
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


@pytest.mark.gate
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


@pytest.mark.gate
def test_a_full_disk_while_staging_means_that_this_host_does_not_switch(node: Node) -> None:
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
        has_switched(node, before, but=2)
    finally:
        host.run(f"umount {STORE}; rm -rf /root/kept")
    node.apply(0)
    assert node.one() != before


@pytest.mark.soak
def test_a_sync_key_that_was_taken_out_is_authorised_again_and_the_rollout_goes_on(node: Node) -> None:
    before = node.one()
    node.renew()
    node.fleet.hosts[1].run("sed -i /cn-lab-1/d /etc/ssh/reconciler/authorized_keys")
    ended = node.apply(0)
    assert "change cn-lab-2 authorized_keys /etc/ssh/reconciler/authorized_keys" in begun_actions(ended)
    assert node.one() != before


@pytest.mark.soak
def test_a_peer_that_lets_the_sync_account_in_no_more_is_left_behind(node: Node) -> None:
    host = node.fleet.hosts[2]
    before = node.one()
    node.renew()
    host.write("/etc/ssh/sshd_config.d/deny.conf", "DenyUsers rsync_user\n")
    host.run("systemctl reset-failed ssh; systemctl restart ssh")
    try:
        ended = node.apply(4)
        assert "/etc/ssh/sshd_config.d/deny.conf:1" in ended.out
        has_switched(node, before, but=3)
    finally:
        host.run("rm /etc/ssh/sshd_config.d/deny.conf; systemctl reset-failed ssh; systemctl restart ssh")
    node.apply(0)
    assert node.one() != before


@pytest.mark.gate
def test_a_host_without_sudo_is_left_behind_and_caught_up_when_it_has_it_again(node: Node) -> None:
    host = node.fleet.hosts[2]
    before = node.one()
    node.renew()
    host.run("mv /etc/sudoers.d/ops /root/ops")
    try:
        ended = node.apply(4)
        assert [line for line in ended.lines("skipped: ") if "ops may not become root" in line]
        assert ended.lines("failed: ") == []
        has_switched(node, before, but=3)
    finally:
        host.run("mv /root/ops /etc/sudoers.d/ops")
    node.apply(0)
    assert node.one() != before


# -- switching ---------------------------------------------------------------------------------


def rolled_back(node: Node, host: LabHost, before: str) -> str:
    """A rollout that fails on this host, the first: why. It serves what it did before, and the others
    the new one."""
    node.renew()
    ended = node.apply(4)
    why = reason(ended, host.name, "serving")
    assert "it was put back (notAfter=" in why
    has_switched(node, before, but=2)
    return why


def test_a_service_that_ignores_the_reload_is_rolled_back_and_the_others_switch(node: Node) -> None:
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
    assert "it still serves another certificate: subject=" in why
    assert "after 5 s [not-served]" in why
    node.apply(0)
    assert node.one() != before


@pytest.mark.gate
def test_a_canary_that_fails_stops_all_others_and_the_next_run_goes_on_once_it_is_mended(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    node.declare(more_certificate="  canary: 1\n  max_unavailable: 70%\n")
    deaf = "/etc/systemd/system/apache2.service.d/deaf.conf"
    host.write(deaf, "[Service]\nExecReload=\nExecReload=/bin/true\n")
    host.run("systemctl daemon-reload")
    node.renew()
    try:
        told = "note: the rollout goes in 3 waves: cn-lab-2 as the canary; cn-lab-3; cn-lab-1\n"
        assert told in node.run(0, "plan").out
        ended = node.apply(4)
        assert "it was put back (notAfter=" in reason(ended, host.name, "serving")
        stopped = f"the rollout has stopped at its canary, {host.name} serving {ROUTER}, which is failed"
        for other in (HOSTS[0], HOSTS[2]):
            assert f"skipped: {other} serving {ROUTER}: {stopped}" in ended.out
        assert node.one() == before
    finally:
        host.run(f"rm {deaf}; systemctl daemon-reload")
    node.apply(0)
    assert node.one() != before


@pytest.mark.soak
def test_postgresql_with_a_key_of_its_own_is_named_and_the_others_switch(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    host.run(
        "cp -aL /var/lib/reconciler/certificate/current/privkey.pem /var/lib/postgresql/k.pem; chown postgres /var/lib/postgresql/k.pem; chmod 0644 /var/lib/postgresql/k.pem"
    )
    host.run("runuser -u postgres -- psql -c \"alter system set ssl_key_file = '/var/lib/postgresql/k.pem'\"")
    node.renew()
    try:
        ended = node.apply(4)
        assert "`ALTER SYSTEM RESET ssl_key_file;`" in ended.out
        has_switched(node, before, but=2)
    finally:
        host.run(
            "runuser -u postgres -- psql -c 'alter system reset ssl_key_file'; rm /var/lib/postgresql/k.pem; systemctl reload postgresql@15-main"
        )
    node.apply(0)
    assert node.one() != before


@pytest.mark.soak
def test_tomcat_with_a_key_of_its_own_is_named_and_the_others_switch(node: Node) -> None:
    host = node.fleet.hosts[1]
    before, node.excused = node.one(), "cn-lab-2 8443"
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
        ended = node.apply(4)
        assert "no: /etc/tomcat10/server.xml:161 names /etc/tomcat10/other.pem" in ended.out
        served = node.served()
        assert served["cn-lab-2 443"] == {before} != served["cn-lab-3 443"] == served["cn-lab-1 443"]
    finally:
        host.run("cp -p /root/server.xml /etc/tomcat10/server.xml; systemctl restart tomcat10")
        until(lambda: host.run("ss -Hltn sport = :8443 | grep -q .", check=False).returncode == 0, "up", 60)
    node.apply(0)
    assert node.one() != before


@pytest.mark.soak
def test_apache_with_a_broken_configuration_is_not_touched_and_the_others_switch(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    host.write("/etc/apache2/conf-enabled/zz.conf", "NoSuchDirective on\n")
    node.renew()
    try:
        ended = node.apply(4)
        assert "Invalid command 'NoSuchDirective'" in reason(ended, host.name, "service")
        assert f"reload cn-lab-2 serving {ROUTER}" not in begun_actions(ended)
        has_switched(node, before, but=2)
    finally:
        host.run("rm /etc/apache2/conf-enabled/zz.conf")
    node.apply(0)
    assert node.one() != before


@pytest.mark.soak
def test_a_service_that_is_stopped_is_started_and_then_switched(node: Node) -> None:
    before = node.one()
    node.fleet.hosts[1].run("systemctl stop postgresql@15-main")
    node.renew()
    node.apply(0)
    until(lambda: before not in set().union(*node.served().values()), "all serve the new one", 60)


@pytest.mark.soak
def test_a_dangling_link_leads_to_the_proven_release_again(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[2]
    host.run(f"ln -sfn releases/nowhere {STORE}/current")
    ended = node.apply(0)
    assert f"change cn-lab-3 current {STORE}/current" in begun_actions(ended)
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


@pytest.mark.soak
def test_a_peer_lost_before_the_switch_is_named_and_the_others_switch(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[2]
    node.renew()
    run = node.starts(f"{host.name} release {ROUTER}: change")
    host.kill()
    ended = run.end()
    assert ended.code in (4, 5), ended.out[-2000:]
    assert any(f"{word}: {host.name} release {ROUTER}" in ended.out for word in ("lost", "unsettled"))
    host.boot()
    until(lambda: len(node.served()["cn-lab-3 8443"] - {"connection refused"}) == 1, "it is back", 60)
    has_switched(node, before, but=3)
    node.apply(0)
    assert node.one() != before


@pytest.mark.gate
def test_a_peer_lost_while_it_switches_is_named_and_the_rollout_stops(node: Node) -> None:
    before, host = node.one(), node.fleet.hosts[1]
    node.renew()
    run = node.starts(f"{host.name} serving {ROUTER}: reload")
    host.kill()
    ended = run.end()
    assert ended.code == 5
    assert f"state unknown: {host.name} serving {ROUTER}" in ended.out
    assert not any("cn-lab-3 serving" in line or "cn-lab-1 serving" in line for line in begun_actions(ended))
    host.boot()
    node.apply(0)
    assert node.one() != before


@pytest.mark.soak
def test_a_host_that_was_left_half_way_and_cannot_be_mended_is_passed_over(node: Node) -> None:
    """What is in use was proven by nobody, and its service loads nothing any more: it can neither be switched
    nor put back."""
    host = node.fleet.hosts[1]
    older = host.run(f"readlink {STORE}/proven").stdout.strip()
    node.renew()
    node.apply(0)
    before = node.one()
    host.run(f"ln -sfn {older} {STORE}/proven")
    host.write(
        "/etc/systemd/system/apache2.service.d/deaf.conf", "[Service]\nExecReload=\nExecReload=/bin/true\n"
    )
    host.run("systemctl daemon-reload")
    node.renew()
    try:
        for _ in range(2):  # the next run finds it in another state, and no better
            ended = node.wait(node.start("apply", "--yes"))
            assert ended.code in (4, 5), ended.out[-2000:]
            assert f"failed: {host.name} serving {ROUTER}" in ended.out
            assert "then putting it back failed" in ended.out
            served = node.served()
            assert served["cn-lab-2 443"] == {before} != served["cn-lab-3 443"] == served["cn-lab-1 443"]
    finally:
        host.run("rm /etc/systemd/system/apache2.service.d/deaf.conf; systemctl daemon-reload")
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


@pytest.mark.gate
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
    assert ended.code == 3, ended.out[-2000:]
    assert "would be set now); make a new plan" in ended.out
    node.apply(0)
    assert node.one() != before
