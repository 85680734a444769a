"""What the sync account's keys open on three real hosts: each host's its own, and nothing else."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import Fleet, LabHost
from tests.support.faults import until
from tests.support.running import AdminMachine, changed_since

pytestmark = pytest.mark.fleet

SYNC = "/home/rsync_user"
KEYS = "/etc/ssh/reconciler"
KEY = f"{KEYS}/id_ed25519"
DROP_IN = "/etc/ssh/sshd_config.d/10-reconciler.conf"
HOOK = "/etc/letsencrypt/renewal/manual"
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
    pinned = f"-o UserKnownHostsFile='{KEYS}/known_hosts {SYNC}/.ssh/known_hosts'"
    options = f"-F none -T -o BatchMode=yes -o IdentitiesOnly=yes {pinned} -i {key}"
    done = source.run(
        f"runuser -u rsync_user -- ssh {options} rsync_user@{target.name} {shlex.quote(request)}",
        check=False,
        stdin="x",
    )
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
            f"runuser -u rsync_user -- rsync -tc --timeout=60 -e 'ssh -F none -o UserKnownHostsFile={KEYS}/known_hosts -i {KEY}' /etc/hostname"
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
    ours = second.run(f"cat {KEYS}/authorized_keys").stdout
    second.run(f"cat >{KEYS}/authorized_keys", stdin=mine + theirs + ours)  # sshd takes the first
    assert over(primary, second, "id -un") == (0, "rsync_user")
    assert f"change cn-lab-2 authorized_keys {KEYS}/authorized_keys" in admin.pending(2)
    admin.settle()
    assert over(primary, second, "id -un")[0] == 64
    left = second.run(f"cat {KEYS}/authorized_keys").stdout
    assert theirs in left
    assert "by hand" not in left
    assert "renamed" not in left
    second.run(f"sed -i '/^#/d; /^ssh/d' {KEYS}/authorized_keys")
    assert admin.pending(0) == []


def test_the_accounts_own_configuration_of_ssh_decides_nothing(admin: AdminMachine) -> None:
    primary, second, _ = admin.fleet.hosts
    mine = "Host *\n  ProxyCommand false\n"
    primary.run(f"runuser -u rsync_user -- mkdir -m 0700 {SYNC}/.ssh")
    primary.run(f"runuser -u rsync_user -- tee {SYNC}/.ssh/config", stdin=mine)
    try:
        assert admin.pending(0) == []
        for name in ("auth", "cleanup"):
            primary.run(f"CERTBOT_TOKEN=tok CERTBOT_VALIDATION=x {HOOK}-{name}-hook.sh")
        assert "tok" not in second.run(f"ls -A {CHALLENGE}").stdout.split()
    finally:
        primary.run(f"rm -r {SYNC}/.ssh")


# -- from what earlier versions kept below the account's home ------------------------------------

OLD_WRAPPER = f"""#!/bin/sh
# Written by reconcile from the environment lab; changes here are undone.
case ${{SSH_ORIGINAL_COMMAND:-}} in
ping) echo pong ;;
'challenge put '*) cat >"{CHALLENGE}/${{SSH_ORIGINAL_COMMAND#challenge put }}" ;;
'challenge remove '*) rm -f "{CHALLENGE}/${{SSH_ORIGINAL_COMMAND#challenge remove }}" ;;
esac
"""

AS_BEFORE = f"""set -eu
cd {SYNC}
install -d -m 0700 -o rsync_user -g rsync_user .ssh
install -d -m 0755 bin
cat >bin/rsync-wrapper.sh
chmod 0755 bin/rsync-wrapper.sh
for name in id_ed25519 id_ed25519.pub known_hosts; do install -m 0600 -o rsync_user -g rsync_user {KEYS}/$name .ssh; done
sed 's,^.*command="[^"]*",restrict\\,command="{SYNC}/bin/rsync-wrapper.sh",' {KEYS}/authorized_keys |
  install -m 0600 -o rsync_user -g rsync_user /dev/stdin .ssh/authorized_keys
echo 'ssh-ed25519 AAAA somebody' >>.ssh/authorized_keys
sed -i 's,{KEYS}/,{SYNC}/.ssh/,' /etc/letsencrypt/renewal/manual-*-hook.sh 2>/dev/null || :
rm -r {KEYS} /usr/local/lib/reconciler {DROP_IN} /var/lib/reconciler/loaded/ssh
systemctl reload ssh
"""

AGAIN_AND_AGAIN = f"""while [ ! -e /srv/enough ]; do
  for name in auth cleanup; do
    CERTBOT_TOKEN=tok CERTBOT_VALIDATION=x timeout 30 {HOOK}-$name-hook.sh >/srv/said 2>&1 ||
      echo "$name: $(cat /srv/said)"
  done
  echo done
done >/srv/rounds
"""


def test_a_fleet_of_an_earlier_version_moves_in_one_apply_and_its_mesh_never_stops(
    admin: AdminMachine,
) -> None:
    primary, second, _ = admin.fleet.hosts
    public = second.run(f"ssh-keygen -y -f {KEY}").stdout
    for host in admin.fleet.hosts:
        host.run(AS_BEFORE, stdin=OLD_WRAPPER)
    renamed = f"sed -i 's/ reconciler [^ ]* / reconciler renamed /' {SYNC}/.ssh/id_ed25519.pub {SYNC}/.ssh/known_hosts"
    second.run(renamed)  # the environment had another name
    not_ours = f"cat {SYNC}/.ssh/authorized_keys {SYNC}/.ssh/known_hosts | grep -v ' reconciler [^ ]* [^ ]*$'"
    theirs = [host.run(not_ours).stdout for host in admin.fleet.hosts]
    assert over(primary, second, "ping", f"{SYNC}/.ssh/id_ed25519") == (0, "pong")
    planned = admin.pending(2)
    assert {f"remove cn-lab-{n} former {SYNC}" for n in (1, 2, 3)} <= set(planned)
    with ThreadPoolExecutor() as pool:
        rounds = pool.submit(primary.run, AGAIN_AND_AGAIN)
        try:
            until(
                lambda: "done" in primary.run("cat /srv/rounds", check=False).stdout,
                "the first challenge went round",
            )
            admin.apply(0)
        finally:
            primary.run("touch /srv/enough")
        rounds.result()
    said = primary.run("cat /srv/rounds; rm /srv/*").stdout.splitlines()
    assert set(said) == {"done"}, "every challenge reached every host, before, meanwhile and afterwards"
    assert len(said) > 5
    admin.settled()
    assert second.run(f"ssh-keygen -y -f {KEY}").stdout == public, "the pair was taken over"
    for host, lines in zip(admin.fleet.hosts, theirs, strict=True):
        assert "ssh-ed25519 AAAA somebody\n" in lines
        assert host.run(f"cat {SYNC}/.ssh/*").stdout == lines, "theirs stays, and no key is left"
        assert "tok" not in host.run(f"ls -A {CHALLENGE}").stdout.split()
        host.run(f"test ! -e {SYNC}/bin; rm -r {SYNC}/.ssh")


def test_a_key_in_the_accounts_own_file_opens_nothing(admin: AdminMachine) -> None:
    primary, second, _ = admin.fleet.hosts
    primary.run("ssh-keygen -q -t ed25519 -N '' -f /srv/own; chown rsync_user /srv/own")
    own = primary.run("cat /srv/own.pub").stdout
    second.run(
        f"runuser -u rsync_user -- mkdir -m 0700 {SYNC}/.ssh;"
        f" runuser -u rsync_user -- tee {SYNC}/.ssh/authorized_keys {SYNC}/.ssh/authorized_keys2",
        stdin=own,
    )
    try:
        code, said = over(primary, second, "id", "/srv/own")
        assert (code, "Permission denied (publickey)" in said) == (255, True)
    finally:
        primary.run("rm /srv/own*")
        second.run(f"rm -r {SYNC}/.ssh")


def test_without_the_include_nothing_old_is_given_up(admin: AdminMachine) -> None:
    second = admin.fleet.hosts[1]
    for host in admin.fleet.hosts:
        host.run(AS_BEFORE, stdin=OLD_WRAPPER)
    second.run("cp -a /etc/ssh/sshd_config /srv/kept; sed -i '/^Include/d' /etc/ssh/sshd_config")
    try:
        ended = admin.apply(4)
        said = ended.out + ended.err
        assert "put `Include /etc/ssh/sshd_config.d/*.conf` before everything else" in said
        assert over(admin.fleet.hosts[0], second, "ping") == (0, "pong"), "by the file of before"
        second.run(f"test -e {SYNC}/bin/rsync-wrapper.sh")
    finally:
        second.run("cp -a /srv/kept /etc/ssh/sshd_config; systemctl reload ssh; rm /srv/kept")
    admin.settle()
    for host in admin.fleet.hosts:
        host.run(f"rm -rf {SYNC}/.ssh")
