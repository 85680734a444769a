"""A sequence is carried out: what happens, one thing after another, and what must hold at its end."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.model import CannotSee, Plan, Ref
from reconciler.plan.prospects import hopeless
from tests.simulation.actors import Controller, Ended, Parts
from tests.simulation.commands import Shell, limited
from tests.simulation.declared import Declared, environment
from tests.simulation.drawing import NAMES, Op, Sequence
from tests.simulation.world import (
    APACHE,
    CERTIFICATE,
    DAY,
    FOLDER,
    LOCK_LIFETIME,
    POSTGRES,
    SCRIPT,
    VHOST,
    Cut,
    HostGone,
    Hung,
    Killed,
    SimHost,
    Violated,
    World,
)

ROUNDS = 3
"""Runs within which all is well again after the last fault."""


class Run:
    """One sequence under way."""

    def __init__(self, sequence: Sequence, parts: Parts, folder: Path) -> None:
        names = NAMES[: sequence.hosts]
        self.declared = Declared(
            names, names[0], max_unavailable=sequence.unavailable, canary=sequence.canary
        )
        self.former = self.declared
        self.parts, self.folder = parts, folder
        self.world = World(hosts={name: SimHost(name) for name in NAMES})
        if not sequence.bare:
            self.world = pickle.loads(_well(self.declared))
        self.saved: tuple[Declared, Plan] | None = None
        self.approved = False
        """Whether somebody has approved the saved plan."""
        self.runs: list[tuple[int, Declared]] = []
        self.disturbed_at = 0
        self.changed_at = self.lost_at = 0
        """When somebody changed something, and when a host went down, which is no change by anybody."""
        self.nested = False

    def host(self, number: int) -> SimHost:
        return self.world.hosts[self.declared.hosts[number % len(self.declared.hosts)]]

    def controller(self, name: str = "first") -> Controller:
        return Controller(self.world, self.declared, self.folder, self.parts, name)

    def do(self, op: Op) -> None:
        """One thing. What kills or cuts hits whoever is at work."""
        self.world.say(f"== {' '.join(map(str, op))}")
        getattr(self, f"_{op[0]}")(*op[1:])

    # Who acts

    def _apply(self) -> None:
        self._carry_out()

    def _auto(self) -> None:
        self._carry_out(auto=True)

    def _carry_out(self, **how: Any) -> None:
        declared = self.declared
        ended = self.controller().apply(**how)
        if ended.number:
            self.runs.append((ended.number, declared))
        self._judge(ended, declared)

    def _plan(self) -> None:
        made = self.controller().plan()
        self.saved = (self.declared, made.plan) if made.plan and made.plan.actions else None
        self.approved = False

    def _approve(self) -> None:
        self.approved = True

    def _saved(self) -> None:
        if self.saved and self.saved[0] == self.declared:
            self._carry_out(saved=self.saved[1], people=int(self.approved))

    def _rollback(self) -> None:
        """The administrator takes the YAML back, and undoes the last run by what was declared before it."""
        if len(self.runs) > 1:
            (_, before), (number, then) = self.runs[-2:]
            wanted = self.controller().undo(number, then, before)
            # To take away what a first run has made ends what clients get, and is meant to.
            here = {each.host for each in wanted} <= set(self.declared.hosts)
            if wanted and here and not any(each.absent for each in wanted):
                ended = self.controller().apply(wanted=wanted, people=self.declared.approvers)
                self.world.say(f"   rollback ended with {ended.code} {ended.reason}")
        self._edit("back", 0)

    def _second(self) -> None:
        if not self.nested:
            self.nested = True
            try:
                declared = self.declared
                self._judge(self.controller("second").apply(people=declared.approvers), declared)
            finally:
                self.nested = False
            self._disturb()

    def _renew(self) -> None:
        self._cron()

    def _cron(self) -> None:
        """Cron on whoever has a lineage and the script."""
        for host in self.world.hosts.values():
            if not (host.up and host.lineage and SCRIPT in host.files):
                continue
            mine = host.lineage.release
            found = self.world.ca.issued[mine]
            due = found.end - self.world.wall < 30 * DAY or mine in self.world.ca.wants_renewed
            if due and host.lineage.newest:
                shell = Shell(self.world, host)
                with suppress(HostGone):
                    shell.orders(mine, SCRIPT)
                if shell.late:
                    raise shell.late
                self._touch(host)

    def _judge(self, ended: Ended, declared: Declared) -> None:
        """What a run says of itself is true from outside."""
        self.world.say(f"   ended with {ended.code} {ended.reason}")
        for each in ended.outcomes:
            if each.result != "done":
                self.world.say(f"   {each.result}: {each.ref}: {each.detail[:150]}")
        went_down = self.changed_at < ended.began_at <= self.lost_at
        if ended.code == "STALE" and ended.report is None and went_down:
            raise Violated(f"nobody has changed anything, and a run ended as stale: {ended.reason}")
        if ended.code != "OK" or ended.looked_at <= self.disturbed_at:
            return
        lineage = self.world.hosts[declared.primary].lineage
        for name, port, release in self.world.served():
            if name not in declared.hosts:
                continue
            if lineage is None or release != lineage.release or not self.world.accepted(release):
                raise Violated(
                    f"a run ended well, but clients of {name}:{port} get {(release or 'nothing')[-4:]}"
                )

    # What happens to hosts

    def _disturb(self) -> None:
        self.disturbed_at = self.changed_at = self.world.ticks

    def _touch(self, host: SimHost, *, only_down: bool = False) -> None:
        self.disturbed_at = host.changed_at = self.world.ticks
        if only_down:
            self.lost_at = self.world.ticks
        else:
            self._disturb()

    def _drift(self, number: int, what: str) -> None:
        host = self.host(number)
        if host.up:
            drift(self.world, host, what)
            self._touch(host)

    def _lasting(self, number: int, what: str) -> None:
        host = self.host(number)
        unit = host.units[sorted(host.units)[self.world.ticks % 3]]
        if what == "deaf":
            unit.deaf = True
        elif what == "loopback":
            unit.loopback = True
        elif what == "full":
            host.full = True
        elif what == "lacks":
            host.lacks = "flock"
        elif what == "slow":
            unit.delay = 45
        else:
            host.up, host.lock = False, None
        self._touch(host, only_down=what == "down")

    def _heal(self) -> None:
        self.world.jumped = max(0.0, self.world.jumped)
        for host in self.world.hosts.values():
            host.full, host.lacks, host.liar = False, "", False
            for unit in host.units.values():
                unit.deaf, unit.loopback, unit.delay = False, False, 1
            if not host.up and not host.dead:
                host.boot(self.world.now)
        self._disturb()

    def _reboot(self, number: int) -> None:
        host = self.host(number)
        if host.up:
            host.boot(self.world.now)
            self._touch(host)

    def _dead(self, number: int) -> None:
        if not any(host.dead for host in self.world.hosts.values()) and len(self.declared.hosts) > 1:
            host = self.host(number)
            host.up, host.dead, host.lock = False, True, None
            self._touch(host, only_down=True)

    def _lie(self, number: int) -> None:
        self.host(number).liar = True
        self._disturb()

    # The CA, the clock, and what is armed

    def _ca(self, mood: str) -> None:
        self.world.ca.mood = mood

    def _due(self) -> None:
        """The CA wants the newest certificates renewed soon, and cron sees to it."""
        for host in self.world.hosts.values():
            if host.lineage:
                self.world.ca.wants_renewed.add(host.lineage.release)
        self._disturb()
        self._cron()

    def _wait(self, seconds: float) -> None:
        self.world.now += seconds
        self._disturb()

    def _jump(self, seconds: float) -> None:
        """Clocks are set."""
        self.world.jumped += seconds
        self._disturb()

    def _kill(self) -> None:
        raise Killed

    def _cut(self) -> None:
        raise Cut

    def _hang(self) -> None:
        raise Hung

    def _arm(self, ticks: int, *op: Any) -> None:
        self.world.arm(ticks, lambda: self.do(op))

    # What administrators edit

    def _edit(self, what: str, number: int) -> None:
        old, hosts = self.declared, self.declared.hosts
        host = hosts[number % len(hosts)]
        new = old
        if what == "edition":
            new = replace(old, edition=old.edition + 1)
        elif what == "name":
            new = replace(old, names=() if old.names else ("more.example.org",))
        elif what == "unavailable":
            new = replace(old, max_unavailable=3 - old.max_unavailable)
        elif what == "canary":
            new = replace(old, canary=number % 3)
        elif what == "settle":
            new = replace(old, settle=5 - old.settle)
        elif what == "approvers":
            new = replace(old, approvers=1 - old.approvers)
        elif what == "add" and len(hosts) < 4:
            fresh = next(name for name in NAMES if name not in hosts)
            new = replace(old, hosts=(*hosts, fresh))
        elif what == "retire" and host != old.primary:
            new = replace(old, hosts=tuple(each for each in hosts if each != host))
        elif what == "primary":
            new = replace(old, primary=host)
        elif what == "back":
            new = self.former
        if new != old:
            self.former, self.declared = old, new

    # The end

    def finish(self) -> None:
        """After the last fault: all is well again within three runs, and stays so."""
        self.world.armed.clear()
        self._heal()
        self.world.ca.mood = "well"
        self.world.now += LOCK_LIFETIME + 1
        dead = [name for name in self.declared.hosts if self.world.hosts[name].dead]
        self._settles(dead)
        if dead:
            hosts = tuple(name for name in self.declared.hosts if name not in dead)
            hosts = hosts or tuple(name for name in NAMES if name not in dead)[:1]
            primary = hosts[0] if self.declared.primary in dead else self.declared.primary
            self.declared = replace(self.declared, hosts=hosts, primary=primary)
            self._settles([])
        self.controller().check_journal()
        self.world.now += 3600
        seen = self._is_settled([], "an hour later")
        expected = undisturbed(self.declared)
        mine = normal(seen, self.world, self.declared.primary)
        if other := {ref: (mine[ref], expected[ref]) for ref in mine if mine[ref] != expected[ref]}:
            raise Violated(f"the end is not that of the undisturbed run: {other}")

    def _settles(self, dead: list[str]) -> None:
        ended = self._rounds()
        if self._by_hand():
            ended = self._rounds()
        self._is_settled(dead, f"after {ROUNDS} runs; the last ended with {ended.code} {ended.reason}")
        self._serve_newest(dead)

    def _rounds(self) -> Ended:
        for _ in range(ROUNDS):
            if any(limited(host.ledger, self.world.wall) for host in self.world.hosts.values()):
                self.world.now += 8 * DAY
            ended = self.controller().apply(people=self.declared.approvers)
            self._judge(ended, self.declared)
            if ended.code == "OK" and ended.report is None:
                break  # nothing was to be done
        return ended

    def _by_hand(self) -> bool:
        """What the program cannot get out of by itself (decision 26): the only copy on a host is damaged,
        Apache there is down and cannot start without it, and the next one is to be ordered, for which
        that Apache must answer. The administrator brings the copy back."""
        stuck = False
        for host in (self.world.hosts[name] for name in self.declared.hosts):
            copies = [copy for link in ("staged", "proven", "current") if (copy := host.copy(link))]
            if host.up and copies and not host.units[APACHE].active and not any(c.intact for c in copies):
                copies[0].intact = stuck = True
        return stuck

    def _is_settled(self, dead: list[str], when: str) -> Mapping[Ref, Any]:
        made = self.controller().plan()
        assert made.plan
        waits = hopeless(made.plan, self._without_any(made.plan)) if dead else set()
        left = [each for each in made.plan.actions if each.ref not in waits]
        if left or (not dead and not made.plan.complete):
            what = [
                f"{each.ref} {each.verb} {[(d.field, d.seen, d.want) for d in each.deltas]}" for each in left
            ]
            raise Violated(f"the plan is not empty {when}: {what} {dict(made.plan.unknown)}")
        return made.seen

    def _without_any(self, plan: Plan) -> set[Ref]:
        """Hosts that have no certificate, and whose primary is dead, have it from nowhere."""
        if self.world.hosts[self.declared.primary].up:
            return set()
        have = {name for name, host in self.world.hosts.items() if host.pair()}
        return {action.ref for action in plan.actions if action.ref.host not in have}

    def _serve_newest(self, dead: list[str]) -> None:
        primary = self.world.hosts[self.declared.primary]
        if not primary.up or primary.lineage is None:
            return
        newest = primary.lineage.release
        if not self._would_do(newest):
            return  # another one has to be ordered, for which every host must be there
        hosts = [self.world.hosts[name] for name in self.declared.hosts if name not in dead]
        best = max(host.best for host in hosts)
        if best > newest and self._would_do(best) and any(self._has(host, best) for host in hosts):
            raise Violated(f"the fleet had {best[-4:]}, and now it is led to {newest[-4:]}")
        for name, port, release in self.world.served():
            if name in self.declared.hosts and name not in dead and release != newest:
                raise Violated(
                    f"{name}:{port} serves {(release or 'nothing')[-4:]}, the newest is {newest[-4:]}"
                )

    def _has(self, host: SimHost, release: str) -> bool:
        """Whether a host has it, so that services can load it."""
        return any(copy.release == release and copy.loadable for copy in host.copies.values())

    def _would_do(self, release: str) -> bool:
        """Whether nobody would order anew what is as good as this one."""
        overdue = environment(self.declared).certificate.overdue / 100
        names = sorted(self.world.ca.issued[release].names) == sorted(self.declared.all_names)
        return names and self.world.accepted(release) and self.world.fresh(release, overdue)


def drift(world: World, host: SimHost, what: str) -> None:
    """Somebody or something changes a host."""
    newest = host.copy("current")
    if what.startswith("vhost") and VHOST in host.files:
        if what == "vhost gone":
            host.files.pop(VHOST, None)
        else:
            host.files[VHOST] = f"{host.files[VHOST]}\n# {what.split()[1]}"
    elif what == "postgresql changed" and POSTGRES in host.files:
        host.files[POSTGRES] = "# changed"
    elif what in ("current gone", "proven gone", "staged gone"):
        host.store.pop(what.removesuffix(" gone"), None)
    elif what == "current older":
        older = sorted(each for each in host.copies if each != host.store.get("current"))
        if older:
            host.store["current"] = older[0]
    elif what == "copy cut off" and newest:
        newest.intact = False
    elif what == "key mode" and newest:
        newest.mode = False
    elif what == "service stopped":
        host.units[sorted(host.units)[world.ticks % 3]].active = False
    elif what == "link gone":
        host.links.pop(CERTIFICATE, None)
    elif what == "folder mode" and FOLDER in host.folders:
        host.folders[FOLDER] = "0700"
    elif what == "record gone":
        host.units[APACHE].record = ""
    elif what == "links older" and host.lineage:
        host.lineage.newest = False
    elif what == "renewal changed" and host.lineage:
        host.lineage.conf = {**host.lineage.conf, "authenticator": "standalone"}
    elif what == "lineage gone":
        host.lineage = None
    elif what == "lineage older" and host.lineage:
        # certbot's folder, brought back from a backup. What the CA said of it is on this host no longer.
        host.lineage.release = min(copy.release for copy in (*host.copies.values(), host.lineage))
        world.ca.wants_renewed.discard(host.lineage.release)
    elif what == "incoming emptied":
        host.incoming = None


def normal(seen: Mapping[Ref, Any], world: World, primary: str) -> dict[Ref, Any]:
    """What was seen, without what differs from run to run: which certificate it is, and dates."""
    lineage = world.hosts[primary].lineage
    newest = lineage.release if lineage else ""

    def one(state: Any) -> Any:
        if state is None or isinstance(state, CannotSee):
            return state
        return {
            key: "newest" if value == newest else value
            for key, value in state.items()
            if key not in ("expires", "arrived", "limit", "text", "check", "begins", "leads from", "sealed")
        }

    return {ref: one(state) for ref, state in seen.items()}


@cache
def undisturbed(declared: Declared) -> dict[Ref, Any]:
    """What is seen at the end where nothing goes wrong."""
    world = World(hosts={name: SimHost(name) for name in NAMES})
    with Folder() as folder:
        controller = Controller(world, declared, folder, Parts())
        ended = controller.apply(people=declared.approvers)
        assert ended.code == "OK", ended
        return normal(controller.plan().seen, world, declared.primary)


@cache
def _well(declared: Declared) -> bytes:
    world = World(hosts={name: SimHost(name) for name in NAMES})
    with Folder() as folder:
        ended = Controller(world, declared, folder, Parts()).apply()
        assert ended.code == "OK", ended
    world.intents.clear()
    return pickle.dumps(world)


class Folder:
    """A folder for a journal, in memory where there is such a place."""

    def __enter__(self) -> Path:
        where = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.path = Path(tempfile.mkdtemp(prefix="simulation-", dir=where))
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def carry_out(
    sequence: Sequence, parts: Parts | None = None, tell: Callable[[str], None] | None = None
) -> None:
    """Carries a sequence out to its end, and tells what happens. Raises `Violated`."""
    with Folder() as folder:
        run = Run(sequence, parts or Parts(), folder)
        run.world.tell = tell
        for op in sequence.ops:
            with suppress(Killed, Cut, Hung):
                run.do(op)
        run.finish()
