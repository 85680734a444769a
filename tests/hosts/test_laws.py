"""The laws of the design, each on real hosts."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Fleet, LabHost
from tests import ROOT
from tests.monitor.test_notices import Mailbox, mailbox  # noqa: F401 - a fixture
from tests.support.faults import until
from tests.support.running import HERE, AdminMachine, begun_actions, free

pytestmark = pytest.mark.fleet

KEYS = "/etc/ssh/reconciler"
CHALLENGE = "/var/www/.well-known/acme-challenge"
PROPERTIES = "/etc/dataone/node.properties"


@pytest.fixture(scope="module")
def node(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> AdminMachine:
    """An administrator's machine and hosts that are settled coordinating nodes."""
    made = AdminMachine(fleet, tmp_path_factory.mktemp("node"))
    made.declare()
    made.apply(0)
    return made


@pytest.fixture
def admin(fleet: Fleet, tmp_path: Path) -> Iterator[AdminMachine]:
    """An administrator's machine for environments of a few resources below /srv, which is emptied afterwards."""
    yield AdminMachine(fleet, tmp_path)
    for host in fleet.hosts:
        until(lambda at=host: free(at), "no run holds the host")
        host.run("rm -rf /srv/*")


def on(host: LabHost, resources: str) -> str:
    """An environment of nothing but these resources (one a line, in YAML's flow style), on one host."""
    lines = [f"  - {{{line.strip()}, hosts: [{host.name}]}}\n" for line in resources.strip().splitlines()]
    return HERE + "".join(lines)


# -- only what was asked for -------------------------------------------------------------------

STRANGE = {
    f"{KEYS}/authorized_keys": (
        "# a note\nssh-ed25519 AAAAtheirs reconciler\n",
        "ssh-rsa AAAA their key",
    ),
    f"{KEYS}/known_hosts": ("@revoked * ssh-ed25519 AAAAtheirs\n", "other,10.0.0.1 ssh-ed25519 AAAA"),
    PROPERTIES: ("their.key : a \\\n    b\n\n", "# the end, without a newline"),
}
GRANT = "%adm ALL=(ALL) NOPASSWD: /usr/bin/true\n"


def test_what_nobody_declared_stays_while_what_we_keep_is_mended(node: AdminMachine) -> None:
    host = node.fleet.hosts[2]
    for path, (head, tail) in STRANGE.items():
        mine = host.run(f"cat {path}").stdout
        # Theirs stand around ours, and the file ends without a newline.
        host.run(f"cat >{path}", stdin=head + mine + tail)
    host.run(f"setfacl -m u:daemon:r-x,d:u:daemon:r-x {CHALLENGE}; echo x >{CHALLENGE}/theirs")
    host.run("usermod -aG adm rsync_user; mkdir -p /etc/sudoers.d; touch /etc/cron.d/theirs")
    host.write("/etc/sudoers.d/theirs", GRANT, 0o440)
    assert node.pending(0) == []

    ours = {path: host.run(f"cat {path}").stdout for path in STRANGE}
    host.run(f"sed -i '/cn-lab-1/d' {KEYS}/authorized_keys {KEYS}/known_hosts")
    host.run(
        f"sed -i 's/^cn.rsyncuser=.*/cn.rsyncuser=somebody/' {PROPERTIES}; setfacl -x d:g:rsync_user {CHALLENGE}"
    )
    node.apply(0)
    assert node.pending(0) == []
    for path, (head, tail) in STRANGE.items():
        now = host.run(f"cat {path}").stdout
        if path == PROPERTIES:
            assert now == ours[path], "a key is replaced where it stands, and no other byte"
            continue
        assert now.startswith(head)
        assert sorted(now.splitlines()) == sorted(ours[path].splitlines())
        assert f"{tail}\n" in now, "a line of theirs is not run into one of ours"
    acl = host.run(f"getfacl -cp {CHALLENGE}; cat {CHALLENGE}/theirs; id -nG rsync_user").stdout
    for kept in ("\nuser:daemon:r-x\n", "\ndefault:user:daemon:r-x\n", "\nx\n", "rsync_user adm\n"):
        assert kept in acl
    assert (
        host.run("cat /etc/sudoers.d/theirs; ls /etc/cron.d/theirs").stdout == f"{GRANT}/etc/cron.d/theirs\n"
    )


# -- a reload is owed to state -----------------------------------------------------------------


def served(host: LabHost) -> str:
    return host.run(f"curl -s -o /dev/null -w '%{{http_code}}' http://{host.address}/").stdout


def loads(host: LabHost) -> int:
    """How often Apache has loaded a configuration."""
    return int(host.run("grep -c 'resuming normal operations' /var/log/apache2/error.log").stdout)


def test_a_reload_stays_owed_until_it_has_succeeded(node: AdminMachine) -> None:
    host = node.fleet.hosts[1]
    broken = "/etc/apache2/conf-enabled/zz-by-hand.conf"
    before = loads(host)
    host.write(broken, "NoSuchDirective on\n")
    for _ in range(2):
        ended = node.apply(4)
        assert begun_actions(ended) == ["change cn-lab-2 service apache2"]
        (line,) = [line for line in ended.out.splitlines() if line.startswith("failed: ")]
        assert line.startswith(f"failed: {host.name} service apache2: ")
        assert "Invalid command 'NoSuchDirective'" in line
        assert (served(host), loads(host)) == ("301", before)
    host.write(broken, "# changed by hand\n")
    assert node.pending(2) == ["reload cn-lab-2 service apache2"]
    assert (served(host), loads(host)) == ("301", before), "it is not loaded yet"
    node.apply(0)
    assert loads(host) == before + 1
    assert node.pending(0) == []
    # A reload by hand that we know nothing of is owed once more, and costs only that.
    host.run(f"rm {broken}; systemctl reload apache2")
    assert node.pending(2) == ["reload cn-lab-2 service apache2"]
    node.apply(0)


def test_a_reload_that_fails_is_owed(admin: AdminMachine) -> None:
    host = admin.fleet.hosts[0]
    host.write(
        "/etc/systemd/system/probe.service",
        "[Service]\nExecStart=sleep infinity\nExecReload=sh -c 'test -e /srv/may && date +%%N >>/srv/reloads'\n",
    )
    host.run("systemctl daemon-reload; systemctl start probe; mkdir -p /srv/conf")
    admin.declare(on(host, "file: /srv/conf/a, content: one\nservice: probe, loads: [/srv/conf]"))
    ended = admin.apply(4)
    assert ended.out.splitlines()[-1] == "Apply: 1 done, 1 failed."
    assert host.run("cat /srv/conf/a").stdout == "one"
    # The file is right now, and nothing has changed since: an event would be lost.
    assert admin.pending(2) == ["reload cn-lab-1 service probe"]
    host.run("touch /srv/may")
    admin.apply(0)
    assert host.run("wc -l </srv/reloads").stdout == "1\n"
    admin.settled()
    host.run("systemctl stop probe; rm /etc/systemd/system/probe.service; systemctl daemon-reload")


# -- done is what the host says afterwards -----------------------------------------------------


def test_a_command_that_says_it_worked_is_not_believed(admin: AdminMachine) -> None:
    host = admin.fleet.hosts[0]
    host.run("mkdir /srv/d")
    host.write("/usr/local/sbin/setfacl", "#!/bin/sh\nexit 0\n", 0o755)
    more = "acl: /srv/d, entries: ['user:daemon:r-x']\nfile: /srv/d/f, content: x"
    admin.declare(on(host, more))
    try:
        ended = admin.apply(4)
    finally:
        host.run("rm /usr/local/sbin/setfacl")
    words = "its commands succeeded, but it is not as desired [not-settled]: user:daemon"
    assert f"unsettled: {host.name} acl /srv/d: {words}" in ended.out.splitlines()
    assert ended.out.splitlines()[-1] == "Apply: 1 unsettled, 1 done."
    assert begun_actions(admin.apply(0)) == ["change cn-lab-1 acl /srv/d"]


# -- a run that is killed ----------------------------------------------------------------------

CHAIN = "\n".join(
    f"file: /srv/{n}, content: '{n}', check: 'touch /srv/began{n}; sleep 0.3', needs: [{need}]"
    for n, need in enumerate(["directory /srv/d", "file /srv/0", "file /srv/1", "file /srv/2"])
)


@pytest.mark.parametrize("moment", ["directory /srv/d: create", "began0", "began2"])
def test_kill_9_loses_nothing(admin: AdminMachine, moment: str) -> None:
    host = admin.fleet.hosts[0]
    admin.declare(on(host, f"directory: /srv/d\n{CHAIN}"))
    running = admin.starts("directory /srv/d: create")
    if moment.startswith("began"):
        until(lambda: host.run(f"test -e /srv/{moment}", check=False).returncode == 0, moment)
    assert running.send(signal.SIGKILL).code == -9
    until(lambda: free(host), "the step that was running has ended, and the lock with it")
    time.sleep(0.3)
    there = host.run("ls /srv").stdout.split()
    assert "3" not in there, "no step began after the one that was running"
    ended = admin.apply(0)
    assert set(begun_actions(ended)) == {
        *(f"create cn-lab-1 file /srv/{n}" for n in range(4) if str(n) not in there),
        *(["create cn-lab-1 directory /srv/d"] if "d" not in there else []),
    }
    admin.settled()
    assert host.run("cd /srv && cat 0 1 2 3").stdout == "0123"


def test_kill_9_between_a_file_and_its_reload_leaves_the_reload_owed(node: AdminMachine) -> None:
    hosts = node.fleet.hosts
    file = "/etc/apache2/conf-enabled/more.conf"
    slow = '#!/bin/sh\nsleep 1\nexec /usr/sbin/apache2ctl "$@"\n'
    for host in hosts:
        host.write("/usr/local/sbin/apache2ctl", slow, 0o755)
    node.declare(f"resources: [{{file: {file}, content: '# more'}}]\n")
    running = node.starts("service apache2: reload")
    until(
        lambda: all(host.run(f"test -e {file}", check=False).returncode == 0 for host in hosts),
        "the file is there, and its check runs",
    )
    assert running.send(signal.SIGKILL).code == -9
    for host in hosts:
        until(lambda at=host: free(at), "the lock is free")
        host.run("rm /usr/local/sbin/apache2ctl")
    # The files are as declared, so nothing but the sum of what was loaded tells that it is owed.
    assert node.pending(2) == [f"reload cn-lab-{n} service apache2" for n in (1, 2, 3)]
    node.apply(0)
    assert node.pending(0) == []
    node.declare()
    for host in hosts:
        host.run(f"rm {file}")
    node.apply(0)


# -- one run at a time -------------------------------------------------------------------------


def test_a_second_run_from_another_checkout_is_told_who_is_at_it(admin: AdminMachine, tmp_path: Path) -> None:
    first, second, _ = admin.fleet.hosts
    checkout = tmp_path / "colleague"
    shutil.copytree(
        ROOT / "reconciler", checkout / "reconciler", ignore=shutil.ignore_patterns("__pycache__")
    )
    colleague = AdminMachine(admin.fleet, checkout, checkout)
    admin.declare(on(second, "file: /srv/slow, content: x, check: touch /srv/began && sleep 8"))
    colleague.declare(HERE + "  - file: /srv/theirs\n    content: y\n")
    running = admin.starts("file /srv/slow: create")
    until(lambda: second.run("test -e /srv/began", check=False).returncode == 0, "the slow step has begun")
    ended = colleague.apply(7)
    said = ended.err.splitlines()
    assert said[-1] == "wait until that run has ended; nothing was done"
    assert said[-2].startswith(f"{second.name} is locked [locked]: ")
    assert f"(process {running.process.pid}), since 20" in said[-2]
    assert said[-2].endswith(", for lab")
    assert [host.run("ls /srv").stdout for host in (first, admin.fleet.hosts[2])] == ["", ""]
    assert free(first), "the locks it had taken before are free again"
    # Looking needs no lock.
    assert len(colleague.pending(2)) == 3
    assert running.end().code == 0
    colleague.apply(0)


# -- what a look costs -------------------------------------------------------------------------

COUNTER = '#!/bin/sh\necho "$1$2" >>/run/exchanges\nexec /usr/bin/timeout "$@"\n'
KINDS = (
    "file: /srv/{n}/f, content: x",
    "directory: /srv/{n}",
    "symlink: /srv/{n}/l, target: /nowhere",
    "acl: /srv/{n}/f, entries: ['user:daemon:r--']",
    "property: /srv/p, key: k{n}, value: v",
)


def cost(admin: AdminMachine, host: LabHost, code: int, command: str, *flags: str) -> dict[str, int]:
    """How many logins, privileged shells, exchanges and processes a command is on a host."""
    host.run(": >/run/exchanges; journalctl --rotate -q; journalctl --vacuum-time=1ms -q")
    before = int(host.run("cat /proc/sys/kernel/ns_last_pid").stdout)
    admin.run(code, command, *flags)
    after = int(host.run("cat /proc/sys/kernel/ns_last_pid").stdout)
    log = host.run("journalctl -o cat").stdout
    return {
        "logins": log.count("Accepted publickey for ops"),
        "sudo": log.count("COMMAND="),
        "exchanges": host.run("cat /run/exchanges").stdout.split().count("-k5"),
        "processes": after - before,
    }


def test_what_a_look_costs_does_not_grow_with_the_resources(admin: AdminMachine) -> None:
    host = admin.fleet.hosts[1]
    host.write("/usr/local/sbin/timeout", COUNTER, 0o755)
    try:
        costs = []
        for many in (1, 40):
            lines = [kind.replace("{n}", str(n)) for n in range(many) for kind in KINDS]
            admin.declare(on(host, "\n".join(lines)))
            assert len(admin.document(0, "plan")["actions"]) == len(lines)
            bare = cost(admin, host, 0, "plan")
            apply = cost(admin, host, 0, "apply", "--yes")
            settled = cost(admin, host, 0, "plan", "--detailed-exitcode")
            for each in (bare, apply, settled):
                assert (each["logins"], each["sudo"]) == (1, 1)
            # An apply looks, looks again once it has the lock, and acts; that look is in the same script.
            assert [each["exchanges"] for each in (bare, apply, settled)] == [1, 3, 1]
            costs.append((bare["processes"], settled["processes"]))
            host.run("rm -rf /srv/*")
    finally:
        host.run("rm /usr/local/sbin/timeout")
    (few_bare, few_settled), (many_bare, many_settled) = costs
    # 195 more resources; cron and the like may have started a process or two meanwhile.
    assert many_bare <= few_bare + 15
    assert many_settled <= few_settled + 15


# -- a look runs nothing that was not approved --------------------------------------------------


def test_a_look_runs_a_command_of_the_yaml_only_once_an_apply_has(admin: AdminMachine) -> None:
    host = admin.fleet.hosts[0]
    admin.declare(on(host, "service: cron, check: echo ran >>/srv/ran"))
    assert admin.pending(2) == ["change cn-lab-1 service cron"]
    shown = admin.run(0, "plan").out
    assert 'check: "not approved on this host yet" → "approved: echo ran >>/srv/ran"' in shown
    admin.run(2, "drift")
    admin.run(0, "observe")
    assert host.run("ls /srv").stdout == ""
    admin.apply(0)
    assert set(host.run("cat /srv/ran").stdout.split()) == {"ran"}
    admin.settled()

    # A command that is another by one character has to be approved by itself.
    admin.declare(on(host, "service: cron, check: echo run >>/srv/ran"))
    assert admin.pending(2) == ["change cn-lab-1 service cron"]
    assert "run" not in host.run("cat /srv/ran").stdout
    # One that refuses the configuration is approved all the same, and says so.
    admin.declare(on(host, "service: cron, check: echo wrong; exit 1"))
    admin.apply(5)
    assert 'configuration: "refused: wrong" → "valid"' in admin.run(0, "plan").out
    host.run("rm /var/lib/reconciler/approved-commands")


class Watched:
    """Every process of this machine, and so of all hosts on it, looked at again and again for texts among its
    arguments and its environment."""

    def __init__(self, *texts: str) -> None:
        self._texts, self._over, self._rounds = [each.encode() for each in texts], threading.Event(), 0
        self._found: set[bytes] = set()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            self._rounds += 1
            for path in (
                each for name in ("cmdline", "environ") for each in Path("/proc").glob(f"[0-9]*/{name}")
            ):
                try:
                    said = path.read_bytes()
                except OSError:  # it has ended
                    continue
                if any(text in said for text in self._texts):
                    self._found.add(said)

    def end(self) -> list[bytes]:
        """What was found."""
        self._over.set()
        self._thread.join()
        assert self._rounds > 20
        return sorted(self._found)


# -- secrets -----------------------------------------------------------------------------------


def test_a_secret_is_compared_on_the_host_and_never_told(
    admin: AdminMachine,
    mailbox: tuple[Mailbox, str],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    host, (box, smtp) = admin.fleet.hosts[0], mailbox
    # A password of the YAML's, the key that this machine logs in with, and one that a host keeps for itself.
    ours = Path(admin.fleet.identity).read_text(encoding="ascii").splitlines()[2]
    theirs = host.run(f"cat {KEYS}/id_ed25519").stdout.splitlines()[2]
    watched = Watched("canary-two", ours, theirs)
    temporary = tmp_path_factory.mktemp("temporary")
    admin.environ = {"TMPDIR": str(temporary)}
    plan = admin.folder / "plan.json"
    (admin.folder / "secret").write_text("canary-two\n", encoding="utf-8")
    more = "property: /srv/p, key: password, value_file: secret\nfile: /srv/f, source: secret, secret: true"
    notices = f"notices:\n  mail: [ada@example.org]\n  smtp: {smtp}\n"
    admin.declare(on(host, more) + notices)
    assert admin.run(0, "plan", "-o", plan).out.count("(secret) as desired") == 2
    admin.run(0, "show", plan)
    admin.run(0, "apply", plan)
    assert host.run("cat /srv/p /srv/f").stdout == "password=canary-two\ncanary-two\n"
    admin.settled()
    host.run("sed -i s/two/three/ /srv/p /srv/f")
    assert admin.pending(2) == ["change cn-lab-1 file /srv/f", "change cn-lab-1 property /srv/p password"]
    admin.run(2, "drift")
    admin.run(0, "observe", "-o", admin.folder / "seen.json")
    admin.run(0, "observe")
    admin.apply(0)
    assert host.run("cat /srv/p /srv/f").stdout == "password=canary-two\ncanary-two\n"
    admin.run(0, "report", "-o", admin.folder / "page.html")
    assert "canary" not in (admin.folder / "page.html").read_text(encoding="utf-8")
    assert watched.end() == []
    saved = [json.dumps(json.loads(path.read_text(encoding="utf-8"))) for path in admin.folder.glob("*.json")]
    said = "".join([*admin.said, *saved, *map(str, box.mails)])
    assert not any(each in said for each in ("canary", ours, theirs))
    assert box.mails, "drift was told of"
    left = [each.read_bytes() for at in (admin.state, temporary) for each in at.rglob("*") if each.is_file()]
    assert not any(each.encode() in text for text in left for each in ("canary", ours, theirs))
    everywhere = "/etc /home /root /run /srv /tmp /var"
    found = host.run(f"grep -rlsa -D skip canary-t {everywhere}").stdout.split()
    assert sorted(found) == ["/srv/f", "/srv/p"]
    assert host.run(f"grep -rlsaF -D skip -- {shlex.quote(ours)} {everywhere}", check=False).stdout == ""
