"""The order of resources, across hosts: a graph made of what each needs. Pure.

Resources are numbered in the order of their refs (by host, kind and name), so that a host's are neighbours,
a tie is broken by comparing two numbers, and what a resource waits for is a short list of them.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from types import MappingProxyType

from reconciler.model import Joint, Ref, Resource, Seen

NOTHING_SEEN: Mapping[Ref, Seen] = MappingProxyType({})


class Cycle(Exception):
    """Resources that wait for each other. `members` are their refs, in order."""

    def __init__(self, members: list[Ref]) -> None:
        self.members = members
        super().__init__("these wait for each other: " + " → ".join(map(str, members)))


class Graph:
    """For each resource, those that must be settled before it, as things were seen.

    What is declared absent is removed after all that needs it is gone, so its edges turn
    round. What a resource requires but nobody declares is taken to be there.

    refs, resources  by number
    number           of each ref
    before           by number: the numbers of those before it, each once; those of joints come after the
                     resources'
    following        the part of that which a resource follows, where there is any
    follows          the part of that again which only goes first if it can
    refers           the part of that which is only referred to, where there is any
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        seen: Mapping[Ref, Seen] = NOTHING_SEEN,
        unreachable: Collection[str] = (),
    ) -> None:
        everyone = {resource.ref: resource for resource in resources}
        self.refs = sorted(everyone)
        self.resources = [everyone[ref] for ref in self.refs]
        self.number: dict[Ref | Joint, int] = {ref: number for number, ref in enumerate(self.refs)}
        self.before: list[Collection[int]] = [()] * len(self.refs)
        self.following: dict[int, frozenset[int]] = {}
        self.follows: dict[int, frozenset[int]] = {}
        self.refers: dict[int, frozenset[int]] = {}
        self._named_by_seen: dict[int, _Named] = {}
        self._joints: dict[Joint, int] = {}
        self._open: list[Joint] = []
        self._turned: list[tuple[int, int]] = []
        sight = _Sight(seen, unreachable)
        for _, numbers in groupby(range(len(self.refs)), key=lambda number: self.refs[number].host):
            self._connect(list(numbers), sight)
        for after, number in self._turned:
            self.before[after] = {*self.before[after], number}
        while self._open:
            joint = self._open.pop()
            self.before[self._joints[joint]] = tuple(self._numbers(joint.members))

    def _connect(self, numbers: Sequence[int], sight: _Sight) -> None:
        """The edges to the resources of one host."""
        providers: dict[str, list[int]] = {}
        for number in numbers:
            for token in self.resources[number].provides():
                providers.setdefault(token, []).append(number)
        paths: list[str] | None = None
        for number in numbers:
            resource = self.resources[number]
            found = self._named(number, resource, sight)
            for token in resource.requires():
                found.update(providers.get(token, ()))
            if roots := resource.watches():
                if paths is None:
                    paths = sorted(token[5:] for token in providers if token.startswith("path:"))
                for path in _below(paths, roots):
                    found.update(providers[f"path:{path}"])
            found.discard(number)
            if resource.absent and found:
                turned = {each for each in found if self._is_absent(each)}
                self._turned += [(each, number) for each in turned]
                found -= turned
            if found:
                self.before[number] = tuple(found)

    def _named(self, number: int, resource: Resource, sight: _Sight) -> set[int]:
        """Those that a resource names: what it needs, follows and refers to."""
        names = sight.names_of(resource)
        if _goes_by_seen(type(resource)):
            self._named_by_seen[number] = names
        needed = self._numbers(names[0])
        if following := self._numbers(names[1]):
            if told := following - self._numbers(resource.needs):
                self.following[number] = frozenset(told)
            if followed := following - self._numbers(names[2]):
                self.follows[number] = frozenset(followed)
        if referred := self._numbers(resource.refers()) - needed:
            self.refers[number] = frozenset(referred)
        return needed | following | referred

    def _numbers(self, named: Iterable[Ref | Joint]) -> set[int]:
        number = self.number
        found = set()
        for each in named:
            if (known := number.get(each)) is not None:
                found.add(known)
            elif isinstance(each, Joint):
                found.add(self._joint(each))
        return found

    def _joint(self, joint: Joint) -> int:
        if joint not in self._joints:
            self._joints[joint] = len(self.before)
            self.before.append(())
            self._open.append(joint)
        return self._joints[joint]

    def _is_absent(self, number: int) -> bool:
        return number < len(self.resources) and self.resources[number].absent

    def is_the_same(self, seen: Mapping[Ref, Seen], unreachable: Collection[str]) -> bool:
        """Whether it would be as it is with what is seen now."""
        sight = _Sight(seen, unreachable)
        return all(
            sight.names_of(self.resources[number]) == names for number, names in self._named_by_seen.items()
        )

    def expanded(self, numbers: Iterable[int]) -> set[int]:
        """The resources among these, and those that the joints among them are made of."""
        found, open_joints = set(), set()
        stack = list(numbers)
        while stack:
            each = stack.pop()
            if each < len(self.refs):
                found.add(each)
            elif each not in open_joints:
                open_joints.add(each)
                stack += self.before[each]
        return found

    def edges(self) -> dict[Ref, set[Ref]]:
        """The same, by ref, without joints."""
        refs = self.refs
        return {
            ref: {refs[other] for other in self.expanded(before)}
            for ref, before in zip(refs, self.before, strict=False)
        }

    def order(self) -> list[int]:
        """The numbers of all resources, each after those before it; ties by host, kind and name.

        Raises `Cycle`.
        """
        waiting = list(map(len, self.before))
        after: list[list[int]] = [[] for _ in waiting]
        for number, before in enumerate(self.before):
            for other in before:
                after[other].append(number)
        count = len(self.refs)
        order: list[int] = []
        # What waits for nothing is in order already; what is freed meanwhile is soon gone from the heap, most
        # of it being of the same host.
        first = [number for number, left in enumerate(waiting) if not left and number < count]
        first.append(len(waiting))
        freed: list[int] = []
        stack = [number for number in range(count, len(waiting)) if not waiting[number]]
        at = 0
        while True:
            while stack:
                for each in after[stack.pop()]:
                    waiting[each] -= 1
                    if not waiting[each]:
                        # A joint is no resource, and has no place in the order.
                        stack.append(each) if each >= count else heapq.heappush(freed, each)
            if freed and freed[0] < first[at]:
                number = heapq.heappop(freed)
            elif at < len(first) - 1:
                number, at = first[at], at + 1
            else:
                break
            order.append(number)
            stack.append(number)
        if len(order) < count:
            ordered(self.edges())
        return order


_Named = tuple[tuple[Ref, ...], tuple[Ref | Joint, ...], tuple[Ref, ...]]
"""Those that a resource needs and those that it follows; and of the needed, those that it cannot do without:
what was seen of a host before it was lost makes nobody wait for it."""


class _Sight:
    """What is seen, as resources are told that say whom they wait for."""

    def __init__(self, seen: Mapping[Ref, Seen], unreachable: Collection[str]) -> None:
        self._seen = self._reachable = seen
        if unreachable:
            self._reachable = {ref: state for ref, state in seen.items() if ref.host not in unreachable}

    def names_of(self, resource: Resource) -> _Named:
        needed = tuple(resource.needed(self._seen))
        insistent = needed if self._reachable is self._seen else tuple(resource.needed(self._reachable))
        return needed, tuple(resource.following(self._seen)), insistent


def _goes_by_seen(kind: type[Resource]) -> bool:
    """Whether what a kind waits for depends on what was seen."""
    return (kind.needed, kind.following) != (Resource.needed, Resource.following)


def _below(paths: Sequence[str], roots: Iterable[str]) -> Iterable[str]:
    """Those of the sorted paths that are one of the roots or lie below one."""
    for root in roots:
        start = f"{root.rstrip('/')}/"
        at = bisect_left(paths, root)
        if at < len(paths) and paths[at] == root:
            yield root
        at = bisect_left(paths, start)
        while at < len(paths) and paths[at].startswith(start):
            yield paths[at]
            at += 1


def edges(resources: Iterable[Resource], seen: Mapping[Ref, Seen] = NOTHING_SEEN) -> dict[Ref, set[Ref]]:
    """For each resource, those that must be settled before it, as things were seen; see `Graph`."""
    return Graph(resources, seen).edges()


def is_below(path: str, root: str) -> bool:
    """Whether a path is `root` or lies below it."""
    return path == root or path.startswith(f"{root.rstrip('/')}/")


def ordered(before: Mapping[Ref, set[Ref]]) -> list[Ref]:
    """All resources, each after what it needs; ties by host, kind and name.

    Raises `Cycle`.
    """
    sorter = TopologicalSorter(before)
    try:
        sorter.prepare()
    except CycleError as error:
        raise Cycle(list(reversed(error.args[1]))) from None
    ready = sorted(sorter.get_ready())
    order = []
    while ready:
        ref = heapq.heappop(ready)
        order.append(ref)
        sorter.done(ref)
        for freed in sorter.get_ready():
            heapq.heappush(ready, freed)
    return order


def reduced(before: Mapping[Ref, set[Ref]], chosen: Collection[Ref]) -> dict[Ref, list[Ref]]:
    """The same order among the chosen alone, with as few edges as possible.

    What the chosen wait for by way of others is kept. Raises `Cycle`.
    """
    order = ordered(before)
    bit = {ref: 1 << number for number, ref in enumerate(order)}
    above: dict[Ref, int] = {}  # each number is a set: one bit for each of the chosen before it
    for ref in order:
        above[ref] = 0
        for other in before[ref]:
            above[ref] |= above[other] | (bit[other] if other in chosen else 0)
    nearest: dict[Ref, list[Ref]] = {}
    for ref in (each for each in order if each in chosen):
        nearest[ref], left = [], above[ref]
        while left:
            # Nothing that is left comes after the last of them, so it is a neighbour.
            last = order[left.bit_length() - 1]
            nearest[ref].append(last)
            left &= ~(bit[last] | above[last])
        nearest[ref].reverse()
    return nearest
