"""The order of resources, across hosts: a graph made of what each needs. Pure."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

from reconciler.model import Ref, Resource, Seen


class Cycle(Exception):
    """Resources that wait for each other. `members` are their refs, in order."""

    def __init__(self, members: list[Ref]) -> None:
        self.members = members
        super().__init__("these wait for each other: " + " → ".join(map(str, members)))


def edges(
    resources: Iterable[Resource], seen: Mapping[Ref, Seen] = MappingProxyType({})
) -> dict[Ref, set[Ref]]:
    """For each resource, those that must be settled before it, as things were seen.

    What is declared absent is removed after all that needs it is gone, so its edges turn
    round. What a resource requires but nobody declares is taken to be there.
    """
    everyone = {resource.ref: resource for resource in resources}
    providers: dict[tuple[str, str], list[Ref]] = defaultdict(list)
    for ref, resource in everyone.items():
        for token in resource.provides():
            providers[ref.host, token].append(ref)
    before: dict[Ref, set[Ref]] = {ref: set() for ref in everyone}
    for ref, resource in everyone.items():
        needed = {*resource.needed(seen), *resource.following(seen), *resource.refers()}
        for token in resource.requires():
            needed |= set(providers.get((ref.host, token), ()))
        for other in needed | _watched(ref, resource, providers):
            if other == ref or other not in everyone:
                continue
            if everyone[other].absent and resource.absent:
                before[other].add(ref)
            else:
                before[ref].add(other)
    return before


def _watched(ref: Ref, resource: Resource, providers: Mapping[tuple[str, str], list[Ref]]) -> set[Ref]:
    roots = tuple(resource.watches())
    if not roots:
        return set()
    return {
        other
        for (host, token), others in providers.items()
        if host == ref.host and any(is_below(token.removeprefix("path:"), root) for root in roots)
        for other in others
    }


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
