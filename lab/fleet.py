"""A fleet: hosts that know each other, on a network of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from lab import image, network
from lab.ca import Authority
from lab.commands import LabError, say
from lab.disk import delete_folder
from lab.environment import environment_text
from lab.host import LabHost
from lab.identity import ROUTER, Member, host_name, host_table, make_key
from lab.machine import require
from lab.network import Network
from lab.readiness import await_up
from lab.record import Record, load
from lab.removal import remove
from lab.store import fleet_folder, fleet_names, locked, store

ORDERLY = 8.0  # seconds a host gets to shut down before its power is cut


class Fleet:
    """A running fleet. Make one with `up`, find one again with `open`.

    name         what it was called at `up`
    dir          its folder
    router       the name that all hosts share, which points at the first one
    hosts        the hosts, by number
    identity     the private key that logs in as ops (sudo) and as looker (none)
    known_hosts  the ssh host keys of all hosts, by name and address
    environment  an environment file for the hosts as they were at `up`
    ca           the certificate authority beside them
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.dir = fleet_folder(root, name)
        self.router = ROUTER
        self.identity = self.dir / "id_ed25519"
        self.known_hosts = self.dir / "known_hosts"
        self.environment = self.dir / "environment.yaml"
        self._root = root
        record = load(self.dir)
        if record is None:
            raise LabError(f"there is no fleet {name}: start it with `lab up`")
        self._record = record
        self._network = Network(record.number)
        self.ca = Authority(self.dir / "ca", self._network)

    @classmethod
    def up(cls, name: str = "lab", hosts: int = 3, folder: Path | None = None) -> Fleet:
        """Start a fleet and wait until every host is up; one that is up already is kept.

        What a killed `up` of the same name left behind is removed first. `folder` is the
        store, by default $RECONCILE_LAB. Raises LabError.
        """
        if not 1 <= hosts <= network.MOST_HOSTS:
            raise LabError(f"a fleet has 1 to {network.MOST_HOSTS} hosts, not {hosts}")
        require()
        root = store(folder)
        with locked(root, f"fleet-{name}"):
            kept = _running(root, name, hosts)
            if kept is not None:
                say(f"fleet {name} is up already")
                return kept
            if fleet_folder(root, name).exists():
                say(f"removing what is left of an earlier fleet {name}")
                remove(root, name, 0)
            base = image.image(root)
            fleet = cls._found(root, name, hosts, base)
            try:
                fleet._start(range(1, hosts + 1))
                fleet.environment.write_text(fleet.declaration(), encoding="utf-8")
            except BaseException:
                remove(root, name, 0)
                raise
            return fleet

    @classmethod
    def open(cls, name: str = "lab", folder: Path | None = None) -> Fleet:
        """The fleet of this name that is there; LabError when there is none."""
        return cls(store(folder), name)

    @classmethod
    def names(cls, folder: Path | None = None) -> list[str]:
        """The names of the fleets in a store, unfinished ones included."""
        return fleet_names(store(folder))

    @classmethod
    def clear(cls, name: str = "lab", folder: Path | None = None, orderly: bool = True) -> bool:
        """End a fleet, or what is left of one; says whether there was anything."""
        require()
        root = store(folder)
        with locked(root, f"fleet-{name}"):
            there = fleet_folder(root, name).exists()
            if there:
                remove(root, name, ORDERLY if orderly else 0)
        return there

    @property
    def number(self) -> int:
        """Which of the subnets is its own."""
        return self._record.number

    @property
    def hosts(self) -> tuple[LabHost, ...]:
        """The hosts, by number."""
        return tuple(
            LabHost(self.dir, Path(self._record.image), self._network, self.ca, member, self._members)
            for member in self._members()
        )

    def host(self, name: str) -> LabHost:
        """A host by its number, its short name or its full name."""
        for host in self.hosts:
            if name in (str(host.index), host.name, host.name.split(".")[0]):
                return host
        raise LabError(f"no host {name} in fleet {self.name}")

    def add_host(self) -> LabHost:
        """Let one more host join; all others learn its name, and known_hosts its key."""
        index = max(member.index for member in self._members()) + 1
        return self._start([index])[0]

    def remove_added(self) -> None:
        """End the hosts that joined later; the others forget their names and stay as they are."""
        self._end_extra()
        self._write_host_tables()
        self.pin()

    def _end_extra(self) -> None:
        for extra in self.hosts[self._record.size :]:
            extra.end(0)
            self.ca.forget(extra.name)
            delete_folder(self.dir / "hosts" / str(extra.index))

    def reset(self, host: LabHost | None = None) -> None:
        """Bring one host back to the bare image; without one, the whole fleet as it was at `up`.

        Hosts that joined later leave then, known_hosts is written anew, and the CA is there.
        """
        if host is not None:
            host.reset()
            return
        self._end_extra()
        self.ca.start()
        self.refuse(False)
        each(self.hosts, LabHost.reset)
        self.pin()

    def pin(self) -> None:
        """Write known_hosts with the keys that the hosts have now."""
        lines = [host.host_key_line() for host in self.hosts]
        self.known_hosts.write_text("\n".join(lines) + "\n", encoding="ascii")

    def declaration(self, more: str = "") -> str:
        """The text of an environment file for the hosts as they are; `more` is appended."""
        return environment_text(
            self.hosts,
            router=self.router,
            identity=self.identity,
            known_hosts=self.known_hosts,
            ca=self.ca,
            more=more,
        )

    def down(self, orderly: bool = True) -> None:
        """End the fleet without a trace; without `orderly` by cutting the power, which is quick."""
        Fleet.clear(self.name, self._root, orderly)

    @classmethod
    def _found(cls, root: Path, name: str, size: int, base: Path) -> Fleet:
        """Write down what will exist before any of it does, so that it can be removed."""
        folder = fleet_folder(root, name)
        folder.mkdir(mode=0o700, parents=True)
        with network.numbers_locked():
            number = network.free_number()
            Record(number, size, str(base), ready=False).save(folder)
            Network(number).create()
        make_key(folder / "id_ed25519", f"lab fleet {name}")
        fleet = cls(root, name)
        fleet.ca.create()
        return fleet

    def _start(self, indexes: Iterable[int]) -> list[LabHost]:
        """Make the hosts with these numbers, tell everybody, wait until they are up."""
        indexes = set(indexes)
        for index in sorted(indexes):
            (self.dir / "hosts" / str(index)).mkdir(mode=0o700, parents=True)
        new = [host for host in self.hosts if host.index in indexes]
        began = time.monotonic()
        self.ca.start_dns()
        for host in new:
            say(f"starting {host.name} ({host.address})")
        each(new, LabHost.create)
        self._write_host_tables()
        self.pin()
        if not self._record.ready:
            self.ca.start()

        def wait(host: LabHost) -> None:
            await_up(host)
            say(f"{host.name} is up after {time.monotonic() - began:.1f} s")

        each(new, wait)
        self._record = replace(self._record, ready=True)
        self._record.save(self.dir)
        return new

    def _write_host_tables(self, acme: str | None = None) -> None:
        """Tell everybody the names: each host's /etc/hosts, and the DNS that the CA asks."""
        members = self._members()
        each(self.hosts, lambda host: host.learn(host_table(members, acme or self.ca.address)))
        for member in members:
            self.ca.set_name(member.name, member.address)
        self.ca.set_name(ROUTER, members[0].address)

    def refuse(self, refusing: bool) -> None:
        """Let the hosts find a CA that is at its limit, or the usual one again."""
        if refusing:
            self.ca.start_refusing()
        self._write_host_tables(self.ca.refusing if refusing else None)
        if not refusing:
            self.ca.stop_refusing()

    def _members(self) -> list[Member]:
        folder = self.dir / "hosts"
        indexes = sorted(int(entry.name) for entry in folder.iterdir()) if folder.is_dir() else []
        return [Member(index, host_name(index), self._network.address(index)) for index in indexes]


def each(hosts: Iterable[LabHost], action: Callable[[LabHost], None]) -> None:
    """Do something to hosts at the same time; raises the first error when all have ended."""
    hosts = list(hosts)
    with ThreadPoolExecutor(max_workers=max(1, min(len(hosts), 16))) as pool:
        list(pool.map(action, hosts))


def _running(root: Path, name: str, hosts: int) -> Fleet | None:
    """The fleet, if it is exactly what an `up` with this number of hosts would give."""
    record = load(fleet_folder(root, name))
    if record is None or not record.ready or Path(record.image).name != image.digest():
        return None
    fleet = Fleet(root, name)
    there = fleet.hosts
    return fleet if len(there) == hosts and all(host.alive() for host in there) else None
