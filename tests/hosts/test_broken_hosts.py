"""Hosts that let us in, and then misbehave: logins, sudo, commands, disks, hanging, cut lines."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.environment.load import load
from reconciler.fleet import apply
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.host import RemoteHost
from reconciler.fleet.ssh import ConnectionFactory
from tests.support.faults import BARE, SICK, WELL, Bed, FaultyHost, authorise, until

pytestmark = pytest.mark.fleet

ACL = '  - acl: /srv/ward\n    entries: ["group:www-data:r-x"]\n'
LISTENS = "  - service: cron\n    ports: [22]\n"
NOISE = "head -c 100000 /dev/urandom; printf '\\033[2J\\000\\377'; head -c 100000 /dev/urandom >&2"
HOSTILE = (
    "export PATH=/nonexistent LC_ALL=de_DE.UTF-8 LANG=tlh IFS=x POSIXLY_CORRECT=1 TMPDIR=/none CDPATH=/etc"
    " ENV=/bin/false BASH_ENV=/bin/false GREP_OPTIONS=-v; umask 777"
)

# -- logins ----------------------------------------------------------------------------------

ODD = {
    "banner": Bed(sshd="Banner /etc/passwd"),
    "talks": Bed(bashrc="echo hello; echo there >&2"),
    "megabytes": Bed(bashrc="head -c 6000000 /dev/zero"),
    "megabytes-of-errors": Bed(bashrc="head -c 6000000 /dev/zero >&2"),
    "garbage": Bed(bashrc=NOISE),
    "other-settings": Bed(bashrc=HOSTILE),
    "strict": Bed(bashrc="set -e -u -o pipefail; trap 'echo bye' EXIT; alias sh=false"),
    "asks": Bed(bashrc="echo 'Your name?'; read name"),
    "forced-shell": Bed(sshd='ForceCommand sh -c "$SSH_ORIGINAL_COMMAND"'),
}


def test_a_login_that_is_only_odd_changes_nothing(ward: FaultyHost) -> None:
    ward.beds(ODD)
    assert ward.whole().err == ""
    ward.run("rm -f /run/reconciler.lock")
    ended = ward.apply(0, "--host", "other-settings.test.dataone.org")
    assert "Apply: 2 done." in ended.out
    made = ward.run("stat -c %a /srv/ward /srv/ward/note /run/reconciler.lock")
    assert made == "755\n644\n644\n", "its umask does not count either"


SHUT = {
    "leaves": (Bed(bashrc="exit 1"), "its login ended with status 1 before our command ran; look at"),
    "moved": (
        Bed(bashrc="echo moved >&2; exit 0"),
        "ended with status 0 before our command ran; it said: moved",
    ),
    "forced": (
        Bed(sshd="ForceCommand echo no shell here"),
        "it said: no shell here; check the account's shell",
    ),
    "sftp": (Bed(sshd="ForceCommand internal-sftp"), "before our command ran"),
    "no-sessions": (Bed(sshd="MaxSessions 0"), "it opened no session"),
    "yes": (Bed(sshd="ForceCommand yes"), "it answered more than 16 MB; check its login scripts"),
    "random": (Bed(sshd="ForceCommand head -c 50M /dev/urandom"), "it answered more than 16 MB"),
    "echoes": (Bed(sshd="ForceCommand cat"), "no answer within 12 s"),
    "sleeps": (Bed(bashrc="sleep 1001"), "no answer within 12 s; its login scripts hang"),
    "eats": (Bed(bashrc="cat >/dev/null"), "no answer within 12 s; its login scripts hang"),
}


def test_a_login_that_ends_in_no_shell_is_told_with_what_it_said(ward: FaultyHost) -> None:
    ward.beds({name: bed for name, (bed, _) in SHUT.items()})
    ward.ssh["timeout"] = 2
    ended = ward.reconcile("plan")
    assert (ended.code, ended.err) == (3, "")
    told = {name: ended.reason(f"{name}.test.dataone.org") for name in SHUT}
    assert [name for name, (_, words) in SHUT.items() if words not in told[name]] == [], told
    assert ended.lines(f"+ {WELL} file /srv/ward/note")
    assert ended.lines("Plan: ") == ["Plan: 2 to create, 0 to change, 0 to remove, 0 reloads on 1 host."]


FISH = """\
#!/usr/bin/perl
# As fish and csh: what is special to POSIX shells only is a mistake.
my ($option, $text) = @ARGV;
$option eq '-c' && $text !~ /^[^']*(\\w=|\\|\\||\\$\\(|2>)/ or die "unknown syntax: $text";
exec '/bin/bash', '-c', $text;
"""


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("/usr/sbin/nologin", "it said: This account is currently not available."),
        ("/bin/false", "its login ended with status 1 before our command ran"),
        ("/usr/local/bin/fish", None),
        ("/bin/sh", None),
    ],
)
def test_the_accounts_shell_need_not_be_posix_but_must_be_one(
    ward: FaultyHost, shell: str, words: str | None
) -> None:
    ward.replace("/usr/local/bin/fish", FISH)
    ward.run(f"usermod -s {shell} ops", "usermod -s /bin/bash ops")
    if words is None:
        ward.whole()
    else:
        ward.blind(words)


# -- sudo ------------------------------------------------------------------------------------


def wants_a_password(ward: FaultyHost) -> None:
    ward.replace("/etc/sudoers.d/ops", "ops ALL=(ALL:ALL) ALL\n", 0o440)


def wants_a_password_noisily(ward: FaultyHost) -> None:
    wants_a_password(ward)
    ward.bashrc(NOISE)
    ward.replace("/etc/sudoers.d/broken", "ops ALL=(((\n", 0o440)
    ward.run(
        "cp /etc/hosts /etc/hosts.kept; echo 127.0.0.1 localhost >/etc/hosts",
        "cat /etc/hosts.kept >/etc/hosts",
    )


def wants_a_terminal(ward: FaultyHost) -> None:
    ward.replace("/etc/sudoers.d/terminal", "Defaults requiretty\n", 0o440)


def is_not_there(ward: FaultyHost) -> None:
    ward.hide("/usr/bin/sudo")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (wants_a_password, "sudo: a password is required"),
        (wants_a_password_noisily, "sudo: a password is required"),
        (wants_a_terminal, "sudo: sorry, you must have a tty to run sudo"),
        (is_not_there, "sudo: not found"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_without_sudo_it_looks_as_far_as_it_can_and_does_nothing(
    ward: FaultyHost, fault: Callable[[FaultyHost], None], words: str
) -> None:
    fault(ward)
    ended = ward.whole()
    assert ended.err == f"{SICK}: looked without root ({words})\n"
    ward.resources += "  - file: /root/hidden\n    mode: '0600'\n"
    ended = ward.reconcile("drift")
    assert ended.code == 3
    assert ended.lines(f"? {SICK}: ") == [
        f"? {SICK}: cannot see file /root/hidden: the account may not look into the folder that holds it ({words})"
    ]
    ended = ward.apply(4)
    assert ended.err.splitlines()[-2:] == [
        f"{SICK}: ops may not become root ({words}); allow `ops ALL=(ALL) NOPASSWD: ALL` in sudoers [not-root]",
        "nothing was done",
    ]
    assert [host.run("ls /srv").stdout for host in (ward.sick, ward.well)] == ["", ""]


def test_a_broken_sudoers_drop_in_that_sudo_only_complains_of_is_no_fault(ward: FaultyHost) -> None:
    ward.replace("/etc/sudoers.d/broken", "ops ALL=(((\n", 0o440)
    assert ward.whole().err == ""
    ward.apply(0)
    ward.settled()


# -- what a host lacks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/usr/bin/getfacl", "cannot see acl /srv/ward: getfacl is not there: install the package acl"),
        ("/usr/bin/ss", "cannot see service cron: ss is not there: install the package iproute2"),
        ("/usr/bin/systemctl", "cannot see service cron: systemd does not answer on this host"),
    ],
)
def test_what_a_missing_command_would_show_cannot_be_seen(ward: FaultyHost, command: str, words: str) -> None:
    ward.resources += ACL + LISTENS
    ward.hide(command)
    for name in ("plan", "drift"):
        ended = ward.reconcile(name)
        assert (ended.code, ended.err) == (3, "")
        assert ended.lines("? ") == [f"? {SICK}: {words}"]
        for host in (WELL, SICK):
            assert ended.lines(f"+ {host} file /srv/ward/note")


@pytest.mark.parametrize("command", ["find", "sha256sum"])
def test_a_host_without_what_every_look_needs_is_named_with_the_command(
    ward: FaultyHost, command: str
) -> None:
    # Without find every file would look absent, and be planned.
    ward.hide(f"/usr/bin/{command}")
    ward.blind(f"it lacks the command {command} [command-missing]; install it there")


def test_openssl_and_acl_missing_is_a_plan_to_install_them(ward: FaultyHost) -> None:
    ward.after.callback(authorise, ward.sick, ward.identity)
    ward.after.callback(ward.sick.reset)
    ward.run("dpkg --force-depends --remove acl openssl >/dev/null 2>&1; rm -r /etc/apt/sources.list*")
    ward.resources += f"  - package: openssl\n  - package: acl\n{ACL}"
    ended = ward.reconcile("plan")
    assert ended.code == 3
    assert [ended.lines(f"+ {SICK} package {name}") != [] for name in ("acl", "openssl")] == [True, True]
    assert ended.lines("? ") == [
        f"? {SICK}: cannot see acl /srv/ward: getfacl is not there: install the package acl"
    ]
    # It has no archive to take them from: what apt says is told, and the rest is done.
    ended = ward.apply(4)
    for name in ("acl", "openssl"):
        failed = ended.lines(f"failed: {SICK} package {name}: ")
        assert len(failed) == 1
        assert f"Package '{name}' has no installation candidate" in failed[0]
    assert ward.well.run("cat /srv/ward/note").stdout == "as declared\n"


# -- disks -----------------------------------------------------------------------------------


def full(ward: FaultyHost) -> None:
    ward.run("mount -t tmpfs -o size=16k tmpfs /srv/ward", "umount /srv/ward")
    ward.run("echo old >/srv/ward/note; head -c 100000 /dev/zero >/srv/ward/fill || true")


def without_inodes(ward: FaultyHost) -> None:
    ward.run("mount -t tmpfs -o nr_inodes=2 tmpfs /srv/ward; echo old >/srv/ward/note", "umount /srv/ward")


def read_only(ward: FaultyHost) -> None:
    ward.run("mount --bind /srv/ward /srv/ward; mount -o remount,ro,bind /srv/ward", "umount /srv/ward")


def immovable(ward: FaultyHost) -> None:
    ward.run("chattr +i /srv/ward/note", "chattr -i /srv/ward/note")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (full, "No space left on device"),
        (without_inodes, "No space left on device"),
        (read_only, "Read-only file system"),
        (immovable, "Operation not permitted"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_disk_that_takes_nothing_leaves_the_old_file_whole(
    ward: FaultyHost, fault: Callable[[FaultyHost], None], words: str
) -> None:
    ward.resources = BARE.replace("as declared", "as declared " * 2000)
    ward.run("mkdir /srv/ward; echo old >/srv/ward/note; chmod 755 /srv/ward")
    fault(ward)
    ended = ward.apply(4)
    failed = ended.lines(f"failed: {SICK} file /srv/ward/note: ")
    assert len(failed) == 1
    assert words in failed[0]
    assert ended.lines("Apply: ")[0] in ("Apply: 1 failed, 2 done.", "Apply: 2 done, 1 failed.")
    assert ward.run("cat /srv/ward/note") == "old\n"
    assert ward.well.run("wc -c </srv/ward/note").stdout == "24001\n"


def test_run_that_cannot_be_written_means_no_lock_and_nothing_done(ward: FaultyHost) -> None:
    ward.run("mount --bind /run /run; mount -o remount,ro,bind /run", "umount /run")
    ward.whole()
    ended = ward.apply(4)
    assert ended.err == (
        f"{SICK}: the lock /run/reconciler.lock cannot be opened; is /run writable?\nnothing was done\n"
    )
    assert [host.run("ls /srv").stdout for host in (ward.sick, ward.well)] == ["", ""]


# -- what it says ----------------------------------------------------------------------------


def test_what_a_host_holds_cannot_move_the_cursor_of_a_terminal(ward: FaultyHost) -> None:
    ward.run(
        "mkdir /srv/ward; printf 'old\\033[2J\\r\\302\\2331mnew\\n' >/srv/ward/note;"
        " ln -s \"$(printf 'a\\033]0;title\\007\\nb')\" /srv/ward/link;"
        " printf 'Evil\\033[31m\\n' >/run/reconciler.lock",
        "rm /run/reconciler.lock",
    )
    ward.resources += "  - symlink: /srv/ward/link\n    target: /etc\n"
    with held(ward):
        runs = [ward.reconcile("plan"), ward.reconcile("observe"), ward.reconcile("apply", "--yes")]
    for ended in runs:
        assert [char for char in ended.out + ended.err if not char.isprintable() and char != "\n"] == []
    plan, observed, applied = runs
    assert "      -old\\x1b[2J" in plan.out
    assert "\\x9b1mnew\n" in plan.out
    assert 'target: "a\\x1b]0;title\\x07\\nb"' in plan.out
    assert 'target: "a\\x1b]0;title\\x07\\nb"' in observed.out
    assert applied.code == 7
    assert f"{SICK} is locked [locked]: Evil\\x1b[31m\n" in applied.err


def test_an_answer_that_makes_no_sense_is_no_answer(ward: FaultyHost) -> None:
    ward.replace("/usr/bin/getent", "#!/bin/sh\necho done; echo; echo \xff:::::\xff\n")
    ward.resources += "  - account: someone\n"
    ended = ward.reconcile("plan")
    assert ended.code == 3
    why = "the host gave no answer to this question"
    assert ended.lines("? ") == [f"? {SICK}: cannot see account someone: {why}"]


class held:  # noqa: N801 - read as `with held(ward)`
    """Somebody else holds the lock of the sick host."""

    def __init__(self, ward: FaultyHost) -> None:
        lock = "flock -n /run/reconciler.lock sh -c 'touch /run/held; exec sleep 30'"
        self.holder = subprocess.Popen(ward.sick.enter(["timeout", "30", "sh", "-c", lock]))
        self.ward = ward
        until(lambda: ward.sick.run("test -e /run/held", check=False).returncode == 0, "the lock is held")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.ward.run("rm /run/held; pkill -x -f 'sleep 30'")
        self.holder.wait(10)


def test_dates_far_off_on_a_host_change_nothing(ward: FaultyHost) -> None:
    ward.apply(0)
    for date in ("2090-01-01", "1970-01-02"):
        ward.run(f"touch -d {date} /srv/ward /srv/ward/note")
        ward.settled()


# -- what hangs ------------------------------------------------------------------------------


def test_a_look_that_hangs_is_ended_on_the_host_too(ward: FaultyHost) -> None:
    ward.replace("/usr/bin/getfacl", "#!/bin/sh\nsleep 1003\n")
    ward.resources += ACL
    ward.flags = ("--timeout", "1")
    ward.blind("a command hung there for 1 s and was ended")
    assert ward.sick.run("pgrep -x -f 'sleep 1003'", check=False).stdout == ""
    ended = ward.apply(3)
    assert ended.lines("Apply: ") == ["Apply: 3 done."]


def test_a_step_that_hangs_is_ended_and_the_old_file_stays(ward: FaultyHost) -> None:
    ward.run("mkdir /srv/ward; echo old >/srv/ward/note")
    ward.resources = BARE + "    check: sleep 1004\n  - file: /srv/ward/other\n    content: other\n"
    environment = load(str(ward.environment()))
    doors = ConnectionFactory(replace(environment.ssh, timeout=3))
    hosts = [RemoteHost(host, doors) for host in environment.hosts]
    resources = [each for each in environment.resources if "note" in each.name or each.host == SICK]
    with Fleet("ward", resources, [host for host in hosts if host.name == SICK], seconds=3) as fleet:
        fleet.look()
        fleet.lock("a test")
        began = time.monotonic()
        result = apply.apply(fleet, fleet.plan(), minute=1)
        assert time.monotonic() - began < 12
    told = {each.ref.name: (each.result, each.detail) for each in result.outcomes}
    assert told["/srv/ward/note"][0] == "lost"
    assert told["/srv/ward/note"][1].startswith(
        "it took longer than 4 s and was ended [too-long], during: { sleep 1004; }"
    )
    assert told["/srv/ward/other"][0] == "done", "what had not begun is done in the next round"
    assert [ref.name for ref in result.partial] == []
    assert ward.run("cat /srv/ward/note") == "old\n"
    assert ward.sick.run("pgrep -x -f 'sleep 1004'", check=False).stdout == ""


# -- lines that are cut ----------------------------------------------------------------------

STEPS = """\
  - directory: /srv/ward
  - file: /srv/ward/a
    content: a
  - file: /srv/ward/b
    content: b
    check: touch /srv/ward/began; sleep 2; touch /srv/ward/ended
  - file: /srv/ward/c
    content: c
"""


def cut_by_sshd(ward: FaultyHost) -> None:
    ward.run("pkill -KILL -u ops -x sshd")


def cut_by_the_network(ward: FaultyHost) -> None:
    ward.after.callback(ward.sick.heal)
    ward.sick.partition()


def cut_by_the_power(ward: FaultyHost) -> None:
    ward.after.callback(lambda: ward.sick.alive() or ward.sick.boot())
    ward.sick.kill()


def exists(ward: FaultyHost, path: str) -> bool:
    return ward.sick.run(f"test -e {path}", check=False).returncode == 0


@pytest.mark.parametrize("fault", [cut_by_sshd, cut_by_the_network, cut_by_the_power])
def test_a_line_cut_during_apply_loses_nothing_but_the_news(
    ward: FaultyHost, fault: Callable[[FaultyHost], None]
) -> None:
    ward.resources = STEPS
    ward.ssh["timeout"] = 3
    running = ward.start("apply", "--yes")
    until(lambda: exists(ward, "/srv/ward/began"), "the slow step has begun")
    fault(ward)
    ended = ward.wait(running)
    assert ended.code == 5, f"{ended.out}\n{ended.err}"
    assert len(ended.lines(f"lost: {SICK} file /srv/ward/b: the connection ended before the answer")) == 1
    assert len(ended.lines(f"lost: {SICK} file /srv/ward/c: ")) == 1
    for name in "abc":
        assert len(ended.lines(f"not known how it is now: {SICK} file /srv/ward/{name};")) == 1
    assert not [line for line in ended.lines("") if WELL in line and ("lost" in line or "failed" in line)]
    assert ward.well.run("cat /srv/ward/a /srv/ward/b /srv/ward/c").stdout == "abc"

    ward.ssh["timeout"] = 10
    if fault is cut_by_the_power:
        ward.sick.boot()
    else:
        ward.sick.heal()
        until(lambda: exists(ward, "/srv/ward/ended"), "the step that was running ends")
        assert ward.run("cat /srv/ward/a") == "a"
    until(lambda: ward.reconcile("apply", "--yes").code == 0, "the lock is free, and the rest is done", 40)
    assert ward.run("cat /srv/ward/a /srv/ward/b /srv/ward/c") == "abc"
    ward.settled()


def test_a_line_cut_during_a_look_is_told(ward: FaultyHost) -> None:
    ward.replace("/usr/bin/getfacl", "#!/bin/sh\ntouch /run/looked; sleep 3\n")
    ward.resources += ACL
    ward.after.callback(ward.sick.run, "rm -f /run/looked")
    running = ward.start("plan")
    until(lambda: exists(ward, "/run/looked"), "it looks")
    cut_by_sshd(ward)
    ended = ward.wait(running)
    assert (ended.code, ended.err) == (3, "")
    assert ended.reason() == "the connection ended before the answer was whole"
    assert ended.lines(f"+ {WELL} acl /srv/ward")


def test_a_saved_plan_is_stale_once_a_host_of_it_is_gone(ward: FaultyHost) -> None:
    saved = ward.folder / "plan.json"
    assert ward.reconcile("plan", "-o", str(saved)).code == 0
    ward.run("systemctl stop ssh", "systemctl reset-failed ssh; systemctl start ssh")
    ended = ward.wait(ward.start_on(saved, "apply"))
    assert ended.code == 6
    assert f"{SICK}: it cannot be looked at now" in ended.err
    assert ward.well.run("ls /srv").stdout == ""
    assert json.loads(saved.read_text(encoding="utf-8"))["unreachable"] == []
