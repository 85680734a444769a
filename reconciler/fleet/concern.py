"""What a run has to look at between its rounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping

from reconciler.model import Ref, Resource


class Concern:
    """Which resources of each host a run is concerned with: what may still be done there, with all that it
    rests on, and what that which was done may have changed. The other resources are nothing that the run acts
    on or could have changed; they are looked at before it and at its end.

    planned    the actions of the run
    before     for each resource, those that come before it (`plan.order.edges`)
    """

    def __init__(
        self,
        planned: Iterable[Ref],
        before: Mapping[Ref, Iterable[Ref]],
        resources: Mapping[Ref, Resource],
    ) -> None:
        self._before, self._resources = before, resources
        self._planned: dict[str, list[Ref]] = defaultdict(list)
        for ref in planned:
            self._planned[ref.host].append(ref)
        self._after: dict[Ref, list[Ref]] = defaultdict(list)
        for ref, others in before.items():
            for other in others:
                self._after[other].append(ref)
        self._touched: dict[str, set[Ref]] = defaultdict(set)

    def touch(self, refs: Iterable[Ref]) -> None:
        """From now on these may be otherwise, and all that comes after them."""
        open_refs = set(refs)
        while open_refs:
            for ref in open_refs:
                self._touched[ref.host].add(ref)
            later = {each for ref in open_refs for each in (*self._after[ref], *self.seen_at(ref))}
            open_refs = {ref for ref in later if ref not in self._touched[ref.host]}

    def seen_at(self, ref: Ref) -> Iterable[Ref]:
        """The resources of other hosts by which it is judged what became of this one."""
        resource = self._resources[ref]
        return resource.refers() if resource.observed_on_peers else ()

    def seers(self, refs: Iterable[Ref]) -> set[str]:
        """The other hosts that see what becomes of these."""
        return {each.host for ref in refs for each in self._after[ref] if each.host != ref.host}

    def left(self, host: str, finished: Container[Ref]) -> set[Ref]:
        """The actions of a host that are not among the finished ones."""
        return {ref for ref in self._planned[host] if ref not in finished}

    def of(self, host: str, finished: Container[Ref]) -> set[Ref]:
        """What a host is to be asked for, where these actions are finished."""
        open_refs = self.left(host, finished)
        concerned = self._touched[host] | open_refs
        while open_refs:
            before = {each for ref in open_refs for each in self._before.get(ref, ()) if each.host == host}
            open_refs = before - concerned
            concerned |= open_refs
        return concerned
