"""Whether what would be done is what was approved. Pure.

An approved action is a ref, a verb, wanted fields and steps: commands, and what each is fed. In any
round an action may only run if the approved plan holds one with the same ref and verb whose wanted
fields and steps are equal, one to one and in order, once what was unknown (known after apply) is filled
in by values of its type. What is left of an action, because something of it has been settled by then,
is a part of its fields, and its steps are some of the approved ones, in their order.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler import kinds
from reconciler.approval.commitment import is_kept
from reconciler.model import Action, Plan, Ref, Resource, Step
from reconciler.subjects import Risk
from reconciler.unknowns import matches


class Stale(Exception):
    """What would be done now is not what was approved. `lines` say how, one for each action;
    `report` is the `Report` of what had been done by then, None where that is nothing."""

    def __init__(self, lines: list[str], report: Any = None) -> None:
        self.lines, self.report = lines, report
        super().__init__("the plan is stale")


def without_lost(
    approved: Plan, plan: Plan, lost: Mapping[str, str], before: Mapping[Ref, Collection[Ref]]
) -> Plan:
    """What was approved, but for what was to be done on hosts that were lost since: host to reason.

    What goes by what such a host shows (`before` has what comes before each resource) may be another thing in
    `plan` than was approved, or nothing: that is no change by anybody. It is among the `unknown`, and so
    nothing is done about it, and the rest is.
    """
    there = {each.ref: each for each in approved.actions if each.ref.host not in lost}
    now = {each.ref: each for each in plan.actions}
    left_out = {
        ref: "it goes by a host that was lost since"
        for ref in sorted(_coming_after(lost, before))
        if not _is_displayed_same(there.get(ref), now.get(ref))
    }
    return replace(
        approved,
        actions=tuple(each for ref, each in there.items() if ref not in left_out),
        unreachable={**approved.unreachable, **lost},
        unknown={**approved.unknown, **left_out},
    )


def _is_displayed_same(approved: Action | None, action: Action | None) -> bool:
    if approved is None or action is None:
        return approved is action
    return not _why_disallowed(approved, action) and _displayed(approved) == _displayed(action)


def _coming_after(hosts: Container[str], before: Mapping[Ref, Collection[Ref]]) -> set[Ref]:
    """All resources that come after one of these hosts, directly or by way of others."""
    after: dict[Ref, list[Ref]] = {}
    for ref, others in before.items():
        for other in others:
            after.setdefault(other, []).append(ref)
    open_refs = {ref for ref in {*before, *after} if ref.host in hosts}
    # What comes right before may be there for what comes after: a pair that is sealed for the primary.
    found = {each for ref in open_refs for each in before.get(ref, ())}
    while open_refs:
        open_refs = {each for ref in open_refs for each in after.get(ref, ())} - found
        found |= open_refs
    return found


def disallowed(approved: Plan, plan: Plan, finished: Collection[Ref]) -> list[str]:
    """One line for each action of `plan` that `approved` does not allow.

    Left out are actions that will not run: those that are refused, on what was already attempted, and
    on what could not be seen when the plan was made; that needs a plan of its own.
    """
    return [f"{ref}: {reason}" for ref, reason in disallowed_refs(approved, plan, finished).items()]


def disallowed_refs(approved: Plan, plan: Plan, finished: Collection[Ref]) -> dict[Ref, str]:
    """The actions of `plan` that `approved` does not allow, and why not; see `disallowed`."""
    allowed = {action.ref: action for action in approved.actions}
    return {
        action.ref: reason
        for action in plan.actions
        if not action.blocked
        and action.ref not in finished
        and action.ref not in approved.unknown
        and action.ref.host not in approved.unreachable
        and (reason := _why_disallowed(allowed.get(action.ref), action))
    }


def _why_disallowed(approved: Action | None, action: Action) -> str | None:
    if approved is None:
        what = ", ".join(f"{d.field}: {d.seen!r} → {d.want!r}" for d in action.deltas)
        return f"{action.verb}: not in the plan ({what})"
    # Of a change, the part that is left may be no more than a reload; its steps are compared.
    less = approved.verb == "change" and action.verb in ("reload", "restart")
    if approved.verb != action.verb and not less:
        return f"{approved.verb} was planned, {action.verb} would be done now"
    wanted = {delta.field: delta.want for delta in approved.deltas}
    for delta in action.deltas:
        if delta.field not in wanted or not matches(wanted[delta.field], delta.want):
            planned = wanted.get(delta.field, "nothing")
            return f"{delta.field}: {planned!r} was planned, {delta.want!r} would be set now"
    part = less or len(action.deltas) < len(approved.deltas)
    return _other_step(approved.steps, action.steps, part) or _other_step(
        approved.rescue, action.rescue, part
    )


def _is_order(action: Action) -> bool:
    return Risk.ORDER in kinds.KINDS.get(action.ref.kind, Resource).risks(action)


def _other_step(approved: Sequence[Step], steps: Sequence[Step], part: bool) -> str | None:
    """Why these steps are not the approved ones or, where they may be a `part`, some of them in order."""
    at = 0
    for step in steps:
        while part and at < len(approved) and not _is_same(approved[at], step):
            at += 1
        if at == len(approved):
            return f"this command was not in the plan{' here' if part else ''}: {step.command}"
        if not matches(approved[at].command, step.command):
            return (
                f"this command was planned: {approved[at].command}; this one would be run now: {step.command}"
            )
        if not _is_fed_same(approved[at], step):
            return f"this command would be fed something else than was planned: {step.command}"
        at += 1
    if at < len(approved) and not part:
        return f"this command was planned, and would not be run now: {approved[at].command}"
    return None


def _is_same(approved: Step, step: Step) -> bool:
    return matches(approved.command, step.command) and _is_fed_same(approved, step)


def _is_fed_same(approved: Step, step: Step) -> bool:
    if approved.commitment is not None and step.stdin is not None:
        return is_kept(approved.commitment, step.stdin)
    return approved.fed == step.fed and approved.stdin == step.stdin


def _displayed(action: Action) -> tuple[object, ...]:
    """What a reader was told of an action beside what it does, but for what each look may tell otherwise."""
    kind = kinds.KINDS.get(action.ref.kind, Resource)
    deltas = {
        delta.field: (delta.seen, delta.text) for delta in action.deltas if not kind.is_aside(delta.field)
    }
    return deltas, [step.why for step in (*action.steps, *action.rescue)], action.blocked


def changes_since(approved: Plan, plan: Plan) -> list[str]:
    """What differs between a saved plan and what would be done now, one line each; empty where
    nothing does.

    Stricter than `disallowed`: before the first step, everything must be as it was; but an order that cron,
    or another run, has placed meanwhile is the one that was approved, and need not be placed again.
    """
    old = {action.ref: action for action in approved.actions}
    new = {action.ref: action for action in plan.actions}
    settled = [ref for ref, action in old.items() if ref not in new and not _is_order(action)]
    lines = [f"{ref}: it has been settled since" for ref in settled]
    lines += disallowed(approved, plan, ())
    for ref in old.keys() & new.keys():
        if old[ref].seen_digest != new[ref].seen_digest:
            lines.append(f"{ref}: it has changed on the host since the plan was made")
        left = {delta.field for delta in new[ref].deltas}
        gone = sorted({delta.field for delta in old[ref].deltas} - left)
        lines += [f"{ref}: {field} was planned, and would not be set now" for field in gone]
        explained = new[ref].blocked or any(line.startswith(f"{ref}: ") for line in lines)
        if not explained and _displayed(old[ref]) != _displayed(new[ref]):
            lines.append(f"{ref}: it is not what the plan shows")
    for host in sorted(set(approved.unreachable) ^ set(plan.unreachable)):
        state = "cannot be looked at now" if host in plan.unreachable else "can be looked at again"
        lines.append(f"{host}: it {state}")
    return sorted(lines)
