"""Desired and observed in, ordered actions out. Pure: no clock, no host, no file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from reconciler.model import Action, InTransit, Plan, Ref, Resource, Seen
from reconciler.plan.judgement import NOT_LOOKED, Progress, judge
from reconciler.plan.order import Graph

_Told = TypeVar("_Told")


def plan(
    environment: str,
    resources: Iterable[Resource],
    seen: Mapping[Ref, Seen],
    unreachable: Mapping[str, str],
) -> Plan:
    """The actions that make what was seen into what is wanted, in order.

    `seen` holds a state for each resource of each host that could be looked at; hosts in
    `unreachable` (host to reason) get no action. Raises `Cycle`.
    """
    return Planner(environment, resources).plan(seen, unreachable)


class Planner:
    """Plans the same resources, look after look: what is seen as it was, and goes by nothing that is seen
    anew, is not judged again."""

    def __init__(self, environment: str, resources: Iterable[Resource]) -> None:
        self._environment = environment
        self._resources = tuple(resources)
        self._order: list[int] = []
        self._progress: Progress | None = None

    def plan(self, seen: Mapping[Ref, Seen], unreachable: Mapping[str, str]) -> Plan:
        """As the function `plan`. Raises `Cycle`."""
        # Both go on changing while hosts are looked at.
        seen, unreachable = dict(seen), dict(unreachable)
        # Which host was the first to fail makes no other plan.
        unreachable = dict(sorted(unreachable.items()))
        last, self._progress = self._progress, None
        if last is None or not last.graph.is_the_same(seen, unreachable):
            last = None
            graph = Graph(self._resources, seen, unreachable)
            self._order = graph.order()
            progress = Progress(graph, _positions(self._order), seen, unreachable)
            for number in self._order:
                judge(number, progress)
        else:
            progress = self._judged_again(last, seen, unreachable)
        self._progress = progress
        return self._made(progress)

    def _judged_again(
        self, progress: Progress, seen: Mapping[Ref, Seen], unreachable: Mapping[str, str]
    ) -> Progress:
        """Only what is seen anew, and what goes by that."""
        graph = progress.graph
        anew = _anew(progress, seen, unreachable)
        numbers = {graph.number[ref] for ref in anew if isinstance(ref, Ref) and ref in graph.number}
        progress.seen, progress.unreachable = seen, unreachable
        for number in self._order if anew else ():
            if (
                number in numbers
                or not numbers.isdisjoint(graph.before[number])
                or (number in progress.reads and not anew.isdisjoint(progress.reads[number]))
            ):
                ref = graph.refs[number]
                action = progress.forget(ref)
                judge(number, progress)
                if progress.actions.get(ref) != action:
                    # What is told of it to those after it is another thing now.
                    numbers.add(number)
                    anew.add(ref)
        return progress

    def _made(self, progress: Progress) -> Plan:
        graph, seen = progress.graph, progress.seen
        unknown = _in_order(progress.unknown, progress)
        return Plan(
            environment=self._environment,
            actions=tuple(_without_lacking(_with_waits(self._order, progress), graph)),
            unreachable=progress.unreachable,
            unknown=unknown,
            in_transit=frozenset(ref for ref in unknown if isinstance(seen.get(ref), InTransit)),
            hosts=tuple(dict.fromkeys(ref.host for ref in graph.refs)),
            resources=len(graph.refs),
            wants=dict(progress.wants),
            notes=_in_order(progress.notes, progress),
        )


def blocked_on(made: Plan, hosts: Mapping[str, str]) -> Plan:
    """The same plan, where nothing can be done on these hosts: host to reason."""
    return replace(
        made,
        actions=tuple(
            _blocked(each, each.blocked or hosts[each.ref.host]) if each.ref.host in hosts else each
            for each in made.actions
        ),
    )


def _positions(order: Collection[int]) -> list[int]:
    found = [0] * len(order)
    for position, number in enumerate(order):
        found[number] = position
    return found


def _in_order(found: Mapping[Ref, _Told], progress: Progress) -> dict[Ref, _Told]:
    order = sorted(found, key=lambda ref: progress.position[progress.graph.number[ref]])
    return {ref: found[ref] for ref in order}


def _anew(progress: Progress, seen: Mapping[Ref, Seen], unreachable: Mapping[str, str]) -> set[Ref | str]:
    """What is seen otherwise than before: resources, and hosts that can or cannot be looked at now."""
    before = progress.seen
    anew: set[Ref | str] = set(before.keys() - seen.keys())
    anew |= {ref for ref, state in seen.items() if not _is_same(state, before.get(ref, NOT_LOOKED))}
    hosts = progress.unreachable.keys() ^ unreachable.keys()
    if hosts:
        known = (*progress.graph.refs, *before, *seen)
        anew |= {*hosts, *(ref for ref in known if ref.host in hosts)}
        anew |= {
            ref
            for reads in progress.reads.values()
            for ref in reads
            if isinstance(ref, Ref) and ref.host in hosts
        }
    return anew


def _is_same(one: Seen, other: Seen) -> bool:
    return one is other or (type(one) is type(other) and one == other)


def _with_waits(order: Iterable[int], progress: Progress) -> Iterable[Action]:
    """Each action with the nearest others it waits for: actions, or what cannot be judged.

    Through what is settled one waits on the same host only: an action there may unsettle it again.
    So the repair of a host waits for another host only where the resource itself names it.
    """
    graph, none = progress.graph, frozenset[int]()
    refs = graph.refs
    # On a host without an action nobody waits, and nobody elsewhere waits for what is settled there.
    busy = {ref.host for ref in progress.actions}
    nearest: dict[int, frozenset[int]] = {}
    for number in order if busy else ():
        ref = refs[number]
        if ref.host not in busy:
            continue
        action = progress.actions.get(ref)
        follows, refers = graph.follows.get(number, none), graph.refers.get(number, none)
        before: Collection[int] = graph.before[number]
        if follows and ref not in progress.insisting:
            before = [each for each in before if each not in follows]
        here: set[int] = set()
        elsewhere: set[int] = set()
        for other in graph.expanded(before):
            there = refs[other]
            if action and not graph.resources[number].held_by(there, action, progress.actions.get(there)):
                continue
            if there in progress.actions or _holds_up(there, other in refers, progress):
                (here if there.host == ref.host else elsewhere).add(other)
            elif there.host == ref.host and not _unseen(there, progress):
                here |= nearest[other]
        nearest[number] = frozenset(here) if here else none
        if action:
            local = ref in progress.local
            after = here if local else here | elsewhere
            following = none if local else graph.following.get(number, none)
            yield replace(
                action,
                after=tuple(refs[each] for each in sorted(after)),
                follows=tuple(refs[each] for each in sorted(_resources(graph, number, following))),
            )


def _resources(graph: Graph, number: int, following: frozenset[int]) -> Collection[int]:
    """The resources that go first if they can; of those in joints, the others than it waits for anyway."""
    joints = {each for each in following if each >= len(graph.refs)}
    if not joints:
        return following
    return (graph.expanded(joints) - set(graph.before[number])) | (following - joints)


def _without_lacking(actions: Iterable[Action], graph: Graph) -> Iterable[Action]:
    """The same; refused is what cannot be created, because nothing on its host would bring what it lacks."""
    by_host: dict[str, list[Action]] = {}
    found = list(actions)
    for action in found:
        by_host.setdefault(action.ref.host, []).append(action)
    for action in found:
        resource = graph.resources[graph.number[action.ref]]
        why = None
        if action.verb == "create" and not action.blocked and type(resource).lacks is not Resource.lacks:
            why = resource.lacks(each for each in by_host[action.ref.host] if each is not action)
        yield _blocked(action, why) if why else action


def _blocked(action: Action, why: str) -> Action:
    return replace(action, blocked=why, steps=(), rescue=())


def _unseen(ref: Ref, progress: Progress) -> bool:
    unknown = ref in progress.unknown and ref not in progress.undetermined
    return unknown or ref.host in progress.unreachable


def _holds_up(ref: Ref, is_referred: bool, progress: Progress) -> bool:
    """What a resource only refers to holds it up while an action on it is pending, but not because
    it cannot be seen: one lost host must not block the others."""
    return not is_referred and _unseen(ref, progress)
