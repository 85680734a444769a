"""Desired and observed in, ordered actions out. Pure: no clock, no host, no file.

Resources are judged in their order, so that each can be told which of those before it are
about to change: that is how a whole chain can be planned on an empty host.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.model import (
    Action,
    CannotSee,
    Change,
    Delta,
    Plan,
    Ref,
    Resource,
    Seen,
    State,
    Value,
    diff,
    known_after_apply,
)
from reconciler.plan.order import edges, is_below, ordered

NOT_LOOKED = CannotSee("it was not looked at")


@dataclass
class _Progress:
    """What has been judged so far."""

    seen: Mapping[Ref, Seen]
    unreachable: Mapping[str, str]
    actions: dict[Ref, Action] = field(default_factory=dict)
    unknown: dict[Ref, str] = field(default_factory=dict)
    undetermined: set[Ref] = field(default_factory=set)
    """Of `unknown`: those that were seen, and whose desired state depends on what was not looked at."""
    provided: dict[Ref, tuple[str, ...]] = field(default_factory=dict)
    wants: dict[Ref, State | None] = field(default_factory=dict)


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
            return known_after_apply(ref, name)
        seen = self.progress.seen.get(ref, NOT_LOOKED)
        if seen is NOT_LOOKED:
            self.missing.append(ref)
        if isinstance(seen, CannotSee):
            return seen
        value = (seen or {}).get(name)
        if value is not None:
            return value
        # Unknown is a promise: the action makes it known.
        return known_after_apply(ref, name) if action else CannotSee(f"{ref} has no {name}")


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
    before = edges(everyone.values())
    progress = _judge_all(everyone, before, seen, unreachable)
    after = _waits(everyone, before, progress)
    return Plan(
        environment=environment,
        actions=tuple(replace(action, after=after[ref]) for ref, action in progress.actions.items()),
        unreachable=dict(unreachable),
        unknown=progress.unknown,
        hosts=tuple(sorted({ref.host for ref in everyone})),
        resources=len(everyone),
        wants=progress.wants,
    )


def _judge_all(
    everyone: Mapping[Ref, Resource],
    before: Mapping[Ref, set[Ref]],
    seen: Mapping[Ref, Seen],
    unreachable: Mapping[str, str],
) -> _Progress:
    progress = _Progress(seen, unreachable)
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
    progress.wants[resource.ref] = want
    deltas = diff(expected, want)
    if not deltas:
        if view.missing and resource.follows:
            missing = ", ".join(map(str, dict.fromkeys(view.missing)))
            progress.unknown[resource.ref] = f"what is desired depends on what was not looked at: {missing}"
            progress.undetermined.add(resource.ref)
        return
    progress.provided[resource.ref] = tuple(resource.provides())
    progress.actions[resource.ref] = _action(resource, deltas, seen, expected, want)


def _pending(resource: Resource, before: set[Ref], progress: _Progress) -> tuple[str, ...]:
    roots = tuple(resource.watches())
    return tuple(
        f"{ref.kind} {ref.name}"
        for ref in sorted(before)
        for token in progress.provided.get(ref, ())
        if any(is_below(token.removeprefix("path:"), root) for root in roots)
    )


def _action(
    resource: Resource,
    deltas: tuple[Delta, ...],
    seen: State | None,
    expected: State | None,
    want: State | None,
) -> Action:
    change = Change({delta.field: delta for delta in deltas}, expected, want)
    refused = resource.refuses(change)
    return Action(
        ref=resource.ref,
        verb=resource.verb(change),
        deltas=tuple(replace(d, text=resource.diff_text(d, expected)) for d in deltas),
        steps=() if refused else tuple(resource.steps(change)),
        rescue=() if refused else tuple(resource.rescue(change)),
        blocked=refused,
        seen_digest=digest(dict(seen) if seen is not None else None),
        place=resource.place,
    )


def _waits(
    everyone: Mapping[Ref, Resource], before: Mapping[Ref, set[Ref]], progress: _Progress
) -> dict[Ref, tuple[Ref, ...]]:
    """For each action, the nearest others it waits for: actions, or what cannot be judged.

    What a resource only refers to holds it up while an action on it is pending, but not
    because its host cannot be reached: one lost host must not block the others.
    """
    nearest: dict[Ref, frozenset[Ref]] = {}
    for ref in ordered(before):
        found: set[Ref] = set()
        refers = set(everyone[ref].refers()) - set(everyone[ref].needs)
        for other in before[ref]:
            if ref in progress.actions and not everyone[ref].held_by(other, progress.actions[ref]):
                continue
            unknown = other in progress.unknown and other not in progress.undetermined
            unseen = unknown or other.host in progress.unreachable
            if other in progress.actions or (unseen and other not in refers):
                found.add(other)
            elif not unseen:
                found |= nearest[other]
        nearest[ref] = frozenset(found)
    return {ref: tuple(sorted(nearest[ref])) for ref in progress.actions}


def digest(value: Any) -> str:
    """The SHA-256 of a JSON-able value in its canonical form (keys sorted, no blanks), as 64
    hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
