"""Whether what would be done is what was approved. Pure.

An approved action is a ref, a verb, wanted fields and step templates. In any round an
action may only run if the approved plan holds one with the same ref and verb whose wanted
fields and steps are equal once what was unknown (known after apply) is filled in.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from reconciler.model import Action, Plan, Ref
from reconciler.unknowns import matches


class Stale(Exception):
    """What would be done now is not what was approved. `lines` say how, one for each action;
    `report` is the `Report` of what had been done by then, None where that is nothing."""

    def __init__(self, lines: list[str], report: Any = None) -> None:
        self.lines, self.report = lines, report
        super().__init__("the plan is stale")


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
    commands = [step.command for step in (*approved.steps, *approved.rescue)]
    for step in (*action.steps, *action.rescue):
        if not any(matches(command, step.command) for command in commands):
            return f"this command was not in the plan: {step.command}"
    return None


def changes_since(approved: Plan, plan: Plan) -> list[str]:
    """What differs between a saved plan and what would be done now, one line each; empty where
    nothing does.

    Stricter than `disallowed`: before the first step, everything must be as it was.
    """
    old = {action.ref: action for action in approved.actions}
    new = {action.ref: action for action in plan.actions}
    lines = [f"{ref}: it has been settled since" for ref in old if ref not in new]
    lines += disallowed(approved, plan, ())
    for ref in old.keys() & new.keys():
        if old[ref].seen_digest != new[ref].seen_digest:
            lines.append(f"{ref}: it has changed on the host since the plan was made")
    for host in sorted(set(approved.unreachable) ^ set(plan.unreachable)):
        state = "cannot be looked at now" if host in plan.unreachable else "can be looked at again"
        lines.append(f"{host}: it {state}")
    return sorted(lines)
