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
from reconciler.fleet.needed import SHOWS
from reconciler.fleet.ssh import ConnectionFactory
from tests.support.faults import BARE, FAULTY, HEALTHY, FaultyHost, LoginFault, authorise, until

pytestmark = pytest.mark.fleet

ACL = '  - acl: /srv/tested\n    entries: ["group:www-data:r-x"]\n'
LISTENS = "  - service: cron\n    ports: [22]\n"
NOISE = "head -c 100000 /dev/urandom; printf '\\033[2J\\000\\377'; head -c 100000 /dev/urandom >&2"
HOSTILE = (
    "export PATH=/nonexistent LC_ALL=de_DE.UTF-8 LANG=tlh IFS=x POSIXLY_CORRECT=1 TMPDIR=/none CDPATH=/etc"
    " ENV=/bin/false BASH_ENV=/bin/false GREP_OPTIONS=-v; umask 777"
)

# -- logins ----------------------------------------------------------------------------------

ODD = {
    "banner": LoginFault(sshd="Banner /etc/passwd"),
    "talks": LoginFault(bashrc="echo hello; echo there >&2"),
    "megabytes": LoginFault(bashrc="head -c 6000000 /dev/zero"),
    "megabytes-of-errors": LoginFault(bashrc="head -c 6000000 /dev/zero >&2"),
    "garbage": LoginFault(bashrc=NOISE),
    "other-settings": LoginFault(bashrc=HOSTILE),
    "strict": LoginFault(bashrc="set -e -u -o pipefail; trap 'echo bye' EXIT; alias sh=false"),
    "asks": LoginFault(bashrc="echo 'Your name?'; read name"),
    "forced-shell": LoginFault(sshd='ForceCommand sh -c "$SSH_ORIGINAL_COMMAND"'),
}


def test_a_login_that_is_only_odd_changes_nothing(pair: FaultyHost) -> None:
    pair.login_faults(ODD)
    assert pair.sees_both().problems == ""
    pair.run("rm -f /run/reconciler.lock")
    ended = pair.apply(0, "--host", "other-settings.test.dataone.org")
    assert "Apply: 2 done." in ended.out
    made = pair.run("stat -c %a /srv/tested /srv/tested/note /run/reconciler.lock")
    assert made == "755\n644\n644\n", "its umask does not count either"


SHUT = {
    "leaves": (LoginFault(bashrc="exit 1"), "its login ended with status 1 before our command ran; check"),
    "moved": (
        LoginFault(bashrc="echo moved >&2; exit 0"),
        "ended with status 0 before our command ran; it said: moved",
    ),
    "forced": (
        LoginFault(sshd="ForceCommand echo no shell here"),
        "it said: no shell here; check the account's shell",
    ),
    "sftp": (LoginFault(sshd="ForceCommand internal-sftp"), "before our command ran"),
    "no-sessions": (LoginFault(sshd="MaxSessions 0"), "it opened no session"),
    "yes": (LoginFault(sshd="ForceCommand yes"), "it answered more than 16 MB; check its login scripts"),
    "random": (LoginFault(sshd="ForceCommand head -c 50M /dev/urandom"), "it answered more than 16 MB"),
    "echoes": (LoginFault(sshd="ForceCommand cat"), "no answer within 14 s"),
    "sleeps": (LoginFault(bashrc="sleep 1001"), "no answer within 14 s; its login scripts hang"),
    "eats": (LoginFault(bashrc="cat >/dev/null"), "no answer within 14 s; its login scripts hang"),
}


def test_a_login_that_ends_in_no_shell_is_told_with_what_it_said(pair: FaultyHost) -> None:
    pair.login_faults({name: fault for name, (fault, _) in SHUT.items()})
    pair.ssh["timeout"] = 2
    ended = pair.reconcile("plan")
    assert (ended.code, ended.problems) == (3, "")
    told = {name: ended.reason(f"{name}.test.dataone.org") for name in SHUT}
    assert [name for name, (_, words) in SHUT.items() if words not in told[name]] == [], told
    assert ended.lines("  + file /srv/tested/note")
    assert ended.lines("Plan: ") == ["Plan: 2 to create, 0 to change, 0 to remove, 0 reloads on 1 host."] * 2


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
    pair: FaultyHost, shell: str, words: str | None
) -> None:
    pair.replace("/usr/local/bin/fish", FISH)
    pair.run(f"usermod -s {shell} ops", "usermod -s /bin/bash ops")
    if words is None:
        pair.sees_both()
    else:
        pair.sees_only_the_healthy(words)


# -- sudo ------------------------------------------------------------------------------------


def wants_a_password(pair: FaultyHost) -> None:
    pair.replace("/etc/sudoers.d/ops", "ops ALL=(ALL:ALL) ALL\n", 0o440)


def wants_a_password_noisily(pair: FaultyHost) -> None:
    wants_a_password(pair)
    pair.bashrc(NOISE)
    pair.replace("/etc/sudoers.d/broken", "ops ALL=(((\n", 0o440)
    pair.run(
        "cp /etc/hosts /etc/hosts.kept; echo 127.0.0.1 localhost >/etc/hosts",
        "cat /etc/hosts.kept >/etc/hosts",
    )


def wants_a_terminal(pair: FaultyHost) -> None:
    pair.replace("/etc/sudoers.d/terminal", "Defaults requiretty\n", 0o440)


def is_not_there(pair: FaultyHost) -> None:
    pair.hide("/usr/bin/sudo")


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
    pair: FaultyHost, fault: Callable[[FaultyHost], None], words: str
) -> None:
    fault(pair)
    ended = pair.sees_both()
    assert ended.problems == f"{FAULTY}: looked without root ({words})\n"
    pair.resources += "  - file: /root/hidden\n    mode: '0600'\n"
    ended = pair.reconcile("drift")
    assert ended.code == 3
    assert ended.lines(f"? {FAULTY}: ") == [
        f"? {FAULTY}: cannot see file /root/hidden: the account may not look into the folder that holds it ({words})"
    ]
    # What cannot be done there is left, with its cause; the other host gets what is declared.
    ended = pair.apply(4)
    why = f"ops may not become root ({words}); allow `ops ALL=(ALL) NOPASSWD: ALL` in sudoers [not-root]"
    assert ended.lines(f"skipped: {FAULTY} ")
    assert all(line.endswith(why) for line in ended.lines(f"skipped: {FAULTY} ")), ended.out
    assert [host.run("ls /srv").stdout for host in (pair.faulty, pair.healthy)] == ["", "tested\n"]


def test_a_broken_sudoers_drop_in_that_sudo_only_complains_of_is_no_fault(pair: FaultyHost) -> None:
    pair.replace("/etc/sudoers.d/broken", "ops ALL=(((\n", 0o440)
    assert pair.sees_both().problems == ""
    pair.apply(0)
    pair.settled()


BROKEN = "#!/bin/sh\nexit 1\n"

# -- what a host lacks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/usr/bin/getfacl", "cannot see acl /srv/tested: getfacl is missing: install the package acl"),
        ("/usr/bin/ss", "cannot see service cron: ss is missing: install the package iproute2"),
        ("/usr/bin/systemctl", "cannot see service cron: systemd does not answer on this host"),
    ],
)
def test_what_a_missing_command_would_show_cannot_be_seen(pair: FaultyHost, command: str, words: str) -> None:
    pair.resources += ACL + LISTENS
    pair.hide(command)
    for name in ("plan", "drift"):
        ended = pair.reconcile(name)
        assert (ended.code, ended.problems) == (3, "")
        assert ended.lines("? ") == [f"? {FAULTY}: {words}"]
        assert ended.lines("  + file /srv/tested/note  (faulty, healthy)")


@pytest.mark.parametrize("command", ["find", "sha256sum"])
def test_a_host_without_what_every_look_needs_is_named_with_the_command(
    pair: FaultyHost, command: str
) -> None:
    # Without find every file would look absent, and be planned.
    pair.hide(f"/usr/bin/{command}")
    pair.sees_only_the_healthy(f"it lacks the command {command} [command-missing]; install it there")


@pytest.mark.parametrize(
    "command",
    [pytest.param(each, marks=[] if each in {"find", "getent"} else pytest.mark.gate) for each in SHOWS],
)
def test_a_command_that_only_fails_hides_the_host_and_plans_nothing(pair: FaultyHost, command: str) -> None:
    # Everything that it is asked about would look absent, and be planned.
    pair.replace(f"/usr/local/sbin/{command}", BROKEN)
    pair.sees_only_the_healthy(
        f"its {command} does not do what GNU's does [command-missing]; see there which"
    )


def test_openssl_and_acl_missing_is_a_plan_to_install_them(pair: FaultyHost) -> None:
    pair.after.callback(authorise, pair.faulty, pair.identity)
    pair.after.callback(pair.faulty.reset)
    pair.run("dpkg --force-depends --remove acl openssl >/dev/null 2>&1; rm -r /etc/apt/sources.list*")
    pair.resources += f"  - package: openssl\n  - package: acl\n{ACL}"
    ended = pair.reconcile("plan")
    assert ended.code == 3
    assert [ended.lines(f"  + package {name}") != [] for name in ("acl", "openssl")] == [True, True]
    assert ended.lines("? ") == [
        f"? {FAULTY}: cannot see acl /srv/tested: getfacl is missing: install the package acl"
    ]
    # It has no archive to take them from: what apt says is told, and the rest is done.
    ended = pair.apply(4)
    for name in ("acl", "openssl"):
        failed = ended.lines(f"failed: {FAULTY} package {name}: ")
        assert len(failed) == 1
        assert f"Package '{name}' has no installation candidate" in failed[0]
    assert pair.healthy.run("cat /srv/tested/note").stdout == "as declared\n"


# -- disks -----------------------------------------------------------------------------------


def full(pair: FaultyHost) -> None:
    pair.run("mount -t tmpfs -o size=16k,mode=0755 tmpfs /srv/tested", "umount /srv/tested")
    pair.run("echo old >/srv/tested/note; head -c 100000 /dev/zero >/srv/tested/fill || true")


def without_inodes(pair: FaultyHost) -> None:
    pair.run(
        "mount -t tmpfs -o nr_inodes=2,mode=0755 tmpfs /srv/tested; echo old >/srv/tested/note",
        "umount /srv/tested",
    )


def read_only(pair: FaultyHost) -> None:
    pair.run(
        "mount --bind /srv/tested /srv/tested; mount -o remount,ro,bind /srv/tested", "umount /srv/tested"
    )


def immovable(pair: FaultyHost) -> None:
    pair.run("chattr +i /srv/tested/note", "chattr -i /srv/tested/note")


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
    pair: FaultyHost, fault: Callable[[FaultyHost], None], words: str
) -> None:
    pair.resources = BARE.replace("as declared", "as declared " * 2000)
    pair.run("mkdir /srv/tested; echo old >/srv/tested/note; chmod 755 /srv/tested")
    fault(pair)
    ended = pair.apply(4)
    failed = ended.lines(f"failed: {FAULTY} file /srv/tested/note: ")
    assert len(failed) == 1
    assert words in failed[0]
    assert ended.lines("Apply: ")[0] in ("Apply: 1 failed, 2 done.", "Apply: 2 done, 1 failed.")
    assert pair.run("cat /srv/tested/note") == "old\n"
    assert pair.healthy.run("wc -c </srv/tested/note").stdout == "24001\n"


def test_run_that_cannot_be_written_means_no_lock_and_nothing_done(pair: FaultyHost) -> None:
    pair.run("mount --bind /run /run; mount -o remount,ro,bind /run", "umount /run")
    pair.sees_both()
    ended = pair.apply(4)
    why = "the lock /run/reconciler.lock cannot be opened; is /run writable?"
    assert ended.lines(f"skipped: {FAULTY} ")
    assert all(line.endswith(why) for line in ended.lines(f"skipped: {FAULTY} ")), ended.out
    assert [host.run("ls /srv").stdout for host in (pair.faulty, pair.healthy)] == ["", "tested\n"]


# -- what it says ----------------------------------------------------------------------------


def test_no_lock_without_flock_is_no_lock_of_somebody_elses(pair: FaultyHost) -> None:
    pair.run("echo 'somebody, long ago' >/run/reconciler.lock", "rm -f /run/reconciler.lock")
    pair.hide("/usr/bin/flock")
    ended = pair.apply(4)
    said = ended.lines(f"skipped: {FAULTY} ")
    assert said
    assert all(line.endswith("`flock` (util-linux) ended with 127; is it installed?") for line in said), said
    held = pair.reconcile("unlock")
    why = f"{FAULTY}: `flock` (util-linux) cannot be run there; is it installed?"
    assert (held.code, why in held.err) == (3, True), held
    assert [host.run("ls /srv").stdout for host in (pair.faulty, pair.healthy)] == ["", "tested\n"]


def test_what_a_host_holds_cannot_move_the_cursor_of_a_terminal(pair: FaultyHost) -> None:
    pair.run(
        "mkdir /srv/tested; printf 'old\\033[2J\\r\\302\\2331mnew\\n' >/srv/tested/note;"
        " ln -s \"$(printf 'a\\033]0;title\\007\\nb')\" /srv/tested/link;"
        " printf 'Evil\\033[31m\\n' >/run/reconciler.lock",
        "rm /run/reconciler.lock",
    )
    pair.resources += "  - symlink: /srv/tested/link\n    target: /etc\n"
    with held(pair):
        runs = [pair.reconcile("plan"), pair.reconcile("observe"), pair.reconcile("apply", "--yes")]
    for ended in runs:
        assert [char for char in ended.out + ended.err if not char.isprintable() and char != "\n"] == []
    plan, observed, applied = runs
    assert "      -old\\x1b[2J" in plan.out
    assert "\\x9b1mnew\n" in plan.out
    assert 'target: "a\\x1b]0;title\\x07\\nb"' in plan.out
    assert 'target: "a\\x1b]0;title\\x07\\nb"' in observed.out
    assert applied.code == 7
    assert f"{FAULTY} is locked [locked]: Evil\\x1b[31m\n" in applied.err


def test_an_answer_that_makes_no_sense_is_no_answer(pair: FaultyHost) -> None:
    # What shows that it works does; the rest is nonsense.
    works = '[ "$*" != "passwd 0" ] || exec /usr/bin/getent.aside passwd 0'
    pair.replace("/usr/bin/getent", f"#!/bin/sh\n{works}\necho done; echo; echo \xff:::::\xff\n")
    pair.resources += "  - account: someone\n"
    ended = pair.reconcile("plan")
    assert ended.code == 3
    why = "the host did not answer this question"
    assert ended.lines("? ") == [f"? {FAULTY}: cannot see account someone: {why}"]


class held:  # noqa: N801 - read as `with held(pair)`
    """Somebody else holds the lock of the faulty host."""

    def __init__(self, pair: FaultyHost) -> None:
        lock = "flock -n /run/reconciler.lock sh -c 'touch /run/held; exec sleep 30'"
        self.holder = subprocess.Popen(pair.faulty.enter(["timeout", "30", "sh", "-c", lock]))
        self.pair = pair
        until(lambda: pair.faulty.run("test -e /run/held", check=False).returncode == 0, "the lock is held")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.pair.run("rm /run/held; pkill -x -f 'sleep 30'")
        self.holder.wait(10)


def test_dates_far_off_on_a_host_change_nothing(pair: FaultyHost) -> None:
    pair.apply(0)
    for date in ("2090-01-01", "1970-01-02"):
        pair.run(f"touch -d {date} /srv/tested /srv/tested/note")
        pair.settled()


# -- what hangs ------------------------------------------------------------------------------


def test_a_question_that_hangs_is_unseen_alone_and_ended_on_the_host_too(pair: FaultyHost) -> None:
    pair.replace("/usr/bin/getfacl", "#!/bin/sh\nsleep 1003\n")
    pair.resources += ACL
    pair.flags = ("--timeout", "2")
    looked = pair.reconcile("plan")
    assert looked.code == 3
    hidden = (
        f"? {FAULTY}: cannot see acl /srv/tested: the host gave no answer within 1 s when asked for: acl "
    )
    assert len(looked.lines(hidden)) == 1, looked.out
    assert looked.lines("  + directory /srv/tested")
    assert pair.faulty.run("pgrep -x -f 'sleep 1003'", check=False).stdout == ""


def test_a_step_that_hangs_is_ended_and_the_old_file_stays(pair: FaultyHost) -> None:
    pair.run("mkdir /srv/tested; echo old >/srv/tested/note")
    pair.resources = BARE + "    check: sleep 1004\n  - file: /srv/tested/other\n    content: other\n"
    environment = load(str(pair.environment()))
    doors = ConnectionFactory(replace(environment.ssh, timeout=3))
    hosts = [RemoteHost(host, doors) for host in environment.hosts]
    resources = [each for each in environment.resources if "note" in each.name or each.host == FAULTY]
    with Fleet("pair", resources, [host for host in hosts if host.name == FAULTY], seconds=3) as fleet:
        fleet.look()
        fleet.lock("a test")
        began = time.monotonic()
        result = apply.apply(fleet, fleet.plan(), minute=1)
        assert time.monotonic() - began < 12
    told = {each.ref.name: (each.result, each.detail) for each in result.outcomes}
    assert told["/srv/tested/note"][0] == "lost"
    assert told["/srv/tested/note"][1].startswith(
        "it took longer than 4 s and was ended [too-long], during: { sleep 1004; }"
    )
    assert told["/srv/tested/other"][0] == "done", "what had not begun is done in the next round"
    assert [ref.name for ref in result.partial] == []
    assert pair.run("cat /srv/tested/note") == "old\n"
    assert pair.faulty.run("pgrep -x -f 'sleep 1004'", check=False).stdout == ""


# -- lines that are cut ----------------------------------------------------------------------

STEPS = """\
  - directory: /srv/tested
  - file: /srv/tested/a
    content: a
  - file: /srv/tested/b
    content: b
    check: touch /srv/tested/began; sleep 2; touch /srv/tested/ended
  - file: /srv/tested/c
    content: c
"""


def cut_by_sshd(pair: FaultyHost) -> None:
    pair.run("pkill -KILL -u ops -x sshd")


def cut_by_the_network(pair: FaultyHost) -> None:
    pair.after.callback(pair.faulty.heal)
    pair.faulty.partition()


def cut_by_the_power(pair: FaultyHost) -> None:
    pair.after.callback(lambda: pair.faulty.alive() or pair.faulty.boot())
    pair.faulty.kill()


def exists(pair: FaultyHost, path: str) -> bool:
    return pair.faulty.run(f"test -e {path}", check=False).returncode == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(cut_by_sshd, marks=pytest.mark.gate),
        cut_by_the_network,
        pytest.param(cut_by_the_power, marks=pytest.mark.gate),
    ],
)
def test_a_line_cut_during_apply_loses_nothing_but_the_news(
    pair: FaultyHost, fault: Callable[[FaultyHost], None]
) -> None:
    pair.resources = STEPS
    pair.ssh["timeout"] = 3
    running = pair.start("apply", "--yes")
    until(lambda: exists(pair, "/srv/tested/began"), "the slow step has begun")
    fault(pair)
    ended = pair.wait(running)
    assert ended.code == 5, f"{ended.out}\n{ended.err}"
    assert len(ended.lines(f"lost: {FAULTY} file /srv/tested/b: the connection ended before the answer")) == 1
    assert len(ended.lines(f"lost: {FAULTY} file /srv/tested/c: ")) == 1
    for name in "abc":
        assert len(ended.lines(f"state unknown: {FAULTY} file /srv/tested/{name};")) == 1
    assert not [line for line in ended.lines("") if HEALTHY in line and ("lost" in line or "failed" in line)]
    assert pair.healthy.run("cat /srv/tested/a /srv/tested/b /srv/tested/c").stdout == "abc"

    pair.ssh["timeout"] = 10
    if fault is cut_by_the_power:
        pair.faulty.boot()
    else:
        pair.faulty.heal()
        until(lambda: exists(pair, "/srv/tested/ended"), "the step that was running ends")
        assert pair.run("cat /srv/tested/a") == "a"
    until(lambda: pair.reconcile("apply", "--yes").code == 0, "the lock is free, and the rest is done", 40)
    assert pair.run("cat /srv/tested/a /srv/tested/b /srv/tested/c") == "abc"
    pair.settled()


def test_a_line_cut_during_a_look_is_told(pair: FaultyHost) -> None:
    pair.replace("/usr/bin/getfacl", "#!/bin/sh\ntouch /run/looked; sleep 3\n")
    pair.resources += ACL
    pair.after.callback(pair.faulty.run, "rm -f /run/looked")
    running = pair.start("plan")
    until(lambda: exists(pair, "/run/looked"), "it looks")
    cut_by_sshd(pair)
    ended = pair.wait(running)
    assert (ended.code, ended.problems) == (3, "")
    assert ended.reason() == "the connection ended before the answer was whole"
    assert ended.lines("  + acl /srv/tested")


def test_a_saved_plan_is_stale_once_a_host_of_it_is_gone(pair: FaultyHost) -> None:
    saved = pair.folder / "plan.json"
    assert pair.reconcile("plan", "-o", str(saved)).code == 0
    pair.run("systemctl stop ssh", "systemctl reset-failed ssh; systemctl start ssh")
    ended = pair.wait(pair.start_on(saved, "apply", "--env", str(pair.folder / "tested.yaml")))
    assert ended.code == 6
    assert f"{FAULTY}: it cannot be looked at now" in ended.err
    assert pair.healthy.run("ls /srv").stdout == ""
    assert json.loads(saved.read_text(encoding="utf-8"))["unreachable"] == []
