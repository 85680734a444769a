"""The program as a user runs it: on a machine with a checkout, an environment file, and hosts."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab import Fleet, LabHost
from lab.environment import environment_text
from tests import ROOT
from tests.support import program
from tests.support.faults import Ended, until
from tests.support.fleet import FRESH

HERE = "blueprint: false\nresources:\n"
"""Begins an environment of nothing but its own resources."""


class AdminMachine:
    """The machine from which somebody looks after a fleet.

    fleet    the hosts
    folder   where the environment file and saved plans lie
    checkout what is run from; a copy of it is a colleague's
    said     everything the program has ever printed or saved here
    anew     whether each process is started, not forked from one that has loaded the program
    """

    anew = False

    def __init__(self, fleet: Fleet, folder: Path, checkout: Path = ROOT) -> None:
        self.fleet, self.folder, self.checkout = fleet, folder, checkout
        self.file = folder / "lab.yaml"
        self.said: list[str] = []
        self.state = folder / "state"
        self.environ: dict[str, str] = {}

    # -- the environment file --------------------------------------------------

    def declare(self, more: str = "", swap: tuple[str, str] | None = None, **other: Any) -> Path:
        """Writes the environment file of the fleet as it is, with `more` appended, one text in
        the place of another, and what else `environment_text` takes."""
        options = {
            "hosts": self.fleet.hosts,
            "router": self.fleet.router,
            "identity": self.fleet.identity,
            "known_hosts": self.fleet.known_hosts,
            "ca": self.fleet.ca,
            "manage": False,
            "more": more,
            **other,
        }
        text = environment_text(**options)
        if swap:
            assert swap[0] in text
            text = text.replace(*swap)
        self.file.write_text(text, encoding="utf-8")
        return self.file

    # -- the program -----------------------------------------------------------

    def start(self, command: str, *arguments: str | Path, **channels: Any) -> subprocess.Popen[str]:
        """Starts `reconcile COMMAND ENV ARGUMENTS…`; with a plan among the arguments, without ENV, or for
        `apply` with `--env ENV`."""
        words = [str(each) for each in arguments]
        named = any(word.endswith((".json", ".yaml")) and word[0] != "-" for word in words[:1])
        given = words if named else [str(self.file), *words]
        if named and command == "apply":
            given += ["--env", str(self.file)]
        return self.start_words(command, *given, **channels)

    def start_words(self, *words: str | Path, **channels: Any) -> subprocess.Popen[str]:
        """Starts `reconcile WORDS…`, as for a command that takes no ENV."""
        environ = {"RECONCILE_STATE": str(self.state), **self.environ}
        return program.start(words, folder=self.checkout, environ=environ, anew=self.anew, **channels)

    def wait(self, process: subprocess.Popen[str], seconds: float = 300) -> Ended:
        """Waits for it to end, for at most that long."""
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"it did not end within {seconds} s: {process.communicate()}") from None
        self.said += [out or "", err or ""]
        assert not re.search("Traceback|internal error", err or ""), err
        return Ended(process.returncode, out or "", err or "")

    def run(self, code: int, command: str, *arguments: str | Path) -> Ended:
        """Runs `reconcile COMMAND ENV ARGUMENTS…` to its end, which is this code."""
        return self._ended(code, self.start(command, *arguments))

    def run_words(self, code: int, *words: str | Path) -> Ended:
        """Runs `reconcile WORDS…` to its end, which is this code."""
        return self._ended(code, self.start_words(*words))

    def _ended(self, code: int, process: subprocess.Popen[str]) -> Ended:
        ended = self.wait(process)
        assert code == ended.code, f"{process.args}: {ended.code}\n{ended.out}\n{ended.err}"
        return ended

    def document(self, code: int, command: str, *arguments: str | Path) -> Any:
        """The JSON document that a command prints."""
        return json.loads(self.run(code, command, *arguments, "--json").out)

    def pending(self, code: int, command: str = "drift", *arguments: str | Path) -> list[str]:
        """What a plan or drift would do, a line for each action; see `action_lines`."""
        return action_lines(self.document(code, command, *arguments))

    def apply(self, code: int = 0, *arguments: str | Path) -> Ended:
        """`apply --yes`."""
        return self.run(code, "apply", *arguments, "--yes")

    def settled(self) -> None:
        """Nothing is left to do, and a look at all hosts says so."""
        ended = self.run(0, "plan", "--detailed-exitcode")
        assert ended.out == "Nothing to do: lab is as declared.\n"
        assert ended.err == "", ended.err

    def settle(self) -> None:
        """Brings the hosts to what is declared, and sees that they are."""
        self.apply(0)
        self.settled()

    def starts(self, sign: str, *arguments: str | Path) -> Running:
        """Starts `apply --yes`, and comes back once it has begun_actions an action that ends so."""
        process = self.start("apply", *arguments, "--yes")
        running = Running(self, process)
        until(lambda: any(sign in line for line in running.lines), f"{sign} in {running.lines}", 60)
        return running

    def asked(self, answer: str, *arguments: str | Path) -> tuple[int, str]:
        """`apply` on a terminal, where somebody types this answer; the code and the screen."""
        ours, theirs = pty.openpty()
        process = self.start("apply", *arguments, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        screen = ""
        try:
            while select.select([ours], [], [], 120)[0]:  # a prompt that nobody answers must not hang
                screen += os.read(ours, 1 << 16).decode("utf-8", "replace")
                if screen.endswith("will be accepted: "):
                    os.write(ours, answer.encode())
        except OSError:  # the other side of the terminal is closed
            pass
        finally:
            os.close(ours)
        self.said.append(screen)
        return process.wait(60), screen.replace("\r\n", "\n")


class Running:
    """An apply that has begun. `lines` is what it has said on stderr so far."""

    def __init__(self, admin: AdminMachine, process: subprocess.Popen[str]) -> None:
        self.admin, self.process = admin, process
        self.lines: list[str] = []
        self._out: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=pair)
            for pair in ((process.stdout, self._out), (process.stderr, self.lines))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, into: list[str]) -> None:
        for line in stream:
            into.append(line.rstrip("\n"))
        stream.close()

    def send(self, number: signal.Signals) -> Ended:
        """Sends it a signal, and waits for its end."""
        self.process.send_signal(number)
        return self.end()

    def end(self) -> Ended:
        """Waits for its end."""
        code = self.process.wait(300)
        for reader in self._readers:
            reader.join()
        out, err = "\n".join(self._out), "\n".join(self.lines)
        self.admin.said += [out, err]
        assert not re.search("Traceback|internal error", err), err
        return Ended(code, out, err)


def action_lines(document: Any) -> list[str]:
    """The actions of a plan, each as `VERB HOST KIND NAME` with the host's short name."""
    return sorted(
        f"{each['verb']} {each['host'].split('.')[0]} {each['kind']} {each['name']}"
        for each in document["actions"]
    )


def begun_actions(ended: Ended | Running) -> list[str]:
    """The actions that an apply says it begins, in the form of `action_lines`."""
    lines = ended.lines if isinstance(ended, Running) else ended.err.splitlines()
    found = []
    for line in lines:
        words, _, verb = line.rpartition(": ")
        if verb in ("create", "change", "remove", "reload", "restart"):
            host, _, rest = words.partition(" ")
            found.append(f"{verb} {host.split('.')[0]} {rest}")
    return sorted(found)


def free(host: LabHost) -> bool:
    """Whether no run holds the host's lock."""
    return host.run("flock -n /run/reconciler.lock true", check=False).returncode == 0


def changed_since(host: LabHost, mark: str) -> list[str]:
    """What was changed on a host's disk after a mark was set, but for logs and the like."""
    skipped = " -o ".join(f"-path {each}" for each in ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/log"))
    found = host.run(f"find / '(' {skipped} ')' -prune -o -cnewer {mark} -print").stdout.splitlines()
    own = (
        "/var/mail",
        "/var/cache/tomcat10",
        "/var/lib/postgresql",
        "/var/lib/systemd",
        "/var/tmp",
        "/root",
        "/etc/resolv.conf",
    )
    return sorted(path for path in found if not path.startswith(own) and path != mark)


def bare_hosts(fleet: Fleet, config: pytest.Config) -> Fleet:
    """The fleet as the base image has it, for the tests of a whole module."""
    if fleet.name not in config.stash[FRESH]:
        fleet.reset()
        config.stash[FRESH].add(fleet.name)
    return fleet


def each_host(hosts: Sequence[LabHost], text: str) -> Iterator[str]:
    """What a shell text prints on each host, as root."""
    for host in hosts:
        yield host.run(text).stdout
