"""The world: hosts with files, links and services, a CA, one clock, and clients that look on. All in memory.

Time passes by ticks: one for each thing that is read or written anywhere. What goes wrong is armed for the
k-th tick from now, so it can come between any two of them. Nothing here is random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

DAY = 86400.0
START = datetime(2030, 1, 7, 12, tzinfo=UTC).timestamp()
TICK = 0.3
"""Seconds that one step of reading or writing takes."""

LIFETIME = 90 * DAY
BACKDATED = 3600.0
"""Seconds by which a certificate begins before it is issued, as Let's Encrypt has it."""
LOCK_LIFETIME = 60
"""Seconds for which a host keeps the lock of a run of which it hears nothing (`fleet.host.LIFETIME`)."""

CERTIFICATE = "/etc/ssl/cn/current"
"""The link from which services read; it leads to `CURRENT` (`paths.certificate`)."""
FOLDER = "/etc/ssl/cn"
CURRENT = "/var/lib/reconciler/certificate/current"
VHOST = "/etc/apache2/sites-available/cn-ssl.conf"
POSTGRES = "/etc/postgresql/15/main/conf.d/zz-reconcile.conf"
SCRIPT = "/etc/letsencrypt/renewal/certificate.sh"

APACHE, POSTGRESQL, TOMCAT = "apache2", "postgresql@15-main", "tomcat10"
TLS = {443: APACHE, 5432: POSTGRESQL, 8443: TOMCAT}
"""The ports on which clients get the certificate."""
FOREIGN = "f" * 32
"""A certificate that is not ours."""


class Killed(BaseException):
    """The process that acts is gone, as after `kill -9`."""


class Cut(BaseException):
    """The connection that is used is gone. `reply`: only on the way back."""


class Hung(BaseException):
    """A command hangs, and the host ends the script when its time is up."""


class HostGone(Exception):
    """The host went down in the middle of a command."""


class Violated(Exception):
    """An invariant does not hold."""


@dataclass
class Unit:
    """A service: whether it runs, when it listens, and what it has loaded."""

    name: str
    enabled: bool = False
    active: bool = True
    since: float = 0
    listens_at: float = 0
    loaded: str | None = None
    """The release that it presents; None where it does no TLS."""
    record: str = ""
    """The sum of its configuration at its last reload by us."""
    new_record: str = ""
    delay: float = 1
    """Seconds until it listens after a start."""
    deaf: bool = False
    """It ignores reloads."""
    loopback: bool = False
    """Only its own host reaches it."""

    def presents(self, now: float) -> str | None:
        return self.loaded if self.active and now >= self.listens_at else None


@dataclass
class Copy:
    """A folder below `releases/`: which release, and whether services can load it."""

    release: str
    intact: bool = True
    mode: bool = True

    @property
    def loadable(self) -> bool:
        return self.intact and self.mode


@dataclass
class Lineage:
    """What certbot has on a host."""

    release: str
    conf: dict[str, str]
    newest: bool = True
    """Whether its links lead to the newest version."""


@dataclass
class Lock:
    """Which run holds a host, for how long though it is silent, and whether its connection lives."""

    number: int
    who: str
    until: float | None = None


def _units() -> dict[str, Unit]:
    return {name: Unit(name, delay=4 if name == TOMCAT else 1) for name in (APACHE, POSTGRESQL, TOMCAT)}


@dataclass
class SimHost:
    """One host."""

    name: str
    up: bool = True
    dead: bool = False
    full: bool = False
    lacks: str = ""
    boots: int = 0
    away: bool = False
    """A run of ours has led its services to a release that is not proven."""
    away_since: int = 0
    """The tick at which it did."""
    failed_at: int = 0
    """The tick at which a command of ours last failed here."""
    changed_at: int = 0
    """The tick at which somebody other than us changed it last."""
    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)
    best: str = ""
    """The newest certificate that its services have ever proven."""
    store: dict[str, str] = field(default_factory=dict)
    """staged, current and proven: to which folder each leads."""
    outgoing: dict[str, str] = field(default_factory=dict)
    incoming: str | None = None
    sealed: tuple[str, float] = ("none", 0.0)
    """Which release it says is sealed for the primary, and since when."""
    lineage: Lineage | None = None
    ledger: list[tuple[float, str]] = field(default_factory=list)
    ordering: bool = False
    units: dict[str, Unit] = field(default_factory=_units)
    lock: Lock | None = None
    newest_number: int = 0
    liar: bool = False
    """The next command ends well and does nothing."""

    def copy(self, link: str) -> Copy | None:
        return self.copies.get(self.store.get(link, ""))

    def release(self, link: str) -> str:
        found = self.copy(link)
        return "none" if found is None else found.release if found.intact else "unreadable: it is cut off"

    def pair(self, unit: str = "") -> str | None:
        """The release that services get at `CERTIFICATE`; None where there is none that they (or this one)
        can load. Apache reads it as root."""
        if FOLDER not in self.folders or self.links.get(CERTIFICATE) != CURRENT:
            return None
        found = self.copy("current")
        return found.release if found and found.intact and (found.mode or unit == APACHE) else None

    def tree(self, unit: str) -> str:
        """The sum of what a service loads, but for the certificate."""
        path = {APACHE: VHOST, POSTGRESQL: POSTGRES}.get(unit, "")
        return f"sum of {self.files.get(path, 'nothing')!r}"

    def configured(self, unit: str) -> str:
        """What the configuration of a service says: `ours`, `foreign`, `nothing` or `broken`."""
        if unit == TOMCAT:
            return "ours"
        text = self.files.get(VHOST if unit == APACHE else POSTGRES)
        if text is None:
            return "nothing"
        if "broken" in text:
            return "broken"
        return "foreign" if "foreign" in text else "ours"

    def valid(self, unit: str) -> bool:
        """What the check of a service says: Apache's reads the certificate too, the others' do not."""
        how = self.configured(unit)
        return how != "broken" and not (unit == APACHE and how == "ours" and self.pair(APACHE) is None)

    def ports(self, now: float) -> frozenset[int]:
        """Where something listens."""
        found: set[int] = set()
        for unit in self.units.values():
            if unit.active and now >= unit.listens_at:
                found |= {APACHE: {80}, POSTGRESQL: {5432}, TOMCAT: {8080}}[unit.name]
                if unit.loaded and unit.name != POSTGRESQL:
                    found.add(443 if unit.name == APACHE else 8443)
        return frozenset(found)

    def reload(self, unit: Unit, now: float) -> bool:
        """As systemd does it; False where it ends with an error."""
        if not unit.active:
            return False
        unit.since = now
        if unit.deaf:
            return True
        if unit.name == APACHE and not self.valid(APACHE):
            unit.active = False  # a graceful restart that cannot read what it needs ends the server
            return False
        if (
            unit.name == POSTGRESQL
            and self.configured(POSTGRESQL) == "ours"
            and self.pair(POSTGRESQL) is None
        ):
            return True  # it goes on with the old one, and says so in its log only
        self._load(unit)
        return True

    def start(self, unit: Unit, now: float) -> bool:
        """Starts or restarts it; False where it does not come up."""
        unit.since, unit.listens_at = now, now + unit.delay
        unit.active = self.valid(unit.name)
        if (
            unit.name == POSTGRESQL
            and self.configured(POSTGRESQL) == "ours"
            and self.pair(POSTGRESQL) is None
        ):
            unit.active = False
        if unit.active:
            self._load(unit)
        return unit.active

    def _load(self, unit: Unit) -> None:
        how = self.configured(unit.name)
        unit.loaded = FOREIGN if how == "foreign" else self.pair(unit.name) if how == "ours" else None

    def boot(self, now: float) -> None:
        """Comes up again: whatever runs was started anew, and nobody holds it."""
        self.up, self.lock, self.ordering, self.boots = True, None, False, self.boots + 1
        for unit in self.units.values():
            if unit.active or unit.enabled:
                self.start(unit, now)


@dataclass
class Issued:
    """A certificate."""

    begin: float
    end: float
    names: tuple[str, ...]


@dataclass
class Ca:
    """The CA: what it has issued, what it says now, and which renewals it wants soon."""

    issued: dict[str, Issued] = field(default_factory=dict)
    mood: str = "well"
    """`well`, `down` or `refuses`."""
    wants_renewed: set[str] = field(default_factory=set)
    in_flight: int = 0

    def issue(self, names: tuple[str, ...], now: float) -> str:
        release = f"{len(self.issued) + 1:032x}"
        self.issued[release] = Issued(now - BACKDATED, now + LIFETIME, names)
        return release


@dataclass
class World:
    """All of it, the clock, and what is armed: pairs of a count of ticks and what happens then."""

    hosts: dict[str, SimHost] = field(default_factory=dict)
    ca: Ca = field(default_factory=Ca)
    now: float = START
    """Seconds, for all that takes time; they only go on."""
    jumped: float = 0
    """Seconds by which the clock on the wall is ahead of that."""
    ticks: int = 0
    numbers: int = 0
    """Locks are numbered in the order in which they are taken."""
    armed: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    intents: set[tuple[str, str]] = field(default_factory=set)
    switching: set[str] = field(default_factory=set)
    """The hosts that switch in the round that is under way."""
    tell: Callable[[str], None] | None = None
    """Is told what happens, for a replay."""

    def say(self, line: str) -> None:
        if self.tell:
            self.tell(f"{self.clock():%d %H:%M:%S} {self.ticks:5} {line}")

    @property
    def wall(self) -> float:
        """What clocks show."""
        return self.now + self.jumped

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.wall, UTC)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.tick()

    def arm(self, ticks: int, happens: Callable[[], None]) -> None:
        """Lets something happen at the k-th tick from now."""
        self.armed.append((self.ticks + max(1, ticks), happens))

    def tick(self) -> None:
        """Time passes; what is due happens, and may raise `Killed` or `Cut`."""
        self.now += TICK
        self.ticks += 1
        if not self.armed:
            return
        due = [each for each in self.armed if each[0] <= self.ticks]
        self.armed = [each for each in self.armed if each[0] > self.ticks]
        for number, (_, happens) in enumerate(due):
            try:
                happens()
            except BaseException:
                self.armed += [(self.ticks + 1, later) for _, later in due[number + 1 :]]
                raise

    def served(self) -> Iterator[tuple[str, int, str | None]]:
        """What clients get: host, port and release, None where there is no handshake."""
        for host in self.hosts.values():
            for port, name in TLS.items():
                unit = host.units[name]
                reached = host.up and not unit.loopback
                yield host.name, port, unit.presents(self.now) if reached else None

    def accepted(self, release: str | None) -> bool:
        """Whether a client takes what it is shown."""
        found = self.ca.issued.get(release or "")
        return found is not None and found.begin <= self.wall < found.end

    def left(self, release: str) -> float:
        """Which part of its lifetime is left."""
        found = self.ca.issued[release]
        return (found.end - self.wall) / (found.end - found.begin)

    def fresh(self, release: str, overdue: float) -> bool:
        return self.left(release) >= overdue and release not in self.ca.wants_renewed
