"""What a run can still bring about. Pure."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.model import Plan, Ref


def hopeless(plan: Plan, given_up: Collection[Ref] = ()) -> set[Ref]:
    """The actions of a plan that cannot be carried out in this run: those refused or `given_up`, and
    those that wait for such a one or for what cannot be seen."""
    found = set(given_up)
    unseen = plan.unknown.keys() - plan.in_transit
    for action in plan.actions:
        if action.blocked or any(
            ref in found or ref in unseen or ref.host in plan.unreachable for ref in action.after
        ):
            found.add(action.ref)
    return found


def waits_for(plan: Plan, given_up: Collection[Ref] = ()) -> dict[Ref, tuple[Ref, ...]]:
    """For each action all that it waits for: what it must, and what goes first as long as it can."""
    coming = {action.ref for action in plan.actions} - hopeless(plan, given_up) | plan.in_transit
    return {
        action.ref: tuple(sorted({*action.after, *(ref for ref in action.follows if ref in coming)}))
        for action in plan.actions
    }
