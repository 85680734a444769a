"""The lab keeps what it promises: real hosts, quickly, and nothing left of them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Fleet, LabError, LabHost
from tests import ROOT

pytestmark = pytest.mark.fleet

BRIEF = f"test-{os.getpid()}-brief"


def ssh(fleet: Fleet, host: LabHost, text: str, user: str = "ops") -> str:
    """What a command prints on a host, over ssh with the fleet's own key and known_hosts."""
    options = f"-F none -o BatchMode=yes -o StrictHostKeyChecking=yes -i {fleet.identity}".split()
    known = f"-oUserKnownHostsFile={fleet.known_hosts}"
    arguments = ["ssh", *options, known, f"{user}@{host.address}", text]
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False
    )
    return done.stdout.strip() or done.stderr.strip()


def traces() -> dict[str, str]:
    """What a fleet could leave on this machine: mounts, namespaces, devices, routes, groups, a CA."""
    asked = ("ip netns", "findmnt -rno TARGET", "ip -o link show type bridge", "ip route")
    found = {text: _printed(text) for text in (*asked, "ip -o link show type veth")}
    listening = _printed("ss -Hlntu src 10.77.0.0/16").splitlines()
    found["the CA's sockets"] = "\n".join(sorted(" ".join(line.split()) for line in listening))
    groups = Path("/sys/fs/cgroup").glob("**/reconcile-lab/*")
    found["groups"] = "\n".join(sorted(str(group) for group in groups))
    return found


def new_since(before: dict[str, str]) -> list[str]:
    """What is there now and was not before, but for other fleets': tests run side by side."""
    others = []
    for name in set(Fleet.names()) - {BRIEF}:
        with contextlib.suppress(LabError):
            number = Fleet.open(name).number
            others.append(rf"/{re.escape(name)}(/|$)|rl{number}(\D|$)|10\.77\.{number}\.")
    foreign = re.compile("|".join(others) or "(?!)")
    return [
        line
        for asked, text in traces().items()
        for line in text.splitlines()
        if line not in before[asked].splitlines() and not foreign.search(line)
    ]


def _printed(text: str) -> str:
    return subprocess.run(text.split(), capture_output=True, text=True, check=True).stdout


@pytest.fixture
def brief(fleet_machine: None) -> Iterator[str]:
    """The name of a fleet that the test starts itself; whatever is left of it is removed."""
    yield BRIEF
    Fleet.clear(BRIEF, orderly=False)


def test_up_means_running(fleet: Fleet) -> None:
    states = {host.name: host.state() for host in fleet.hosts}
    assert states == dict.fromkeys(states, "running")
    assert len(states) == 3


def test_ops_logs_in_with_a_pinned_key_and_has_sudo(fleet: Fleet) -> None:
    for host in fleet.hosts:
        assert ssh(fleet, host, "sudo -n id -u; hostname -f") == f"0\n{host.name}"


def test_looker_logs_in_and_has_no_sudo(fleet: Fleet) -> None:
    host = fleet.hosts[0]
    assert ssh(fleet, host, "id -un", user="looker") == "looker"
    assert "password is required" in ssh(fleet, host, "sudo -n true", user="looker")


def test_hosts_reach_each_other_by_name(fleet: Fleet) -> None:
    for name in (fleet.hosts[1].name, fleet.router, fleet.hosts[2].name.split(".")[0]):
        fleet.hosts[0].run(f"curl -sf -o /dev/null http://{name}/")


def test_each_host_has_its_own_control_group(fleet: Fleet) -> None:
    groups = [host.run("cat /proc/1/cgroup").stdout.splitlines()[-1] for host in fleet.hosts]
    assert len(set(groups)) == 3
    # In a shared group this ends with an error, and leaves the processes of the unit behind.
    fleet.hosts[0].run("systemctl kill --signal=CONT apache2 && systemctl restart apache2")


def test_a_reset_undoes_whatever_happened_to_a_fleet(fleet: Fleet) -> None:
    first, second, third = fleet.hosts
    first.run("touch /srv/mark; systemctl stop apache2; userdel -f looker")
    second.kill()
    third.partition()
    fleet.reset()
    first.run("test ! -e /srv/mark && systemctl is-active apache2")
    assert [ssh(fleet, host, "hostname -f") for host in fleet.hosts] == [host.name for host in fleet.hosts]


def test_packages_install_without_a_network(spare: LabHost) -> None:
    assert spare.run("command -v tree", check=False).returncode != 0
    spare.run("apt-get install -qq -y tree && tree --version")


def test_write_takes_any_text(spare: LabHost) -> None:
    text = "it's $HOME \\ `x`\nünïcode\n"
    spare.write("/srv/a folder/file", text, mode=0o600)
    assert spare.run("cat '/srv/a folder/file'; stat -c %a /srv/*/file").stdout == f"{text}600\n"


@pytest.mark.gate
def test_a_power_cut_keeps_the_disk_and_a_reset_does_not(spare: LabHost, spare_fleet: Fleet) -> None:
    key = spare.host_key_line()
    spare.run("touch /srv/mark && chattr +i /srv/mark")
    spare.kill()
    assert spare.state() == "off"
    with pytest.raises(LabError, match="off"):
        spare.run("true")
    spare.boot()
    spare.run("test -e /srv/mark")
    spare.reset()
    spare.run("test ! -e /srv/mark")
    assert spare.host_key_line() == key
    assert ssh(spare_fleet, spare, "echo hello") == "hello"


@pytest.mark.gate
def test_a_disk_that_loses_does_so_although_others_hold_it(spare: LabHost) -> None:
    spare.make_losing()
    held = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "60"])
    try:
        until_it_is_in_another_namespace(held)
        spare.run("echo yes >/srv/synced; sync; echo no >/srv/unsynced")
        spare.cut()
        spare.boot()
        assert spare.run("ls /srv").stdout == "synced\n"
        spare.run("echo later >/srv/later")
        spare.make_keeping()
        assert spare.run("cat /srv/synced /srv/later").stdout == "yes\nlater\n"
    finally:
        held.kill()
        held.wait()


def until_it_is_in_another_namespace(process: subprocess.Popen[bytes]) -> None:
    """A namespace of mounts has its own copy of all that was mounted when it was made."""
    mine, deadline = os.readlink("/proc/self/ns/mnt"), time.monotonic() + 10
    while os.readlink(f"/proc/{process.pid}/ns/mnt") == mine:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_rebuilt_host_has_another_key(spare: LabHost, spare_fleet: Fleet) -> None:
    before = spare.host_key_line()
    spare.rebuild()
    assert spare.host_key_line() != before
    assert before in spare_fleet.known_hosts.read_text()
    assert "Host key verification failed" in ssh(spare_fleet, spare, "true")


def test_accidents_and_their_end(spare: LabHost, spare_fleet: Fleet) -> None:
    spare.partition()
    assert "No route to host" in ssh(spare_fleet, spare, "true")
    spare.heal()
    spare.freeze_sshd()
    frozen = spare.run("ps -o stat= -p $(systemctl show -P MainPID ssh)").stdout
    assert frozen.startswith("T")
    spare.thaw_sshd()
    assert ssh(spare_fleet, spare, "echo hello") == "hello"


@pytest.mark.gate
def test_a_host_joins_and_leaves_with_the_next_reset(spare: LabHost, spare_fleet: Fleet) -> None:
    joined = spare_fleet.add_host()
    assert [host.index for host in spare_fleet.hosts] == [1, 2]
    spare.run(f"curl -sf -o /dev/null http://{joined.name}/")
    assert ssh(spare_fleet, joined, "hostname -f") == joined.name
    spare_fleet.reset()
    assert len(spare_fleet.hosts) == 1
    assert joined.name not in spare_fleet.known_hosts.read_text()


def test_nothing_is_left_after_down(brief: str, fleet: Fleet) -> None:
    before = traces()
    short = Fleet.up(brief, 1)
    assert len(new_since(before)) > 5
    short.down()
    assert new_since(before) == []
    assert not short.dir.exists()
    assert all(host.alive() for host in fleet.hosts)


@pytest.mark.gate
@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("moment", [0.15, 0.4, 1.5])
def test_a_killed_up_is_cleaned_by_what_comes_next(brief: str, moment: float) -> None:
    before = traces()
    command = [sys.executable, "-m", "lab", "up", "-n", "1", "--name", brief]
    starting = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    time.sleep(moment)
    starting.send_signal(signal.SIGKILL)
    starting.wait()
    if moment > 1:
        assert Fleet.up(brief, 1).hosts[0].state() == "running"
    Fleet.clear(brief, orderly=False)
    assert new_since(before) == []


@pytest.mark.usefixtures("fleet_machine")
def test_without_root_one_line_says_so() -> None:
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-m", "lab", "up"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "Permission denied" in done.stderr:
        pytest.skip("this interpreter or checkout is not readable by other users")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["lab: the lab mounts disks and makes networks: run it as root"]
