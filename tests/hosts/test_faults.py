"""Hosts that cannot be reached, are not who they were, or do not let us in."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Fleet
from tests.support.faults import FAULTY, HEALTHY, FaultyHost, LoginFault, agent, new_key, pin

pytestmark = pytest.mark.fleet

START = "systemctl reset-failed ssh; systemctl start ssh"


# -- nobody there ----------------------------------------------------------------------------


def partition(pair: FaultyHost) -> None:
    pair.ssh["timeout"] = 8  # the kernel itself gives up earlier
    pair.after.callback(pair.faulty.heal)
    pair.faulty.partition()


def silence(pair: FaultyHost) -> None:
    gateway = f"{pair.faulty.address.rpartition('.')[0]}.1/32"
    pair.run(f"ip route add blackhole {gateway}", f"ip route del blackhole {gateway}")


def no_sshd(pair: FaultyHost) -> None:
    pair.run("systemctl stop ssh", START)


def frozen_sshd(pair: FaultyHost) -> None:
    pair.after.callback(pair.faulty.thaw_sshd)
    pair.faulty.freeze_sshd()


def busy_sshd(pair: FaultyHost) -> None:
    pair.sshd("MaxStartups 1\n")
    taken = socket.create_connection((pair.faulty.address, 22), timeout=10)
    pair.after.callback(taken.close)
    assert taken.recv(3) == b"SSH"


def no_such_name(pair: FaultyHost) -> None:
    pair.hosts[FAULTY] = "nowhere.invalid"


def no_name_at_all(pair: FaultyHost) -> None:
    pair.hosts[FAULTY] = "a..b"


ABSENT: list[tuple[Callable[[FaultyHost], None], str]] = [
    (partition, "is unreachable (No route to host); is it up? [no-answer]"),
    (silence, "no answer from 10.77.X.11:22 within 3 s; is it up? [no-answer]"),
    (no_sshd, "10.77.X.11:22 refuses connections; is sshd running, is the port right? [no-answer]"),
    (frozen_sshd, "no SSH answer from 10.77.X.11:22 within 3 s; does its sshd hang?"),
    (busy_sshd, "10.77.X.11:22 gave no usable SSH answer"),
    (no_such_name, "its name does not resolve (nowhere.invalid:22); set `address:` for it"),
    (no_name_at_all, "its name does not resolve (a..b:22); set `address:` for it"),
]


@pytest.mark.parametrize(("fault", "words"), ABSENT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_host_that_does_not_answer_is_named_and_the_others_are_seen(
    pair: FaultyHost, fault: Callable[[FaultyHost], None], words: str
) -> None:
    pair.ssh["timeout"] = 3
    fault(pair)
    pair.sees_only_the_healthy(words.replace("10.77.X.11", pair.faulty.address))


def test_one_host_down_leaves_the_others_to_apply_and_is_finished_later(pair: FaultyHost) -> None:
    no_sshd(pair)
    ended = pair.apply(3)
    # In the plan, and in the report at the end.
    assert ended.out.count(f"? {FAULTY} could not be looked at: {pair.faulty.address}:22 refuses") == 2
    assert "Apply: 2 done." in ended.out
    assert pair.healthy.run("cat /srv/tested/note").stdout == "as declared\n"
    pair.run(START)
    assert "Plan: 2 to create, 0 to change, 0 to remove, 0 reloads on 1 host." in pair.apply(0).out
    pair.settled()


def test_every_host_down_is_not_the_same_as_nothing_to_do(pair: FaultyHost) -> None:
    no_sshd(pair)
    pair.after.callback(pair.healthy.run, START)
    pair.healthy.run("systemctl stop ssh")
    with ThreadPoolExecutor(3) as all_at_once:
        runs = list(all_at_once.map(pair.reconcile, ("plan", "drift", "apply")))
    for ended in runs:
        assert (ended.code, ended.problems) == (3, "")
        assert [ended.reason(host).partition("22 ")[2].partition(";")[0] for host in (FAULTY, HEALTHY)] == [
            "refuses connections",
            "refuses connections",
        ]
        assert ended.out.endswith(
            "Nothing to do as far as could be seen; tested could only be checked partially.\n"
        )
    document = json.loads(pair.reconcile("drift", "--json").out)
    assert [each["host"] for each in document["unreachable"]] == [FAULTY, HEALTHY]
    assert document["actions"] == []


# -- somebody else there ---------------------------------------------------------------------


def test_a_host_key_that_is_not_pinned_is_refused_with_the_line_to_pin_it(pair: FaultyHost) -> None:
    pair.known_hosts.write_text(f"{pin(HEALTHY, pair.healthy)}\n", encoding="ascii")
    reason = pair.sees_only_the_healthy(
        "its host key is not pinned [host-key-unknown]: ssh-ed25519 SHA256:", str(pair.known_hosts)
    )
    line = reason.rpartition(" the line ")[2]
    assert line == pin(FAULTY, pair.faulty)
    ended = pair.apply(3)
    assert ended.out.count("its host key is not pinned") == 2
    assert pair.run("ls /srv") == ""
    with pair.known_hosts.open("a", encoding="ascii") as file:
        file.write(f"{line}\n")
    pair.apply(0)


def test_a_host_key_that_has_changed_is_never_accepted(pair: FaultyHost) -> None:
    other = new_key(pair.folder / "other").with_suffix(".pub").read_text(encoding="ascii")
    pins = f"{pin(HEALTHY, pair.healthy)}\n{FAULTY} {' '.join(other.split()[:2])}\n"
    pair.known_hosts.write_text(pins, encoding="ascii")
    shown = [fingerprint(pair.folder, key) for key in (pair.faulty.host_key_line().partition(" ")[2], other)]
    reason = pair.sees_only_the_healthy(
        "its host key has changed", str(pair.known_hosts), "another machine is answering at"
    )
    assert f"{shown[0]} is offered, {shown[1]} is pinned" in reason
    ended = pair.apply(3)
    assert ended.out.count("its host key has changed") == 2
    assert pair.run("ls /srv") == ""
    assert pair.known_hosts.read_text(encoding="ascii") == pins


def fingerprint(folder: Path, key: str) -> str:
    import subprocess

    file = folder / "shown"
    file.write_text(key, encoding="ascii")
    told = subprocess.run(["ssh-keygen", "-lf", file], capture_output=True, text=True, check=True, timeout=20)
    return told.stdout.split()[1]


def no_pins(pair: FaultyHost) -> str:
    pair.ssh["known_hosts"] = pair.folder / "none"
    return "cannot be read (No such file or directory); see `ssh.known_hosts`"


def pins_in_a_folder(pair: FaultyHost) -> str:
    pair.ssh["known_hosts"] = pair.folder
    return "cannot be read (Is a directory); see `ssh.known_hosts`"


def no_identity(pair: FaultyHost) -> str:
    pair.ssh["identity"] = pair.folder / "none"
    return "none cannot be read (No such file or directory); see `ssh.identity`"


def locked_identity(pair: FaultyHost) -> str:
    pair.ssh["identity"] = new_key(pair.folder / "locked", passphrase="a secret")
    return "locked has a passphrase: add it to an agent and leave `ssh.identity` out"


def public_identity(pair: FaultyHost) -> str:
    pair.ssh["identity"] = f"{pair.identity}.pub"
    return "is no private key; name the file without `.pub`"


def garbage_identity(pair: FaultyHost) -> str:
    (pair.folder / "garbage").write_bytes(bytes(range(256)))
    pair.ssh["identity"] = pair.folder / "garbage"
    return "garbage is no private key"


def other_identity(pair: FaultyHost) -> str:
    pair.ssh["identity"] = new_key(pair.folder / "other")
    return "other; is the public key in its authorized_keys, may the account log in?"


def no_identity_no_agent(pair: FaultyHost) -> str:
    del pair.ssh["identity"]
    pair.variables = {"SSH_AUTH_SOCK": ""}
    return "there is no key to log in with: `ssh.identity` is not set, and no agent holds one"


def empty_agent(pair: FaultyHost) -> str:
    del pair.ssh["identity"]
    pair.variables = dict(pair.after.enter_context(agent()))
    return "there is no key to log in with: `ssh.identity` is not set, and no agent holds one"


def too_full_agent(pair: FaultyHost) -> str:
    del pair.ssh["identity"]
    keys = [new_key(pair.folder / f"key{number}") for number in range(7)]
    pair.variables = dict(pair.after.enter_context(agent(*keys, pair.identity)))
    return "it closed the connection while the agent's keys were tried for ops; name the right one in `ssh.identity` [login-refused]"


OURS = (
    no_pins,
    pins_in_a_folder,
    no_identity,
    locked_identity,
    public_identity,
    garbage_identity,
    other_identity,
    no_identity_no_agent,
    empty_agent,
    too_full_agent,
)


@pytest.mark.parametrize("fault", OURS)
def test_a_fault_of_this_machine_is_told_for_each_host(
    pair: FaultyHost, fault: Callable[[FaultyHost], str]
) -> None:
    words = fault(pair)
    ended = pair.reconcile("plan")
    assert (ended.code, ended.problems) == (3, "")
    for host in (FAULTY, HEALTHY):
        assert words in ended.reason(host)


def test_a_bad_line_in_known_hosts_concerns_only_its_own_host(pair: FaultyHost) -> None:
    pins = (
        f"{pin(HEALTHY, pair.healthy)}\n{FAULTY} ssh-ed25519 AAAA!garbage\n".encode()
        + b"\xff\xfe\0 x\n\n# note\n"
    )
    pair.known_hosts.write_bytes(pins)
    pair.sees_only_the_healthy("its host key is not pinned")


# -- not let in ------------------------------------------------------------------------------


def test_a_key_that_is_not_accepted_is_named_with_what_sshd_said_of_it(pair: FaultyHost) -> None:
    pair.login_faults(
        {
            "unauthorised": LoginFault(sshd="AuthorizedKeysFile none"),
            "denied": LoginFault(sshd="DenyUsers ops"),
            "passwords": LoginFault(sshd="PubkeyAuthentication no\nPasswordAuthentication yes"),
            "healthy-too": LoginFault(),
        }
    )
    ended = pair.reconcile("plan")
    assert (ended.code, ended.problems) == (3, "")
    for name in ("unauthorised", "denied", "passwords"):
        refused = (
            f"authentication refused for ops with {pair.identity}; is the public key in its authorized_keys"
        )
        assert ended.reason(f"{name}.test.dataone.org").startswith(refused)
    assert ended.lines("  + file")


def test_an_account_that_has_expired_is_refused_in_the_words_of_its_host(pair: FaultyHost) -> None:
    pair.run("chage -E 1 ops", "chage -E -1 ops")
    pair.sees_only_the_healthy("authentication refused for ops", "it said: Your account has expired")


def test_the_keys_of_an_agent_log_in_where_no_identity_is_named(pair: FaultyHost) -> None:
    del pair.ssh["identity"]
    pair.variables = dict(pair.after.enter_context(agent(new_key(pair.folder / "another"), pair.identity)))
    pair.sees_both()


# -- by way of another -----------------------------------------------------------------------


@pytest.fixture
def jumps(pair: FaultyHost, fleet: Fleet) -> Iterator[FaultyHost]:
    """Both hosts behind the fleet's second host; the faulty one's network cannot be reached from
    there, for the hosts of two fleets have no way to each other."""
    jump = fleet.hosts[1]
    pair.ssh["jump"] = f"ops@{jump.address}"
    with pair.known_hosts.open("a", encoding="ascii") as file:
        file.write(f"{pin(jump.address, jump)}\n")
    return pair


def test_a_host_behind_a_jump_host_is_reached_and_one_beyond_its_reach_is_named(
    jumps: FaultyHost, fleet: Fleet
) -> None:
    where = f"the jump host {fleet.hosts[1].address} cannot reach {jumps.faulty.address}:22"
    jumps.sees_only_the_healthy(where)
    third = fleet.hosts[2]
    jumps.hosts = {third.name: third.address}
    with jumps.known_hosts.open("a", encoding="ascii") as file:
        file.write(f"{pin(third.name, third)}\n")
    assert jumps.sees_both().problems == ""


@pytest.mark.parametrize("fault", ["down", "unknown", "nonsense"])
def test_a_jump_host_that_is_no_way_is_named_for_every_host(
    jumps: FaultyHost, fleet: Fleet, fault: str
) -> None:
    jump = fleet.hosts[1].address
    if fault == "down":
        jump = f"{jump.rpartition('.')[0]}.250"
        jumps.ssh["jump"] = jump
        words = f"the jump host {jump}: {jump}:22 is unreachable"
    elif fault == "unknown":
        jumps.known_hosts.write_text(
            pin(HEALTHY, jumps.healthy) + "\n" + pin(FAULTY, jumps.faulty) + "\n", encoding="ascii"
        )
        words = f"the jump host {jump}: its host key is not pinned"
    else:
        jumps.ssh["jump"] = f"{jump}:ssh"
        words = f"`ssh.jump: {jump}:ssh` is not [USER@]HOST[:PORT]"
    ended = jumps.reconcile("plan")
    assert (ended.code, ended.problems) == (3, "")
    for host in (FAULTY, HEALTHY):
        assert words in ended.reason(host)
