"""What a look costs where there are many hosts: connections that end, states that are kept once, long parts."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pytest

from reconciler.environment.settings import Host, Ssh
from reconciler.fleet import foreign, probe, shell
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.ssh import WEAK, ConnectionFactory, _Transport
from reconciler.model import Ref
from reconciler.questions.files import StatQuestion
from tests.fleet.test_probe import Asking, Echo
from tests.support.faults import new_key
from tests.support.scripted import Scripted, Thing
from tests.support.sshd import USER, needs_sshd, sshd

BOUNDARY = "0123456789abcdef"


@dataclass
class Counted(Scripted):
    """A host that counts how often its connection has ended."""

    closed: int = 0

    def close(self) -> None:
        self.closed += 1


def test_a_connection_ends_with_the_look_unless_more_is_to_come() -> None:
    things = [Thing(host=name, label="/x", starts=5) for name in ("a", "b")]
    for stays in (False, True):
        settled, starting = Counted("a", {"/x": "new"}), Counted("b", {"/x": "starting"})
        with Fleet("e", things, [settled, starting], stays=stays, wait=lambda seconds: None) as fleet:
            fleet.look()
            assert (settled.closed, starting.closed) == (0 if stays else 1, 0)
            starting.things["/x"] = "new"
            while fleet.look_again():
                pass
            # Asked three times, over one connection.
            assert starting.closed == (0 if stays else 1)
            assert fleet.plan().complete


def test_a_host_that_fails_keeps_no_connection() -> None:
    host = Counted("a", {"/x": "new"}, say=lambda reply: b"nonsense")
    with Fleet("e", [Thing(host="a", label="/x")], [host], stays=False) as fleet:
        fleet.look()
        assert host.closed == 1
        assert fleet.sight.unreachable


def test_equal_states_are_one_object_and_a_number_is_no_truth_value() -> None:
    fleet = Fleet("e", [], [])
    once: Any = fleet._once
    assert once({"mode": "0755"}) is once({"mode": "0755"})
    assert [once({"n": each})["n"] for each in (1, True)] == [1, True]
    assert type(once({"n": True})["n"]) is bool
    hosts = [Scripted(name, {"/x": "n" + "ew"}) for name in "ab"]
    with Fleet("e", [Thing(host=each.name, label="/x") for each in hosts], hosts) as fleet:
        seen = fleet.look().seen
    assert seen[Ref("a", "thing", "/x")] is seen[Ref("b", "thing", "/x")]


def test_a_script_that_is_kept_is_the_one_that_would_be_made_anew() -> None:
    questions = [StatQuestion("/etc/x"), StatQuestion("/srv/a b")]
    paths = [each.path for each in questions]
    anew = foreign.asking("echo 'here'", paths, BOUNDARY)
    assert foreign.with_boundary(foreign.asking("echo 'here'", paths, foreign.BOUNDARY), BOUNDARY) == anew
    for boundary in (BOUNDARY, "f" * 32):
        script = probe.compose(questions, boundary)
        assert "\0" not in script
        assert f"boundary={boundary}\n" in script


def test_what_a_host_answers_comes_in_one_part() -> None:
    questions = [Echo(f"word{number}; sleep 0.05") for number in range(5)]
    with subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(probe.compose(questions, BOUNDARY).encode())
        process.stdin.close()
        part = os.read(process.stdout.fileno(), 1 << 16)
    assert part.endswith(f"\n{BOUNDARY} end\n".encode())
    assert part.count(b"word") == 5


def test_no_cipher_is_offered_that_was_not_and_the_weak_ones_are_not() -> None:
    ours, theirs = (getattr(each, "_preferred_ciphers") for each in (_Transport, paramiko.Transport))  # noqa: B009
    assert sorted(ours) == sorted(theirs)
    left = [name for name in ours if name not in WEAK["ciphers"]]
    assert [name for name in left if "-gcm@" in name] == left[:2]
    assert not any("cbc" in name for name in left)


@needs_sshd
def test_a_connection_that_ends_leaves_no_thread(tmp_path: Path) -> None:
    identity = new_key(tmp_path / "identity")
    with sshd(identity) as server:
        known = tmp_path / "known_hosts"
        known.write_text(server.pin("localhost"))
        ssh = Ssh(user=USER, port=server.port, identity=str(identity), known_hosts=str(known), sudo=False)
        before = threading.active_count()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(_Transport, "_active_check_timeout", 30.0)
            client = ConnectionFactory(ssh).connect(Host(name="localhost", address="127.0.0.1"))
            assert threading.active_count() > before
            time.sleep(1)  # until it waits: sshd says something more after the login
            shell.end(client)
            limit = time.monotonic() + 10
            while threading.active_count() > before and time.monotonic() < limit:
                time.sleep(0.01)
        assert threading.active_count() == before


def test_what_asks_is_asked_in_order() -> None:
    things = [Asking(host="a", label=f"/{number}", question=Echo(str(number))) for number in range(3)]
    asked = Fleet("e", things, [Scripted("a")]).asked("a")
    assert [each.label for each, _ in asked.by_resource] == ["/0", "/1", "/2"]
    assert asked.by_class() == {"Echo": 3}
