"""What the commands of steps do to a host: a closed table, each command known whole.

A command that is not here ends the sequence with an error, so that a new step of the program is not passed
over. A command of several parts lets time pass between them, and the host may go down there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from reconciler.kinds.certificate import certbot
from reconciler.kinds.paths import NEW
from tests.simulation.declared import renewal, script_of
from tests.simulation.world import (
    APACHE,
    TLS,
    Copy,
    Cut,
    HostGone,
    Hung,
    Killed,
    Lineage,
    SimHost,
    Unit,
    Violated,
    World,
)

DISK_FULL = (1, "No space left on device")
OK = (0, "")
Result = tuple[int, str]
WEEK, HOUR = 7 * 86400, 3600
ORDERS_A_WEEK, FAILURES_AN_HOUR = 5, 5


class Shell:
    """The commands of one script on one host. `settings` are of the renewal script that runs."""

    def __init__(self, world: World, host: SimHost, environment: str = "") -> None:
        self.world, self.host = world, host
        self.late: BaseException | None = None
        """What has ended the connection while a command ran: the command goes on to its end."""

    def run(self, command: str, stdin: str | None) -> Result:
        """Its status and what it says. Raises `HostGone`; `LookupError` for a command nobody knows."""
        if self.host.liar:
            self.host.liar = False
            self.host.changed_at = (
                self.world.ticks
            )  # what comes of it before the next look is no fault of ours
            return OK
        for pattern, does in TABLE:
            if found := pattern.fullmatch(command):
                return does(self, found, stdin)
        raise LookupError(f"the simulation does not know this command: {command}")

    def part(self) -> None:
        """Between two parts of a command."""
        boots = self.host.boots
        try:
            self.world.tick()
        except (Killed, Cut, Hung) as ended:
            self.late = ended
        if not self.host.up or self.host.boots != boots:
            raise HostGone

    # The script `release`

    def _release(self, found: re.Match[str], stdin: str | None) -> Result:
        verb, *words = shlex.split(found[1])
        return getattr(self, f"_{verb}")(*words)

    def _seal(self, peer: str) -> Result:
        if self.host.full:
            return DISK_FULL
        copy = self.host.copy("staged")
        if copy is None or not copy.intact:
            return 1, "there is nothing to seal"
        self.host.outgoing[peer] = copy.release
        return OK

    def _stage(self, release: str, source: str, account: str = "", sender: str = "") -> Result:
        host = self.host
        if account:
            found = host.incoming
        elif source.endswith("/staged"):
            copy = host.copy("staged")
            found = copy.release if copy and copy.intact else None
        else:
            found = host.lineage.release if host.lineage and host.lineage.newest else None
        if found is None:
            return 1, f"there is no delivery to this host in {source}"
        if host.full:
            return DISK_FULL
        folder = f"releases/{self.world.ticks:08d}-{release}"
        host.copies[folder] = Copy(found)
        self.part()
        host.store["staged"] = folder
        if account:
            self.part()
            host.incoming = None
        return OK

    def _use(self, which: str) -> Result:
        host, target = self.host, self.host.store.get(which)
        if target is None or not (copy := host.copies.get(target)) or not copy.loadable:
            return 1, f"there is no {which} release on this host that services can load"
        host.store["current"] = target
        proven = host.store.get("proven")
        if proven and proven.rpartition("-")[2] == target.rpartition("-")[2]:
            self.part()
            host.store["proven"] = target
        return OK

    def _proven(self, keep: str) -> Result:
        host = self.host
        host.store["proven"] = host.store["current"]
        host.best = max(host.best, host.copies[host.store["proven"]].release)
        self.part()
        used = {host.store.get("staged"), host.store.get("current")}
        for folder in sorted(host.copies, reverse=True)[int(keep) :]:
            if folder not in used:
                del host.copies[folder]
        return OK

    def _prove(self, seconds: str, port: str, protocol: str, *names: str) -> Result:
        host, unit = self.host, self.host.units[TLS[int(port)]]
        copy = host.copy("current")
        if copy is None or not copy.intact:
            return 1, "there is no certificate"
        end = self.world.now + int(seconds)
        if unit.active and self.world.now < unit.listens_at <= end:
            self.world.now = unit.listens_at
        if unit.presents(self.world.now) == copy.release:
            return OK
        self.world.now = end
        self.part()
        return 1, f"port {port}: it still serves another certificate [not-served]"

    def _tool_either(self, found: re.Match[str], stdin: str | None) -> Result:
        status, said = self._use("proven")
        return self._use("staged") if status else (status, said)

    def _prove_or_reload(self, found: re.Match[str], stdin: str | None) -> Result:
        if not (last := self.run(found[1], None))[0]:
            return last
        for command in found[2].split(" && "):
            if (last := self.run(command, None))[0]:
                break
        return last

    # systemd and the services

    def _systemctl(self, found: re.Match[str], stdin: str | None) -> Result:
        verb, unit, now = found[1], self.host.units[shlex.split(found[2])[0]], self.world.now
        if verb in ("enable", "disable"):
            unit.enabled = verb == "enable"
            return OK
        if verb == "stop":
            unit.active = False
            return OK
        done = self.reloads(verb, unit, now)
        return OK if done else (1, f"Job for {unit.name}.service failed")

    def reloads(self, verb: str, unit: Unit, now: float) -> bool:
        if verb == "reload" or (verb == "reload-or-restart" and unit.active):
            return self.host.reload(unit, now)
        if verb == "start" and unit.active:
            return True
        return self.host.start(unit, now)

    def _check_apache(self, found: re.Match[str], stdin: str | None) -> Result:
        return OK if self.host.valid(APACHE) else (1, "Syntax error on line 1")

    def _check_postgresql(self, found: re.Match[str], stdin: str | None) -> Result:
        return OK if self.host.configured("postgresql@15-main") != "broken" else (1, "syntax error")

    def _takes_sum(self, found: re.Match[str], stdin: str | None) -> Result:
        if self.host.full:
            return DISK_FULL
        unit = self.host.units[found[1]]
        unit.new_record = self.host.tree(unit.name)
        return OK

    def _records(self, found: re.Match[str], stdin: str | None) -> Result:
        unit = self.host.units[found[1]]
        unit.record = unit.new_record
        return OK

    def _listens(self, found: re.Match[str], stdin: str | None) -> Result:
        seconds, port = int(found[1]), int(found[2])
        starting = [
            u.listens_at for u in self.host.units.values() if u.active and u.listens_at > self.world.now
        ]
        for at in sorted(starting):
            if at <= self.world.now + seconds and port not in self.host.ports(self.world.now):
                self.world.now = max(self.world.now, at)
        if port in self.host.ports(self.world.now):
            return OK
        self.world.now += seconds
        self.part()
        return 1, f"nothing listens on port {port} after {seconds} s"

    def _answers(self, found: re.Match[str], stdin: str | None) -> Result:
        unit = self.host.units[APACHE]
        if unit.active and unit.listens_at <= self.world.now + 10:
            self.world.now = max(self.world.now, unit.listens_at)
            return OK
        return 1, "something else answers, or nothing"

    # Files

    def _install(self, found: re.Match[str], stdin: str | None) -> Result:
        path = shlex.split(found[1])[-1]
        if self.host.full:
            self.host.files[path] = (stdin or "")[:7]  # what still went onto the disk
            return DISK_FULL
        self.host.files[path] = stdin or ""
        return OK

    def _into_place(self, found: re.Match[str], stdin: str | None) -> Result:
        new, path = found[1], found[2]
        if new not in self.host.files:
            return 1, f"{new}: No such file or directory"
        self.host.files[path] = self.host.files.pop(new)
        return OK

    def _folder(self, found: re.Match[str], stdin: str | None) -> Result:
        self.host.folders[found[2]] = found[1][-4:]
        return OK

    def _chmod(self, found: re.Match[str], stdin: str | None) -> Result:
        if found[2] not in self.host.folders:
            return 1, "No such file or directory"
        self.host.folders[found[2]] = found[1][-4:]
        return OK

    def _key_mode(self, found: re.Match[str], stdin: str | None) -> Result:
        copy = self.host.copy("current")
        if copy is None:
            return 1, "No such file or directory"
        copy.mode = True
        return OK

    def _link(self, found: re.Match[str], stdin: str | None) -> Result:
        if found[2].rpartition("/")[0] not in self.host.folders:
            return 1, "No such file or directory"
        self.host.links[found[2]] = found[1]
        return OK

    def _aside(self, found: re.Match[str], stdin: str | None) -> Result:
        path = found[1]
        self.host.folders.pop(path, None)
        self.host.files.pop(path, None)
        for each in [each for each in self.host.links if each.startswith(f"{path}/")]:
            del self.host.links[each]
        return OK

    def _remove(self, found: re.Match[str], stdin: str | None) -> Result:
        self.host.files.pop(found[1], None)
        return OK

    # Deliveries

    def _rsync(self, found: re.Match[str], stdin: str | None) -> Result:
        peer = self.world.hosts[found[1]]
        if not peer.up:
            self.world.now += 60
            return 255, "No route to host"
        if peer.full:
            return DISK_FULL
        if found[1] not in self.host.outgoing:
            return 23, "delivery.cms: No such file or directory"
        peer.incoming = self.host.outgoing[found[1]]
        return OK

    def _delivered(self, found: re.Match[str], stdin: str | None) -> Result:
        self.host.outgoing.pop(found[1], None)
        return OK

    def _says_sealed(self, found: re.Match[str], stdin: str | None) -> Result:
        if self.host.full:
            return DISK_FULL
        self.host.sealed = (found[1], self.world.now)
        return OK

    def _collect(self, found: re.Match[str], stdin: str | None) -> Result:
        peer = self.world.hosts[found[1]]
        if not peer.up:
            self.world.now += 10
            return 255, "No route to host"
        if self.host.full:
            return DISK_FULL
        if self.host.name not in peer.outgoing:
            return 1, "delivery.cms: No such file or directory"
        self.host.incoming = peer.outgoing[self.host.name]
        return OK

    # certbot

    def _order(self, found: re.Match[str], stdin: str | None) -> Result:
        return self.orders(found[2], found[1])

    def orders(self, replaces: str, script: str, *, only_due: bool = False) -> Result:
        """What certificate.sh does: `order`, or `renew` where it is `only_due`."""
        host, world, ca = self.host, self.world, self.world.ca
        if script not in host.files:
            return 127, f"{script}: not found"
        names, hosts = script_of(host.files[script])
        if host.ordering:
            world.now += 300
            return 75, "another run has been ordering for more than 300 s [another-order]"
        mine = host.lineage.release if host.lineage else "none"
        if mine not in (replaces, "none") and ca.issued[mine].names == tuple(names):
            return OK
        if why := limited(host.ledger, world.wall):
            return 75, why
        if host.full:
            return DISK_FULL
        down = [name for name in hosts if not answers_web(world, name)]
        if down:
            return 1, f"the CA would not find a challenge everywhere [ca-cannot-see]: {' '.join(down)}"
        host.ordering = True
        host.ledger.append((world.wall, "begun"))
        ca.in_flight += 1
        if ca.in_flight > 1:
            raise Violated("more than one order in flight")
        try:
            self.part()
            if ca.mood != "well":
                host.ledger[-1] = (world.wall, "failed")
                return 1, f"the CA is {ca.mood}"
            release = ca.issue(tuple(names), world.wall)
            self.part()
            conf = host.lineage.conf if host.lineage else None
            host.lineage = Lineage(release, conf or dict(renewal()), True)
            host.ledger[-1] = (world.wall, "issued")
        finally:
            ca.in_flight -= 1
            host.ordering = False
        return OK

    def _relink(self, found: re.Match[str], stdin: str | None) -> Result:
        if self.host.lineage:
            self.host.lineage.newest = True
        return OK

    def _lineage_aside(self, found: re.Match[str], stdin: str | None) -> Result:
        self.host.lineage = None
        return OK

    def _register(self, found: re.Match[str], stdin: str | None) -> Result:
        return OK if self.world.ca.mood == "well" else (1, "the CA cannot be reached")

    def _take_over(self, found: re.Match[str], stdin: str | None) -> Result:
        copy = self.host.copy("staged" if "/staged/" in found[0] else "current")
        if copy is None or not copy.intact:
            return 1, "No such file or directory"
        if self.host.full:
            return DISK_FULL
        self.host.files["taken over"] = copy.release
        return OK

    def _add(self, found: re.Match[str], stdin: str | None) -> Result:
        copy = self.host.copy("staged" if "/staged/" in found[0] else "current")
        if copy is None or not copy.intact or self.host.lineage is None:
            return 1, "No such file or directory"
        if self.host.full:
            return DISK_FULL
        self.host.lineage = Lineage(copy.release, self.host.lineage.conf, False)
        return OK

    def _renewal_file(self, found: re.Match[str], stdin: str | None) -> Result:
        if self.host.full:
            return DISK_FULL
        conf = certbot.parse_conf((stdin or "").encode())["renewalparams"]
        if taken := self.host.files.pop("taken over", None):
            self.host.lineage = Lineage(taken, conf)
        elif self.host.lineage:
            self.host.lineage.conf = conf
        return OK

    def _set_renewal(self, found: re.Match[str], stdin: str | None) -> Result:
        if self.host.lineage:
            edits = re.findall(r"/a (\S+) = ([^']*)'", found[0])
            self.host.lineage.conf |= dict(edits)
        return OK

    def _nothing(self, found: re.Match[str], stdin: str | None) -> Result:
        return OK

    def _sleep(self, found: re.Match[str], stdin: str | None) -> Result:
        self.world.now += int(found[1])
        self.part()
        return OK


def limited(ledger: list[tuple[float, str]], now: float) -> str | None:
    """Why the CA would refuse another order, as `limits` of certificate.sh tells it."""
    orders = [at for at, what in ledger if what in ("issued", "begun") and at > now - WEEK]
    failures = [at for at, what in ledger if what in ("failed", "begun") and at > now - HOUR]
    if len(orders) >= ORDERS_A_WEEK:
        return f"{len(orders)} certificates for these names in 7 days [order-limit]"
    if len(failures) >= FAILURES_AN_HOUR:
        return f"{len(failures)} failed orders within an hour [order-limit]"
    return None


def answers_web(world: World, name: str) -> bool:
    """Whether port 80 of a host answers challenges."""
    host = world.hosts[name]
    return host.up and 80 in host.ports(world.now) and not host.units[APACHE].loopback


Does = Callable[[Shell, re.Match[str], str | None], Result]
_TOOL = r"sh /var/lib/reconciler/bin/release"
_NEW = re.escape(NEW)
TABLE: list[tuple[re.Pattern[str], Does]] = [
    (re.compile(pattern, re.DOTALL), does)
    for pattern, does in (
        (rf"({_TOOL} prove 1 [^|]*) 2>/dev/null \|\| {{ (.*); }}", Shell._prove_or_reload),
        (rf"{_TOOL} use proven 2>/dev/null \|\| {_TOOL} use staged", Shell._tool_either),
        (r"echo (\w+) >\S+/outgoing/\S+/release", Shell._says_sealed),
        (r"runuser -u rsync_user -- sh -c .* rsync_user@(\S+) collect >.*", Shell._collect),
        (rf"{_TOOL} ((?:seal|stage|use|proven|prove) .*)", Shell._release),
        (r"apache2ctl -t", Shell._check_apache),
        (r"runuser -u postgres -- /usr/lib/postgresql/15/bin/postgres -C ssl .*", Shell._check_postgresql),
        (r"systemctl (enable|disable|start|stop|reload|restart|reload-or-restart) (\S+)", Shell._systemctl),
        (
            r"mkdir -p /var/lib/reconciler/loaded && .* >/var/lib/reconciler/loaded/(\S+)\.new",
            Shell._takes_sum,
        ),
        (r"sync \S+ && mv /var/lib/reconciler/loaded/\S+ /var/lib/reconciler/loaded/(\S+)", Shell._records),
        (r"timeout (\d+) sh -c 'until ss -Hltn sport = :(\d+) .*", Shell._listens),
        (r"n=0; until \[ \"\$\(curl .*", Shell._answers),
        (rf"install -m \S+ (?:-o \S+ )?(?:-g \S+ )?/dev/stdin (\S+{_NEW})(?: && .*)?", Shell._install),
        (r"\{ .*; \} \|\| \{ rm -f \S+; false; \}", Shell._nothing),
        (rf"sync (\S+{_NEW}) && mv -T \S+ (\S+) && sync \S+", Shell._into_place),
        (r"install -d -m (\S+) (\S+)", Shell._folder),
        (r"chown root:ssl-cert \S+/current/privkey.pem && chmod 0640 \S+", Shell._key_mode),
        (r"chmod (\d+) (\S+)", Shell._chmod),
        (r"chown -h \S+ \S+", Shell._nothing),
        (r"ln -s -f -n -- (\S+) \S+ && mv -T \S+ (\S+) && sync \S+", Shell._link),
        (r"mv -T -- (\S+) \S+\.\$\(date \+%Y%m%d-%H%M%S\)", Shell._aside),
        (r"rm -f -- (\S+)", Shell._remove),
        (r"runuser -u rsync_user -- rsync .*@(\S+):incoming/", Shell._rsync),
        (r"rm -r -- \S+/outgoing/(\S+)", Shell._delivered),
        (r"sh (\S+/certificate\.sh) order (\w+)", Shell._order),
        (r"n=\$\(ls .*", Shell._relink),
        (r"cd \S+ && n=\$\(ls .* && for f in .*", Shell._add),
        (r"umask 077; d=/var/lib/reconciler/former-\$\(date .*", Shell._lineage_aside),
        (r"certbot show_account .*", Shell._register),
        (r"umask 077; mkdir -p .*/live .*", Shell._take_over),
        (r"install -m 0644 /dev/stdin \S+\.conf", Shell._renewal_file),
        (r"cp -p --remove-destination .* && sed -i .*renewalparams.*", Shell._set_renewal),
        (r"sleep (\d+)", Shell._sleep),
        (r"openssl x509 -noout -enddate .*", Shell._nothing),
    )
]
