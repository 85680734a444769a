"""Desired and observed in, ordered actions out. Pure: no clock, no host, no file.

Resources are judged in their order, so that each can be told which of those before it are
about to change: that is how a whole chain can be planned on an empty host.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.model import (
    Action,
    CannotSee,
    Change,
    Delta,
    InTransit,
    Plan,
    Ref,
    Resource,
    Seen,
    State,
    Value,
)
from reconciler.plan.order import edges, is_below, ordered
from reconciler.unknowns import WORD, known_after_apply

NOT_LOOKED = CannotSee("it was not looked at")


@dataclass
class _Progress:
    """What has been judged so far."""

    everyone: Mapping[Ref, Resource]
    seen: Mapping[Ref, Seen]
    unreachable: Mapping[str, str]
    actions: dict[Ref, Action] = field(default_factory=dict)
    unknown: dict[Ref, str] = field(default_factory=dict)
    undetermined: set[Ref] = field(default_factory=set)
    """Of `unknown`: those that were seen, and whose desired state depends on what was not looked at."""
    provided: dict[Ref, tuple[str, ...]] = field(default_factory=dict)
    wants: dict[Ref, State | None] = field(default_factory=dict)
    notes: dict[Ref, tuple[str, ...]] = field(default_factory=dict)
    local: set[Ref] = field(default_factory=set)
    insisting: set[Ref] = field(default_factory=set)


@dataclass(frozen=True)
class _PlannedView:
    ref: Ref
    progress: _Progress
    missing: list[Ref] = field(default_factory=list)
    """What was asked for and was not looked at, as under `--host`."""

    def own(self) -> Seen:
        return self.progress.seen.get(self.ref, NOT_LOOKED)

    def is_unreachable(self, host: str) -> bool:
        return host in self.progress.unreachable

    def value(self, ref: Ref, name: str) -> Value | CannotSee:
        if ref.host in self.progress.unreachable:
            return CannotSee(f"{ref.host} cannot be looked at")
        action = self.progress.actions.get(ref)
        if action and (action.verb == "create" or {"type", name} & {d.field for d in action.deltas}):
            return self._unknown(ref, name)
        seen = self.progress.seen.get(ref, NOT_LOOKED)
        if seen is NOT_LOOKED:
            self.missing.append(ref)
        if isinstance(seen, CannotSee):
            return seen
        value = (seen or {}).get(name)
        if value is not None:
            return value
        # Unknown is a promise: the action makes it known.
        return self._unknown(ref, name) if action else CannotSee(f"{ref} has no {name}")

    def _unknown(self, ref: Ref, name: str) -> str:
        return known_after_apply(ref, name, self.progress.everyone[ref].unknowns.get(name, WORD))


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
    everyone = {resource.ref: resource for resource in resources}
    before = edges(everyone.values(), seen)
    progress = _judge_all(everyone, before, seen, unreachable)
    return Plan(
        environment=environment,
        actions=tuple(_with_waits(everyone, before, progress)),
        unreachable=dict(unreachable),
        unknown=progress.unknown,
        in_transit=frozenset(ref for ref in progress.unknown if isinstance(seen.get(ref), InTransit)),
        hosts=tuple(sorted({ref.host for ref in everyone})),
        resources=len(everyone),
        wants=progress.wants,
        notes=progress.notes,
    )


def _judge_all(
    everyone: Mapping[Ref, Resource],
    before: Mapping[Ref, set[Ref]],
    seen: Mapping[Ref, Seen],
    unreachable: Mapping[str, str],
) -> _Progress:
    progress = _Progress(everyone, seen, unreachable)
    for ref in ordered(before):
        if ref.host in unreachable:
            continue
        try:
            _judge(everyone[ref], before[ref], progress)
        except KeyError as error:
            # A state that was not read from a host by its kind: a saved observation may hold anything.
            progress.unknown[ref] = f"its observed state lacks the field {error}"
    return progress


def _judge(resource: Resource, before: set[Ref], progress: _Progress) -> None:
    seen = progress.seen.get(resource.ref, NOT_LOOKED)
    if isinstance(seen, CannotSee):
        progress.unknown[resource.ref] = seen.reason
        return
    expected = seen
    if seen is not None and (pending := _pending(resource, before, progress)):
        expected = resource.with_pending(seen, pending)
    view = _PlannedView(resource.ref, progress)
    want = resource.want(view)
    if isinstance(want, CannotSee):
        progress.unknown[resource.ref] = want.reason
        progress.undetermined.add(resource.ref)
        return
    progress.wants[resource.ref] = want
    if seen is not None and (notes := tuple(resource.notes(seen))):
        progress.notes[resource.ref] = notes
    deltas = diff(expected, want)
    if not deltas:
        if view.missing and resource.depends:
            missing = ", ".join(map(str, dict.fromkeys(view.missing)))
            progress.unknown[resource.ref] = f"what is desired depends on what was not looked at: {missing}"
            progress.undetermined.add(resource.ref)
        return
    change = Change({delta.field: delta for delta in deltas}, expected, want)
    progress.provided[resource.ref] = tuple(resource.provides())
    progress.actions[resource.ref] = _action(resource, change, seen)
    if resource.is_local(change):
        progress.local.add(resource.ref)
    elif resource.insists(change):
        progress.insisting.add(resource.ref)


def _pending(resource: Resource, before: set[Ref], progress: _Progress) -> tuple[str, ...]:
    roots = tuple(resource.watches())
    return tuple(
        f"{ref.kind} {ref.name}"
        for ref in sorted(before)
        if ref.host == resource.host
        for token in progress.provided.get(ref, ())
        if any(is_below(token.removeprefix("path:"), root) for root in roots)
    )


def _action(resource: Resource, change: Change, seen: State | None) -> Action:
    refused = resource.refuses(change)
    return Action(
        ref=resource.ref,
        verb=resource.verb(change),
        deltas=tuple(replace(d, text=resource.diff_text(d, change.seen)) for d in change.deltas.values()),
        steps=() if refused else tuple(resource.steps(change)),
        rescue=() if refused else tuple(resource.rescue(change)),
        blocked=refused,
        seen_digest=digest(_bound(resource, seen)),
        place=resource.place,
        subject=resource.part or resource.subject,
    )


def _bound(resource: Resource, seen: State | None) -> State | None:
    """What was seen, without what no approval depends on."""
    if seen is None or not resource.asides:
        return seen if seen is None else dict(seen)
    return {name: value for name, value in seen.items() if not name.startswith(resource.asides)}


def _with_waits(
    everyone: Mapping[Ref, Resource], before: Mapping[Ref, set[Ref]], progress: _Progress
) -> Iterable[Action]:
    """Each action with the nearest others it waits for: actions, or what cannot be judged.

    Through what is settled one waits on the same host only: an action there may unsettle it again.
    So the repair of a host waits for another host only where the resource itself names it.
    """
    nearest: dict[Ref, frozenset[Ref]] = {}
    # What was seen of a host before it was lost makes nobody wait for it.
    seen = {ref: state for ref, state in progress.seen.items() if ref.host not in progress.unreachable}
    for ref in ordered(before):
        resource = everyone[ref]
        needed = set(resource.needed(seen))
        following = set(resource.following(progress.seen))
        refers, follows = (set(each) - needed for each in (resource.refers(), following))
        action = progress.actions.get(ref)
        here: set[Ref] = set()
        elsewhere: set[Ref] = set()
        for other in before[ref] - (set() if ref in progress.insisting else follows):
            if action and not resource.held_by(other, action):
                continue
            if other in progress.actions or _holds_up(other, refers, progress):
                (here if other.host == ref.host else elsewhere).add(other)
            elif other.host == ref.host and not _unseen(other, progress):
                here |= nearest[other]
        nearest[ref] = frozenset(here)
        if action:
            local = ref in progress.local
            yield replace(
                action,
                after=tuple(sorted(here if local else here | elsewhere)),
                follows=() if local else tuple(sorted(following & everyone.keys())),
            )


def _unseen(ref: Ref, progress: _Progress) -> bool:
    unknown = ref in progress.unknown and ref not in progress.undetermined
    return unknown or ref.host in progress.unreachable


def _holds_up(ref: Ref, refers: Collection[Ref], progress: _Progress) -> bool:
    """What a resource only refers to holds it up while an action on it is pending, but not because
    it cannot be seen: one lost host must not block the others."""
    return ref not in refers and _unseen(ref, progress)


def diff(seen: State | None, want: State | None) -> tuple[Delta, ...]:
    """What of the wanted fields is not as seen. Fields nobody asked for are not compared."""
    if want is None:
        return tuple(Delta(name, value, None) for name, value in (seen or {}).items() if name != "text")
    if seen is None:
        return tuple(Delta(name, None, value) for name, value in want.items() if value is not None)
    return tuple(
        Delta(name, seen.get(name), value) for name, value in want.items() if seen.get(name) != value
    )


def digest(value: Any) -> str:
    """The SHA-256 of a JSON-able value in its canonical form (keys sorted, no blanks), as 64
    hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
