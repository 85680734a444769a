"""Which changes need an approval, when they may be made, and how many at once. Pure.

The rules are the environment's own (`rules.Policy`); each that is broken gives a reason, one line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from reconciler import kinds
from reconciler.environment.rules import Policy
from reconciler.messages import Message
from reconciler.model import Action, Plan, Ref, Seen

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _renews(action: Action) -> bool:
    """Whether an issued certificate reaches the services by it."""
    kind = kinds.KINDS.get(action.ref.kind)
    return kind is not None and kind.renews


def _is_of_class(policy: Policy, action: Action) -> bool:
    """Whether an action is a renewal or a reload, and the policy lets those run without an approval."""
    allowed = policy.without_approval
    if _renews(action):
        return "renewal" in allowed
    return "reload" in allowed and action.verb in ("reload", "restart")


def needs_none(policy: Policy, action: Action, known: Collection[str]) -> bool:
    """Whether an action may be carried out without an approval: its kind may or, where it is a renewal or
    a reload, it is of one of the resources `known` (HOST KIND NAME), whose settings were approved before."""
    if action.ref.kind in policy.without_approval:
        return True
    return _is_of_class(policy, action) and str(action.ref) in known


def without_precedent(policy: Policy, plan: Plan, known: Collection[str]) -> list[str]:
    """The renewals and reloads that could run by themselves, had their settings been approved before."""
    actions = [each for each in plan.actions if _is_of_class(policy, each) and not each.blocked]
    return [str(each.ref) for each in actions if not needs_none(policy, each, known)]


def automatic(policy: Policy, plan: Plan, known: Collection[str]) -> Plan:
    """The part of a plan that may be carried out without an approval: what needs none and
    waits for nothing that needs one, or that cannot be seen."""
    chosen: dict[Ref, Action] = {}
    for action in plan.actions:
        if (
            needs_none(policy, action, known)
            and not action.blocked
            and all(ref in chosen for ref in action.after)
        ):
            chosen[action.ref] = action
    return replace(plan, actions=tuple(chosen.values()))


def urgent(policy: Policy, plan: Plan, left: float | None) -> bool:
    """Whether windows do not count: a plan that does nothing but renew, and little time left.

    `left` is the fraction of its lifetime that the certificate still has; None: not known.
    """
    # A revocation comes after the replacement, and holds up none that is urgent.
    also = ("certificate", "revocation")
    renews = all(_renews(action) or action.ref.kind in also for action in plan.actions)
    return left is not None and renews and left * 100 < policy.urgent


@dataclass(frozen=True)
class Support:
    """What a plan has behind it: how many people have approved it, of how many that must; which resources
    (HOST KIND NAME) have settings that were approved before; and how many settings are not those."""

    people: int = 0
    needed: int = 0
    known: Collection[str] = ()
    declared: int = 0


def forbids(policy: Policy, plan: Plan, support: Support, now: datetime, left: float | None) -> list[str]:
    """Why a plan may not be carried out now, one line for each reason; empty where it may.

    `now` is an aware time, and `left` is the fraction that `urgent` takes.
    """
    reasons = []
    held = [action for action in plan.actions if not needs_none(policy, action, support.known)]
    if (held or support.declared) and support.people < support.needed:
        what = [f"{len(held)} of its actions"] if held else []
        what += (
            [f"{support.declared} settings that are not the ones last approved"] if support.declared else []
        )
        first = f"; the first: {held[0].verb} {held[0].ref}" if held else ""
        reasons.append(
            f"approval is needed for {' and '.join(what)} ({support.people} of"
            f" {support.needed} approvers so far) {Message.NEEDS_APPROVAL}{first}"
        )
    if plan.actions and not urgent(policy, plan, left) and not open_now(policy, now):
        reasons.append(
            f"changes are allowed {', '.join(policy.windows)} ({policy.timezone}); it is now"
            f" {now.astimezone(ZoneInfo(policy.timezone)):%a %H:%M} there {Message.OUTSIDE_WINDOW}"
        )
    if policy.most_changes is not None and len(plan.actions) > policy.most_changes:
        most = f"policy allows {policy.most_changes} in one run {Message.TOO_MUCH}"
        reasons.append(f"{len(plan.actions)} actions, but {most}")
    removals = sum(action.verb == "remove" for action in plan.actions)
    if policy.most_removals is not None and removals > policy.most_removals:
        most = f"policy allows {policy.most_removals} in one run {Message.TOO_MUCH}"
        reasons.append(f"{removals} removals, but {most}")
    return reasons


def open_now(policy: Policy, now: datetime) -> bool:
    """Whether `now`, an aware time, is in one of the windows; it is where there are none."""
    local = now.astimezone(ZoneInfo(policy.timezone))
    return not policy.windows or any(_within(window, local) for window in policy.windows)


def _within(window: str, local: datetime) -> bool:
    days, _, hours = window.rpartition(" ")
    begin, _, end = hours.partition("-")
    minute = timedelta(hours=local.hour, minutes=local.minute)
    if _time(begin) < _time(end):
        return _on(days, local) and _time(begin) <= minute < _time(end)
    # Over midnight: the hours after it belong to the day before.
    before = local - timedelta(days=1)
    return (_on(days, local) and minute >= _time(begin)) or (_on(days, before) and minute < _time(end))


def _time(text: str) -> timedelta:
    hours, _, minutes = text.partition(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _on(days: str, local: datetime) -> bool:
    if not days:
        return True
    first, _, last = days.partition("-")
    begin, end, day = DAYS.index(first), DAYS.index(last or first), local.weekday()
    return begin <= day <= end if begin <= end else day >= begin or day <= end


def left_of_lifetime(
    seen: Mapping[Ref, Seen], lifetime: Callable[[Ref], timedelta], now: datetime
) -> float | None:
    """The fraction of its lifetime that the certificate in use still has: of the releases on the hosts, the
    one with the least. None where none was seen. `lifetime` counts where none says its own."""
    own = lifetimes(seen)
    left = ((until - now) / (own.get(ref) or lifetime(ref)) for ref, until in expiries(seen).items())
    return min(left, default=None)


def expiries(seen: Mapping[Ref, Seen]) -> dict[Ref, datetime]:
    """When the certificates that were seen expire: the lineage and each host's release."""
    return dict(_moments(seen, "expires"))


def lifetimes(seen: Mapping[Ref, Seen]) -> dict[Ref, timedelta]:
    """For how long the certificates that were seen are valid in all, by themselves: above zero."""
    ends = expiries(seen)
    found = {ref: ends[ref] - begin for ref, begin in _moments(seen, "begins") if ref in ends}
    return {ref: lifetime for ref, lifetime in found.items() if lifetime > timedelta()}


def _moments(seen: Mapping[Ref, Seen], name: str) -> Iterable[tuple[Ref, datetime]]:
    for ref, state in seen.items():
        text = state.get(name) if isinstance(state, Mapping) else None
        if ref.kind in ("certificate", "release") and isinstance(text, str):
            yield ref, datetime.fromisoformat(text)
