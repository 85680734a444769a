"""The command line in a test: scripted hosts, a declared environment, and answers typed ahead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.cli.app import run
from reconciler.cli.exit import Code
from reconciler.cli.workplace import Workplace
from reconciler.environment.settings import Environment, Host
from tests.support.scripted import Scripted, Thing


@dataclass
class StoppedClock:
    """A clock that stands until it is moved."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Scene:
    """Scripted hosts, by name, and what else the commands use of the machine."""

    hosts: dict[str, Scripted]
    environment: Environment | None = None
    answers: list[str] | None = None
    """What is typed, line by line; None where there is no terminal."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further fields of the workplace."""

    def __getitem__(self, name: str) -> Scripted:
        return self.hosts[name]

    def run(self, arguments: Sequence[str]) -> int:
        """Runs a command line and returns its exit code, which is never that of a bug."""
        more = dict(self.more)
        if self.environment is not None:
            more["load"] = lambda env: self.environment
        if self.answers is not None:
            typed = iter([*self.answers, *[""] * 20])
            more |= {"is_terminal": lambda: True, "read_line": lambda: next(typed)}
        code = run(list(arguments), Workplace(connect=self._connect, **more))
        assert code != Code.BUG
        return code

    def _connect(self, ssh: Any, hosts: Iterable[Host]) -> list[Scripted]:
        return [self.hosts[host.name] for host in hosts]


def two_hosts(digest: str = "", **more: Any) -> Scene:
    """Two scripted hosts behind the real commands, `a` the primary; `/x` on each is to be `new`."""
    hosts = {name: Scripted(name) for name in ("a", "b")}
    environment = Environment(
        name="e",
        router="r",
        hosts=(Host(name="a", primary=True), Host(name="b")),
        blueprint=False,
        resources=tuple(Thing(host=name, label="/x") for name in hosts),
        file="e.yaml",
        digest=digest,
    )
    return Scene(hosts, environment, more=more)
