"""Planted bugs: what a controller is made of, with one part that is wrong. Each must be found.

A bug is a subclass or a flag that is handed in; nothing of the program is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from reconciler.approval.binding import without_lost
from reconciler.fleet.events import ActionEnded, Event
from reconciler.kinds.certificate.arrival import Arrival
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.release import Current, Release
from reconciler.kinds.certificate.serving import Serving
from reconciler.kinds.directory import Directory
from reconciler.model import Action, Change, Observation, Plan, Ref, Resource, Step, View
from tests.simulation.actors import Parts, SimFleet, SimRecord
from tests.simulation.connection import SimConnection
from tests.simulation.declared import Declared, as_kind, resources, simulated


def with_kind(kind: type[Resource], other: type[Resource]) -> Callable[[Declared], tuple[Resource, ...]]:
    """The resources, those of a kind as another class."""

    @cache
    def changed(declared: Declared) -> tuple[Resource, ...]:
        found = resources(declared)
        return tuple(as_kind(each, other) if isinstance(each, kind) else each for each in found)

    return changed


class ReloadBeforeLink(simulated(Serving)):
    """Services load the certificate, and then the link is led to the new one."""

    def steps(self, change: Change) -> Iterable[Step]:
        found = list(super().steps(change))
        moved = [each for each in found if each.command.endswith("use staged")]
        return [*(each for each in found if each not in moved), *moved]


class ForgottenProven(simulated(Serving)):
    """What was proven is not recorded."""

    def steps(self, change: Change) -> Iterable[Step]:
        return [each for each in super().steps(change) if "release proven" not in each.command]


class AllAtOnce(simulated(Serving)):
    """No host waits for another to switch."""

    def following(self, seen: Any) -> Iterable[Ref]:
        return tuple(ref for ref in super().following(seen) if ref.kind != self.kind)


class CanaryIsOneOfMany(simulated(Serving)):
    """A canary may fail as any other host may."""

    def canaries(self, seen: Any) -> Iterable[Ref]:
        return ()


class CrossHostEdge(simulated(Serving)):
    """The repair of a host waits for the others."""

    def needed(self, seen: Any) -> Iterable[Ref]:
        return (*super().needed(seen), *(ref for ref in self.follows if ref.kind == "release"))


class HeldUp(simulated(Serving)):
    """What a run has left half way and cannot be brought on is waited for."""

    def needed(self, seen: Any) -> Iterable[Ref]:
        half = {ref for ref in self.rollout if self.is_away(seen.get(ref))}
        return self.needs if self.ref in half else (*self.needs, *sorted(half))


class OutOfTurn(simulated(Serving)):
    """What a run has left half way waits for its turn, and others switch meanwhile."""

    def following(self, seen: Any) -> Iterable[Ref]:
        return self.follows


class WaitsForOrder(simulated(Current)):
    """A broken link waits for a release although one is staged."""

    def needed(self, seen: Any) -> Iterable[Ref]:
        return self.needs if tuple(super().needed({self.ref: seen.get(self.ref)})) else ()


class ParentMovedAside(simulated(Directory)):
    """A folder that is not as declared is moved aside, with all that is in it, and made anew."""

    def steps(self, change: Change) -> Iterable[Step]:
        if not change.creates:
            yield Step(f"mv -T -- {self.path} {self.path}.$(date +%Y%m%d-%H%M%S)", "it is in the way")
        yield Step(f"install -d -m 00755 {self.path}", "makes it")


class FormerLineage(simulated(Lineage)):
    """Whatever lineage a new primary has is what the fleet is led to."""

    def taken(self, own: Any) -> str | None:
        return None

    def want(self, look: View) -> Any:
        wanted, own = super().want(look), look.own()
        field = "release in use"
        return {**wanted, field: own[field]} if wanted and own and field in own else wanted


class AnyRelease(simulated(Release)):
    """Any release that is staged will do."""

    def want(self, look: View) -> Any:
        wanted, own = super().want(look), look.own()
        return {**wanted, "release": own["release"]} if wanted and own else wanted


class Unlocked(SimConnection):
    """It takes no lock, and minds none."""

    locks = False


class Trusting(SimFleet):
    """What has ended well is done, whatever is seen."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **{**more, "listen": self._heard})
        self._well: set[str] = set()

    def _heard(self, event: Event) -> None:
        if isinstance(event, ActionEnded):
            (self._well.add if event.result == "done" else self._well.discard)(str(event.ref))

    def plan(self) -> Plan:
        made = super().plan()
        left = tuple(each for each in made.actions if str(each.ref) not in self._well)
        return replace(made, actions=left)


class LateHosts(SimFleet):
    """A host that answers only after the lock is acted on without one."""

    def look(self, names: Iterable[str] | None = None) -> Observation:
        self._unlocked = frozenset()
        return super().look(names)


class Unrecorded(SimRecord):
    """What is about to be done is written down nowhere."""

    def record_intent(
        self, actions: Iterable[Action], passed: Mapping[Ref, str], unseen: Collection[Ref]
    ) -> None:
        pass


def _inside_only(declared: Declared) -> tuple[Resource, ...]:
    return tuple(each for each in resources(declared) if each.kind not in ("outside", "reachable"))


def _own_lineage_leads(declared: Declared) -> tuple[Resource, ...]:
    """A primary whose own certificate is older than its peers' leads them to it."""
    return tuple(
        replace(each, returning=None)
        if isinstance(each, Lineage)
        else replace(each, lineage=None)
        if isinstance(each, Arrival)
        else each
        for each in resources(declared)
    )


def _by_host_alone(approved: Plan, plan: Plan, lost: Mapping[str, str], before: Any) -> Plan:
    """Of what was approved only that goes which was to be done on a lost host."""
    return without_lost(approved, plan, lost, {})


BUGS: dict[str, Parts] = {
    "no second look": Parts(looks_again=False),
    "reload before link": Parts(resources=with_kind(Serving, ReloadBeforeLink)),
    "forgotten proven": Parts(resources=with_kind(Serving, ForgottenProven)),
    "lock ignored": Parts(connection=Unlocked),
    "proof from inside only": Parts(resources=_inside_only),
    "exit status taken for a fact": Parts(fleet=Trusting),
    "cross-host edge on a repair": Parts(resources=with_kind(Serving, CrossHostEdge)),
    "parent moved aside": Parts(resources=with_kind(Directory, ParentMovedAside)),
    "all hosts at once": Parts(resources=with_kind(Serving, AllAtOnce)),
    "canary is one of many": Parts(resources=with_kind(Serving, CanaryIsOneOfMany)),
    "a former lineage leads": Parts(resources=with_kind(Lineage, FormerLineage)),
    "any release will do": Parts(resources=with_kind(Release, AnyRelease)),
    "acts without a record": Parts(record=Unrecorded),
    "late host without a lock": Parts(fleet=LateHosts),
    "half way out of turn": Parts(resources=with_kind(Serving, OutOfTurn)),
    "broken link waits for an order": Parts(resources=with_kind(Current, WaitsForOrder)),
    "a returning primary leads": Parts(resources=_own_lineage_leads),
    "stale by a lost host": Parts(without_lost=_by_host_alone),
}
"""By name. The last five, and `a former lineage leads`, are defects that the simulation has found in the program."""
