"""Hosts that cannot be reached, are not who they were, or do not let us in."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Fleet
from tests.support.faults import SICK, WELL, Bed, FaultyHost, agent, new_key, pin

pytestmark = pytest.mark.fleet

START = "systemctl reset-failed ssh; systemctl start ssh"


# -- nobody there ----------------------------------------------------------------------------


def partition(ward: FaultyHost) -> None:
    ward.ssh["timeout"] = 8  # the kernel itself gives up earlier
    ward.after.callback(ward.sick.heal)
    ward.sick.partition()


def silence(ward: FaultyHost) -> None:
    gateway = f"{ward.sick.address.rpartition('.')[0]}.1/32"
    ward.run(f"ip route add blackhole {gateway}", f"ip route del blackhole {gateway}")


def no_sshd(ward: FaultyHost) -> None:
    ward.run("systemctl stop ssh", START)


def frozen_sshd(ward: FaultyHost) -> None:
    ward.after.callback(ward.sick.thaw_sshd)
    ward.sick.freeze_sshd()


def busy_sshd(ward: FaultyHost) -> None:
    ward.sshd("MaxStartups 1\n")
    taken = socket.create_connection((ward.sick.address, 22), timeout=10)
    ward.after.callback(taken.close)
    assert taken.recv(3) == b"SSH"


def no_such_name(ward: FaultyHost) -> None:
    ward.hosts[SICK] = "nowhere.invalid"


def no_name_at_all(ward: FaultyHost) -> None:
    ward.hosts[SICK] = "a..b"


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
    ward: FaultyHost, fault: Callable[[FaultyHost], None], words: str
) -> None:
    ward.ssh["timeout"] = 3
    fault(ward)
    ward.blind(words.replace("10.77.X.11", ward.sick.address))


def test_one_host_down_leaves_the_others_to_apply_and_is_finished_later(ward: FaultyHost) -> None:
    no_sshd(ward)
    ended = ward.apply(3)
    # In the plan, and in the report at the end.
    assert ended.out.count(f"? {SICK} could not be looked at: {ward.sick.address}:22 refuses") == 2
    assert "Apply: 2 done." in ended.out
    assert ward.well.run("cat /srv/ward/note").stdout == "as declared\n"
    ward.run(START)
    assert "Plan: 2 to create, 0 to change, 0 to remove, 0 reloads on 1 host." in ward.apply(0).out
    ward.settled()


def test_every_host_down_is_not_the_same_as_nothing_to_do(ward: FaultyHost) -> None:
    no_sshd(ward)
    ward.after.callback(ward.well.run, START)
    ward.well.run("systemctl stop ssh")
    with ThreadPoolExecutor(3) as all_at_once:
        runs = list(all_at_once.map(ward.reconcile, ("plan", "drift", "apply")))
    for ended in runs:
        assert (ended.code, ended.err) == (3, "")
        assert [ended.reason(host).partition("22 ")[2].partition(";")[0] for host in (SICK, WELL)] == [
            "refuses connections",
            "refuses connections",
        ]
        assert ended.out.endswith(
            "Nothing to do as far as could be seen; ward could only be checked partially.\n"
        )
    document = json.loads(ward.reconcile("drift", "--json").out)
    assert [each["host"] for each in document["unreachable"]] == [SICK, WELL]
    assert document["actions"] == []


# -- somebody else there ---------------------------------------------------------------------


def test_a_host_key_that_is_not_pinned_is_refused_with_the_line_to_pin_it(ward: FaultyHost) -> None:
    ward.known_hosts.write_text(f"{pin(WELL, ward.well)}\n", encoding="ascii")
    reason = ward.blind(
        "its host key is not pinned [host-key-unknown]: ssh-ed25519 SHA256:", str(ward.known_hosts)
    )
    line = reason.rpartition(" the line ")[2]
    assert line == pin(SICK, ward.sick)
    ended = ward.apply(3)
    assert ended.out.count("its host key is not pinned") == 2
    assert ward.run("ls /srv") == ""
    with ward.known_hosts.open("a", encoding="ascii") as file:
        file.write(f"{line}\n")
    ward.apply(0)


def test_a_host_key_that_has_changed_is_never_accepted(ward: FaultyHost) -> None:
    other = new_key(ward.folder / "other").with_suffix(".pub").read_text(encoding="ascii")
    pins = f"{pin(WELL, ward.well)}\n{SICK} {' '.join(other.split()[:2])}\n"
    ward.known_hosts.write_text(pins, encoding="ascii")
    shown = [fingerprint(ward.folder, key) for key in (ward.sick.host_key_line().partition(" ")[2], other)]
    reason = ward.blind("its host key has changed", str(ward.known_hosts), "another machine is answering at")
    assert f"{shown[0]} is offered, {shown[1]} is pinned" in reason
    ended = ward.apply(3)
    assert ended.out.count("its host key has changed") == 2
    assert ward.run("ls /srv") == ""
    assert ward.known_hosts.read_text(encoding="ascii") == pins


def fingerprint(folder: Path, key: str) -> str:
    import subprocess

    file = folder / "shown"
    file.write_text(key, encoding="ascii")
    told = subprocess.run(["ssh-keygen", "-lf", file], capture_output=True, text=True, check=True, timeout=20)
    return told.stdout.split()[1]


def no_pins(ward: FaultyHost) -> str:
    ward.ssh["known_hosts"] = ward.folder / "none"
    return "cannot be read (No such file or directory); see `ssh.known_hosts`"


def pins_in_a_folder(ward: FaultyHost) -> str:
    ward.ssh["known_hosts"] = ward.folder
    return "cannot be read (Is a directory); see `ssh.known_hosts`"


def no_identity(ward: FaultyHost) -> str:
    ward.ssh["identity"] = ward.folder / "none"
    return "none cannot be read (No such file or directory); see `ssh.identity`"


def locked_identity(ward: FaultyHost) -> str:
    ward.ssh["identity"] = new_key(ward.folder / "locked", passphrase="a secret")
    return "locked has a passphrase: add it to an agent and leave `ssh.identity` out"


def public_identity(ward: FaultyHost) -> str:
    ward.ssh["identity"] = f"{ward.identity}.pub"
    return "is no private key; name the file without `.pub`"


def garbage_identity(ward: FaultyHost) -> str:
    (ward.folder / "garbage").write_bytes(bytes(range(256)))
    ward.ssh["identity"] = ward.folder / "garbage"
    return "garbage is no private key"


def other_identity(ward: FaultyHost) -> str:
    ward.ssh["identity"] = new_key(ward.folder / "other")
    return "other; is the public key in its authorized_keys, may the account log in?"


def no_identity_no_agent(ward: FaultyHost) -> str:
    del ward.ssh["identity"]
    ward.variables = {"SSH_AUTH_SOCK": ""}
    return "there is no key to log in with: `ssh.identity` is not set, and no agent holds one"


def empty_agent(ward: FaultyHost) -> str:
    del ward.ssh["identity"]
    ward.variables = dict(ward.after.enter_context(agent()))
    return "there is no key to log in with: `ssh.identity` is not set, and no agent holds one"


def too_full_agent(ward: FaultyHost) -> str:
    del ward.ssh["identity"]
    keys = [new_key(ward.folder / f"key{number}") for number in range(7)]
    ward.variables = dict(ward.after.enter_context(agent(*keys, ward.identity)))
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
    ward: FaultyHost, fault: Callable[[FaultyHost], str]
) -> None:
    words = fault(ward)
    ended = ward.reconcile("plan")
    assert (ended.code, ended.err) == (3, "")
    for host in (SICK, WELL):
        assert words in ended.reason(host)


def test_a_bad_line_in_known_hosts_concerns_only_its_own_host(ward: FaultyHost) -> None:
    pins = f"{pin(WELL, ward.well)}\n{SICK} ssh-ed25519 AAAA!garbage\n".encode() + b"\xff\xfe\0 x\n\n# note\n"
    ward.known_hosts.write_bytes(pins)
    ward.blind("its host key is not pinned")


# -- not let in ------------------------------------------------------------------------------


def test_a_key_that_is_not_accepted_is_named_with_what_sshd_said_of_it(ward: FaultyHost) -> None:
    ward.beds(
        {
            "unauthorised": Bed(sshd="AuthorizedKeysFile none"),
            "denied": Bed(sshd="DenyUsers ops"),
            "passwords": Bed(sshd="PubkeyAuthentication no\nPasswordAuthentication yes"),
            "well-too": Bed(),
        }
    )
    ended = ward.reconcile("plan")
    assert (ended.code, ended.err) == (3, "")
    for name in ("unauthorised", "denied", "passwords"):
        refused = (
            f"authentication refused for ops with {ward.identity}; is the public key in its authorized_keys"
        )
        assert ended.reason(f"{name}.test.dataone.org").startswith(refused)
    assert ended.lines("+ well-too.test.dataone.org file")


def test_an_account_that_has_expired_is_refused_in_the_words_of_its_host(ward: FaultyHost) -> None:
    ward.run("chage -E 1 ops", "chage -E -1 ops")
    ward.blind("authentication refused for ops", "it said: Your account has expired")


def test_the_keys_of_an_agent_log_in_where_no_identity_is_named(ward: FaultyHost) -> None:
    del ward.ssh["identity"]
    ward.variables = dict(ward.after.enter_context(agent(new_key(ward.folder / "another"), ward.identity)))
    ward.whole()


# -- by way of another -----------------------------------------------------------------------


@pytest.fixture
def jumps(ward: FaultyHost, fleet: Fleet) -> Iterator[FaultyHost]:
    """Both hosts behind the fleet's second host; the sick one's network cannot be reached from
    there, for the hosts of two fleets have no way to each other."""
    jump = fleet.hosts[1]
    ward.ssh["jump"] = f"ops@{jump.address}"
    with ward.known_hosts.open("a", encoding="ascii") as file:
        file.write(f"{pin(jump.address, jump)}\n")
    return ward


def test_a_host_behind_a_jump_host_is_reached_and_one_beyond_its_reach_is_named(
    jumps: FaultyHost, fleet: Fleet
) -> None:
    where = f"the jump host {fleet.hosts[1].address} cannot reach {jumps.sick.address}:22"
    jumps.blind(where)
    third = fleet.hosts[2]
    jumps.hosts = {third.name: third.address}
    with jumps.known_hosts.open("a", encoding="ascii") as file:
        file.write(f"{pin(third.name, third)}\n")
    assert jumps.whole().err == ""


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
            pin(WELL, jumps.well) + "\n" + pin(SICK, jumps.sick) + "\n", encoding="ascii"
        )
        words = f"the jump host {jump}: its host key is not pinned"
    else:
        jumps.ssh["jump"] = f"{jump}:ssh"
        words = f"`ssh.jump: {jump}:ssh` is not [USER@]HOST[:PORT]"
    ended = jumps.reconcile("plan")
    assert (ended.code, ended.err) == (3, "")
    for host in (SICK, WELL):
        assert words in ended.reason(host)
