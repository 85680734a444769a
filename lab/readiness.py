"""When a host counts as up."""

from __future__ import annotations

import socket
import subprocess
import time
from typing import Final, Protocol

from lab.commands import LabError, say
from lab.recipe import SERVICES

LIMIT: Final = 300.0  # seconds until a host that is not up has failed to boot, on a busy machine
PAUSE: Final = 0.15  # seconds between two looks; each costs the booting hosts some CPU


class Booting(Protocol):
    """What is asked of a host here."""

    name: str
    address: str

    def run(self, text: str, check: bool = ...) -> subprocess.CompletedProcess[str]: ...
    def alive(self) -> bool: ...
    def state(self) -> str: ...
    def last_words(self) -> str: ...


def await_up(host: Booting) -> None:
    """Wait until systemd has settled, the services are active and sshd answers.

    Raises LabError when the host goes off, or is not up after LIMIT seconds.
    """
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            lacking = _lacking(host)
        except LabError as problem:  # it went off between two questions, or hangs
            lacking = str(problem)
        if not lacking:
            return
        if not host.alive():
            raise LabError(f"{host.name} went off: {host.last_words()}")
        if time.monotonic() > deadline:
            raise LabError(f"{host.name} is not up after {LIMIT:.0f} s: {lacking}")
        time.sleep(PAUSE)


def _lacking(host: Booting) -> str:
    """What a host still lacks to be up, or nothing."""
    state = host.state()
    if state not in ("running", "degraded"):
        return f"systemd says {state}"
    answers = host.run(f"systemctl is-active {' '.join(SERVICES)}", check=False).stdout.split()
    if len(answers) < len(SERVICES):
        return "systemctl does not answer"
    for service, answer in zip(SERVICES, answers, strict=True):
        if answer != "active":
            return f"{service} is {answer}"
    if not _greets(host.address):
        return "sshd does not answer"
    if state == "degraded":
        failed = host.run("systemctl --failed --plain --no-legend | cut -d ' ' -f 1").stdout
        say(f"{host.name} is degraded: {', '.join(failed.split())} failed")
    return ""


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
