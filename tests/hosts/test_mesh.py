"""What the sync account's keys open on three real hosts: each host's its own, and nothing else."""

from __future__ import annotations

import shlex

import pytest

from lab import Fleet, LabHost
from tests.support.running import AdminMachine, changed_since

pytestmark = pytest.mark.fleet

SYNC = "/home/rsync_user"
KEY = f"{SYNC}/.ssh/id_ed25519"
CHALLENGE = "/var/www/.well-known/acme-challenge"
ONLY_PING = "refused: this key may only ping"


@pytest.fixture(scope="module")
def admin(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> AdminMachine:
    """An administrator's machine, and hosts that are as declared."""
    made = AdminMachine(fleet, tmp_path_factory.mktemp("mesh"))
    made.declare()
    made.settle()
    return made


def over(source: LabHost, target: LabHost, request: str, key: str = KEY) -> tuple[int, str]:
    """What a key gets for a request on another host: its status, and all that is said."""
    command = f"runuser -u rsync_user -- ssh -F none -T -o BatchMode=yes -o IdentitiesOnly=yes -i {key}"
    done = source.run(f"{command} rsync_user@{target.name} {shlex.quote(request)}", check=False, stdin="x")
    return done.returncode, (done.stdout + done.stderr).strip()


def test_a_replicas_key_proves_that_it_gets_in_and_does_nothing_else(admin: AdminMachine) -> None:
    primary, second, third = admin.fleet.hosts
    for target in (primary, third):
        assert over(second, target, "ping") == (0, "pong")
        target.run(f"rm -f {SYNC}/actions.log; sleep 0.01; touch /root/mark")
        for request in (
            "challenge put planted",
            "challenge remove planted",
            "rsync --server -tce.LsfxCIvu --timeout=60 . incoming/",
            "deliver challenge put planted",
            "sh",
            "",
        ):
            assert over(second, target, request) == (64, ONLY_PING), request
        assert changed_since(target, "/root/mark") == [SYNC, f"{SYNC}/actions.log"]
    for source, target in ((second, primary), (third, second)):
        sent = source.run(
            f"runuser -u rsync_user -- rsync -tc --timeout=60 -e 'ssh -F none -i {KEY}' /etc/hostname"
            f" rsync_user@{target.name}:incoming/",
            check=False,
        )
        assert ONLY_PING in sent.stderr
    assert over(primary, second, "challenge put mine") == (0, "")
    assert over(primary, second, "challenge remove mine") == (0, "")


def test_a_key_that_was_carried_away_opens_nothing_from_another_address(admin: AdminMachine) -> None:
    primary, second, third = admin.fleet.hosts
    stolen = primary.run(f"cat {KEY}").stdout
    third.run("install -m 0600 -o rsync_user /dev/stdin /srv/stolen", stdin=stolen)
    try:
        code, said = over(third, second, "ping", "/srv/stolen")
        assert (code, "Permission denied (publickey)" in said) == (255, True)
    finally:
        third.run("rm /srv/stolen")


def test_another_line_does_not_let_a_key_of_ours_in_past_its_options(admin: AdminMachine) -> None:
    primary, second, _ = admin.fleet.hosts
    public, other = (host.run(f"cat {KEY}.pub").stdout.strip() for host in (primary, second))
    theirs = f"# {public} too\n{other} too\n"  # not let in by us on its own host, so not ours to limit there
    mine = f"{public}\n{public} by hand\nno-pty {public} reconciler renamed {primary.name}\n"
    ours = second.run(f"cat {SYNC}/.ssh/authorized_keys").stdout
    second.run(f"cat >{SYNC}/.ssh/authorized_keys", stdin=mine + theirs + ours)  # sshd takes the first
    assert over(primary, second, "id -un") == (0, "rsync_user")
    assert "change cn-lab-2 authorized_keys /home/rsync_user/.ssh/authorized_keys" in admin.pending(2)
    admin.settle()
    assert over(primary, second, "id -un")[0] == 64
    left = second.run(f"cat {SYNC}/.ssh/authorized_keys").stdout
    assert theirs in left
    assert "by hand" not in left
    assert "renamed" not in left
    second.run(f"sed -i '/^#/d; /^ssh/d' {SYNC}/.ssh/authorized_keys")
    assert admin.pending(0) == []


def test_the_accounts_own_configuration_of_ssh_decides_nothing(admin: AdminMachine) -> None:
    primary, second, _ = admin.fleet.hosts
    mine = "Host *\n  ProxyCommand false\n"
    primary.run(f"runuser -u rsync_user -- tee {SYNC}/.ssh/config", stdin=mine)
    try:
        assert admin.pending(0) == []
        hook = "/etc/letsencrypt/renewal/manual"
        for name in ("auth", "cleanup"):
            primary.run(f"CERTBOT_TOKEN=tok CERTBOT_VALIDATION=x {hook}-{name}-hook.sh")
        assert "tok" not in second.run(f"ls -A {CHALLENGE}").stdout.split()
    finally:
        primary.run(f"rm {SYNC}/.ssh/config")
