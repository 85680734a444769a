"""What one resource's state comes to: settled, an action, or not to be judged. Pure.

Resources are judged in their order, so that each can be told which of those before it are
about to change: that is how a whole chain can be planned on an empty host.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.model import (
    Action,
    CannotSee,
    Change,
    Delta,
    Ref,
    Resource,
    Seen,
    State,
    Value,
)
from reconciler.plan.order import Graph, is_below
from reconciler.unknowns import WORD, known_after_apply

NOT_LOOKED = CannotSee("it was not looked at")


@dataclass
class Progress:
    """What has been judged so far."""

    graph: Graph
    position: Sequence[int]
    """By number: where a resource comes in the order."""
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
    reads: dict[int, Collection[Ref | str]] = field(default_factory=dict)
    """By number: the resources and hosts, beside its own state, that a judgement has gone by."""

    def forget(self, ref: Ref) -> Action | None:
        """Takes back the judgement of a resource, and returns the action that was in it."""
        for judged in (self.unknown, self.provided, self.wants, self.notes):
            judged.pop(ref, None)
        for marked in (self.undetermined, self.local, self.insisting):
            marked.discard(ref)
        self.reads.pop(self.graph.number[ref], None)
        return self.actions.pop(ref, None)


class _PlannedView:
    """What one resource is told of others."""

    __slots__ = ("missing", "number", "progress", "reads", "ref")

    def __init__(self, number: int, progress: Progress) -> None:
        self.number = number
        self.ref = progress.graph.refs[number]
        self.progress = progress
        self.missing: list[Ref] = []
        """What was asked for and was not looked at, as under `--host`."""
        self.reads: set[Ref | str] = set()

    def own(self) -> Seen:
        return self.progress.seen.get(self.ref, NOT_LOOKED)

    def is_unreachable(self, host: str) -> bool:
        self.reads.add(host)
        return host in self.progress.unreachable

    def value(self, ref: Ref, name: str) -> Value | CannotSee:
        self.reads.add(ref)
        if ref.host in self.progress.unreachable:
            return CannotSee(f"{ref.host} cannot be looked at")
        action = self._action(ref)
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

    def _action(self, ref: Ref) -> Action | None:
        """The action of a resource that is judged before this one; an earlier plan may know later ones."""
        action, progress = self.progress.actions.get(ref), self.progress
        later = action and progress.position[progress.graph.number[ref]] > progress.position[self.number]
        return None if later else action

    def _unknown(self, ref: Ref, name: str) -> str:
        graph = self.progress.graph
        return known_after_apply(ref, name, graph.resources[graph.number[ref]].unknowns.get(name, WORD))


def judge(number: int, progress: Progress) -> None:
    """What a resource's state comes to, given those before it; goes into `progress`."""
    ref = progress.graph.refs[number]
    if ref.host in progress.unreachable:
        return
    try:
        _judge_reachable(number, ref, progress)
    except KeyError as error:
        # A state that was not read from a host by its kind: a saved observation may hold anything.
        progress.unknown[ref] = f"its observed state lacks the field {error}"


def _judge_reachable(number: int, ref: Ref, progress: Progress) -> None:
    resource = progress.graph.resources[number]
    seen = progress.seen.get(ref, NOT_LOOKED)
    if isinstance(seen, CannotSee):
        progress.unknown[ref] = seen.reason
        return
    expected = seen
    if seen is not None and progress.provided and (pending := _pending(number, progress)):
        expected = resource.with_pending(seen, pending)
    view = _PlannedView(number, progress)
    want = resource.want(view)
    if view.reads:
        progress.reads[number] = tuple(view.reads)
    if isinstance(want, CannotSee):
        progress.unknown[ref] = want.reason
        progress.undetermined.add(ref)
        return
    progress.wants[ref] = want
    deltas = diff(expected, want)
    change = Change({delta.field: delta for delta in deltas}, expected, want) if deltas else None
    if seen is not None and (notes := tuple(resource.notes(seen, change))):
        progress.notes[ref] = notes
    if change is None:
        if view.missing and resource.depends:
            missing = ", ".join(map(str, dict.fromkeys(view.missing)))
            progress.unknown[ref] = f"what is desired depends on what was not looked at: {missing}"
            progress.undetermined.add(ref)
        return
    _intend(resource, change, seen, progress)


def _intend(resource: Resource, change: Change, seen: State | None, progress: Progress) -> None:
    """What is to be done about a change goes into `progress`."""
    ref = resource.ref
    progress.provided[ref] = tuple(resource.provides())
    progress.actions[ref] = _action(resource, ref, change, seen)
    if resource.is_local(change):
        progress.local.add(ref)
    elif resource.insists(change):
        progress.insisting.add(ref)


def _pending(number: int, progress: Progress) -> tuple[str, ...]:
    """What is about to change of that which a resource watches."""
    graph = progress.graph
    resource = graph.resources[number]
    if not (roots := tuple(resource.watches())):
        return ()
    before = (graph.refs[each] for each in sorted(graph.before[number]) if each < len(graph.refs))
    return tuple(
        f"{ref.kind} {ref.name}"
        for ref in before
        if ref.host == resource.host
        for token in progress.provided.get(ref, ())
        if any(is_below(token.removeprefix("path:"), root) for root in roots)
    )


def _action(resource: Resource, ref: Ref, change: Change, seen: State | None) -> Action:
    refused = resource.refuses(change)
    return Action(
        ref=ref,
        verb=resource.verb(change),
        deltas=tuple(_with_text(resource, delta, change.seen) for delta in change.deltas.values()),
        steps=() if refused else tuple(resource.steps(change)),
        rescue=() if refused else tuple(resource.rescue(change)),
        blocked=refused,
        seen_digest=digest(bound(resource, seen)),
        place=resource.place,
        subject=resource.part or resource.subject,
    )


def _with_text(resource: Resource, delta: Delta, seen: State | None) -> Delta:
    text = resource.diff_text(delta, seen)
    return delta if text is None else replace(delta, text=text)


def bound(resource: Resource, seen: Seen) -> Seen:
    """What was seen, without what each look may tell otherwise."""
    if not isinstance(seen, Mapping):
        return seen
    return {name: value for name, value in seen.items() if not resource.is_aside(name)}


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
