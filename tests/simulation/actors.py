"""Who acts: controllers that plan and apply, cron, and administrators who change things."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler.approval import binding, policy
from reconciler.cli.run import _code
from reconciler.fleet import apply as executor
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.reply import HostError, Locked
from reconciler.fleet.report import Report
from reconciler.journal.entries import settled
from reconciler.journal.journal import Journal
from reconciler.journal.path import paths
from reconciler.journal.record import RunRecord
from reconciler.journal.undo import inverse
from reconciler.model import Action, Outcome, Plan, Ref, Resource
from reconciler.plan.order import edges
from tests.simulation.connection import SimConnection
from tests.simulation.declared import ROUTER, Declared, environment, resources
from tests.simulation.watch import SWITCH, Watch
from tests.simulation.world import Cut, Hung, Killed, Violated, World


class TickingJournal(Journal):
    """The real journal; each write is a moment at which something may happen."""

    world: World

    def append_all(self, run: int, environment: str, entries: Iterable[tuple[str, Any]]) -> None:
        kept = list(entries)
        # Right after a look, whose last moment is the same: no seed has to mean another sequence for it.
        passes = [what for what, _ in kept] != ["locked"]
        if passes:
            self.world.tick()
        super().append_all(run, environment, kept)
        if passes:
            self.world.tick()


class SimRecord(RunRecord):
    """The real record, whose intents the watch knows."""

    def __init__(self, journal: Journal, number: int, name: str, world: World) -> None:
        super().__init__(journal, number, name)
        self._world = world

    def record_intent(
        self, actions: Iterable[Action], passed: Mapping[Ref, str], unseen: Collection[Ref]
    ) -> None:
        kept = list(actions)
        super().record_intent(kept, passed, unseen)
        self._world.intents = {
            (each.ref.host, step.command) for each in kept for step in (*each.steps, *each.rescue)
        } | self._world.intents
        self._world.switching = {
            each.ref.host for each in kept if any(SWITCH.fullmatch(step.command) for step in each.steps)
        }


class InOrder:
    """In place of a pool of threads: one after another, so that a seed always says the same."""

    @staticmethod
    def submit(does: Callable[[], Any]) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(does())
        return done

    def shutdown(self, **_: Any) -> None:
        pass


class SimFleet(Fleet):
    """The real fleet, whose hosts are asked one after another."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.pool = InOrder()


@dataclass
class Parts:
    """What a controller is made of; a planted bug hands in another part."""

    connection: type[SimConnection] = SimConnection
    fleet: type[SimFleet] = SimFleet
    record: type[SimRecord] = SimRecord
    looks_again: bool = True
    without_lost: Any = binding.without_lost
    resources: Any = resources


@dataclass
class Ended:
    """How a run ended. `code` as the program would exit; None where it was killed."""

    code: str
    report: Report | None = None
    plan: Plan | None = None
    reason: str = ""
    outcomes: tuple[Outcome, ...] = ()
    seen: dict[Ref, Any] = field(default_factory=dict)
    number: int = 0
    """Its number in the journal; 0 where nothing was begun."""
    looked_at: int = 0
    """The tick at which the first of its hosts was last looked at."""
    began_at: int = 0
    """The tick before its first look, or before what it applies was saved."""


class Controller:
    """`reconcile apply` and `plan`, on a machine with a journal; the same steps as `cli.run.Run`."""

    def __init__(
        self, world: World, declared: Declared, folder: Path, parts: Parts, name: str = "first"
    ) -> None:
        self.world, self.declared, self.folder, self.parts, self.name = world, declared, folder, parts, name
        env = environment(declared)
        canaries = [each.name for each in env.replicas[: declared.canary]]
        self.watch = Watch(world, env.at_once, canaries)

    def _fleet(self, wanted: Sequence[Resource]) -> SimFleet:
        env = environment(self.declared)
        names = {each.host for each in wanted}
        hosts = [
            self.parts.connection(self.world, self.world.hosts[name], env, self.watch)
            for name in self.declared.hosts
            if name in names
        ]
        made = self.parts.fleet(env.name, wanted, hosts, clock=self.world.clock, wait=self.world.wait)
        for each in hosts:
            each.fleet = made
        return made

    def plan(self) -> Ended:
        """Looks and plans; changes nothing."""
        try:
            with self._fleet(self.parts.resources(self.declared)) as fleet:
                fleet.settle()
                return Ended("planned", plan=fleet.plan(), seen=dict(fleet.sight.seen))
        except (Killed, Cut, Hung):
            return Ended("killed")

    def apply(
        self,
        *,
        saved: Plan | None = None,
        auto: bool = False,
        people: int = 0,
        wanted: Sequence[Resource] = (),
    ) -> Ended:
        """Looks, takes the plan for approved by so many people (or has a saved one), and carries it out."""
        began_at = 0 if saved else self.world.ticks
        try:
            ended = self._apply(saved, auto, people, wanted or self.parts.resources(self.declared))
            return replace(ended, began_at=began_at)
        except (Killed, Cut, Hung):
            return Ended("killed")

    def _apply(self, saved: Plan | None, auto: bool, people: int, wanted: Sequence[Resource]) -> Ended:
        env = environment(self.declared)
        known = {str(each.ref) for each in wanted}
        with self._journal() as journal, self._fleet(wanted) as fleet:
            fleet.settle()
            shown = fleet.plan()
            approved, waiting = saved or shown, set()
            if auto:
                approved = policy.automatic(env.policy, shown, known)
                waiting = {each.ref for each in shown.actions} - {each.ref for each in approved.actions}
            if not approved.actions:
                ended = Ended("OK" if shown.complete and not shown.actions else "INCOMPLETE", None, shown)
                return self._with_sight(ended, fleet)
            support = policy.Support(people, env.policy.approvers, known)
            if reasons := policy.forbids(env.policy, approved, support, self.world.clock(), None):
                return Ended("NOT_APPROVED", reason="; ".join(reasons))
            number = journal.begin(env.name, {"command": "apply", "actions": len(approved.actions)}, b"")
            record = self.parts.record(journal, number, env.name, self.world)
            ended = self._locked(fleet, approved, waiting, record)
            journal.end(number, env.name, {"code": ended.code})
            ended.number = number
            return self._with_sight(ended, fleet)

    def undo(self, number: int, then: Declared, before: Declared) -> Sequence[Resource]:
        """What would undo a run, by the journal and by what was declared for it and before it."""
        with self._journal() as journal:
            done = settled(journal.entries(number, None))
        made = inverse(done, self.parts.resources(then), self.parts.resources(before))
        return made.resources

    def check_journal(self) -> None:
        """The chain of the journal is whole, and what it tells of each run is a path of the model."""
        with self._journal() as journal:
            if wrong := journal.verify():
                raise Violated(f"the journal: {wrong}")
            for each in paths(journal.entries()):
                if each.result != "path":
                    raise Violated(f"run {each.run}, entry {each.entry}: {each.detail}")

    def _with_sight(self, ended: Ended, fleet: Fleet) -> Ended:
        ended.seen = dict(fleet.sight.seen)
        ended.looked_at = min(each.looked_at for each in fleet.hosts.values())
        return ended

    def _journal(self) -> TickingJournal:
        journal = TickingJournal(self.folder, clock=self.world.clock)
        journal.world = self.world
        return journal

    def _locked(self, fleet: Fleet, approved: Plan, waiting: set[Ref], record: RunRecord) -> Ended:
        silent = dict(fleet.sight.unreachable)
        try:
            hosts = fleet.lock(self.name)
        except Locked as error:
            return Ended("LOCKED", reason=str(error))
        except HostError as error:
            return Ended("FAILED", reason=str(error))
        if self.parts.looks_again:
            fleet.settle()
        at_once = {ROUTER: environment(self.declared).at_once}
        record.record_lock(hosts, fleet.sight, fleet.resources.values(), at_once)
        lost = {host: why for host, why in fleet.sight.unreachable.items() if host not in silent}
        now = fleet.plan()
        now = replace(now, actions=tuple(each for each in now.actions if each.ref not in waiting))
        if lost:
            before = edges(fleet.resources.values(), fleet.sight.seen)
            approved = self.parts.without_lost(approved, now, lost, before)
        if self.parts.looks_again and (changed := binding.changes_since(approved, now)):
            return Ended("STALE", plan=now, reason="; ".join(changed))
        try:
            report = executor.apply(fleet, approved, record, waiting)
        except binding.Stale as stale:
            return Ended("STALE", stale.report, reason="; ".join(stale.lines))
        code = _code(report, waiting)
        return Ended(code.name, report, report.left, outcomes=report.outcomes)
