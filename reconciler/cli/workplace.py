"""What commands use of the machine they run on: the real one here, a test hands in its own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.options import say
from reconciler.clock import Clock, utc_now

if TYPE_CHECKING:
    from reconciler.diagnosis.machine import Machine
    from reconciler.environment.settings import Environment, Host, Ssh
    from reconciler.fleet.fleet import HostConnection
    from reconciler.journal.journal import Journal
    from reconciler.tls.endpoint import Endpoint, NoHandshake, TlsAnswer

    Answers = Mapping[Endpoint, TlsAnswer | NoHandshake]


def _load(env: str) -> Environment:
    from reconciler.environment.load import find, load

    return load(find(env))


def _connect(ssh: Ssh, hosts: Iterable[Host]) -> Sequence[HostConnection]:
    from reconciler.fleet.host import RemoteHost
    from reconciler.fleet.ssh import ConnectionFactory

    factory, hosts = ConnectionFactory(ssh), list(hosts)
    for remark in factory.routes.remarks(hosts):
        say(remark)
    return [RemoteHost(host, factory) for host in hosts]


def _journal(clock: Clock, write: bool) -> Journal:
    from reconciler.journal.journal import Journal

    return Journal(write=write, clock=clock)


def _probe_tls(endpoints: Iterable[Endpoint], seconds: float, parallel: int, ping: str | None) -> Answers:
    from reconciler.tls.handshake import probe_all_tls

    return probe_all_tls(endpoints, seconds, parallel, ping)


def _machine() -> Machine:
    from reconciler.diagnosis.machine import Machine

    return Machine()


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wants_colour(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether to colour: the variables count where they are not empty, and NO_COLOR most of all
    (no-color.org, force-color.org)."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (is_terminal and environ.get("TERM") != "dumb")


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """The clock, the environment files, the hosts, the services, the journal and the terminal."""

    clock: Clock = utc_now
    load: Callable[[str], Environment] = _load
    """The environment that ENV names; raises `InvalidEnvironment`."""
    connect: Callable[[Ssh, Iterable[Host]], Sequence[HostConnection]] = _connect
    """A connection for each host, opened when it is first used."""
    probe_tls: Callable[[Iterable[Endpoint], float, int, str | None], Answers] = _probe_tls
    """What each endpoint serves: (endpoints, seconds, how many at a time, ping)."""
    journal: Callable[[Clock, bool], Journal] = _journal
    """Opens the journal, to write where the second is true; raises `NoJournal`."""
    machine: Callable[[], Machine] = _machine
    """Its programs and resolver, and the CA as it is seen from it: what `doctor` checks."""
    units: Path = Path("/etc/systemd/system")
    """Where `cron --install` writes units."""
    is_terminal: Callable[[], bool] = lambda: sys.stdin.isatty() and sys.stdout.isatty()
    """Whether somebody can be asked."""
    has_colour: Callable[[], bool] = lambda: wants_colour(os.environ, is_terminal=sys.stdout.isatty())
    width: Callable[[], int | None] = _width
    """Columns that lines are wrapped to; None where stdout is no terminal."""
    read_line: Callable[[], str] = lambda: sys.stdin.readline().strip()

    def journal_to_read(self) -> Journal | None:
        """The journal, opened to read; None where there is none yet. Raises `NoJournal`."""
        from reconciler.journal.journal import NoJournal
        from reconciler.journal.place import NAME, folder

        try:
            return self.journal(self.clock, False) if (folder() / NAME).exists() else None
        except OSError as error:
            raise NoJournal(str(error)) from None

    def ask(self, question: str) -> str:
        """The answer of whoever sits at the terminal."""
        print(question, end="", flush=True)
        return self.read_line()
