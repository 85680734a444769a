"""This machine's own shell in place of a host: what the product tests run on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence

import pytest

from reconciler.fleet import apply
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.reply import Hear, Reply
from reconciler.fleet.report import Report
from reconciler.model import Plan, Resource

HOST = "here"

NEEDS_ACL = pytest.mark.skipif(
    shutil.which("setfacl") is None, reason="sets access control lists: apt-get install acl"
)


class LocalHost:
    """Runs scripts with `sh`, as `nobody` if asked to; keeps what it was given."""

    name = HOST

    def __init__(self, *, root: bool = True, name: str = HOST) -> None:
        self.root, self.name = root, name
        self.scripts: list[str] = []

    def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
        self.scripts.append(script)
        command: Sequence[str] = ["sh", "-s"]
        if not self.root:
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        done = subprocess.run(
            command,
            input=script.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=15,
            check=False,
        )
        return Reply(done.stdout, root=self.root, sudo="" if self.root else "sudo: a password is required")

    def lock(self, who: str) -> None:
        pass

    def release(self, last: str) -> None:
        assert self.run(f"{last} || echo failed", 10).output == b""

    def close(self) -> None:
        pass


def fleet(resources: Iterable[Resource], *, root: bool = True) -> Fleet:
    """A fleet of this one machine, looked at."""
    made = Fleet("test", resources, [LocalHost(root=root)])
    made.look()
    return made


def plan(*resources: Resource, root: bool = True) -> Plan:
    """What would be done here, now."""
    with fleet(resources, root=root) as here:
        return here.plan()


def settle(*resources: Resource) -> Report:
    """Plans and applies, as the program does."""
    with fleet(resources) as here:
        return apply.apply(here, here.plan())
