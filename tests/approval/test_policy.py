"""Who must approve what, when, and how much at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.approval.policy import (
    Support,
    automatic,
    forbids,
    left_of_lifetime,
    needs_none,
    open_now,
    without_precedent,
)
from reconciler.environment.rules import Policy
from reconciler.model import Action, CannotSee, Delta, Plan, Ref

KNOWN = [f"{host} {kind} /x" for host in "ab" for kind in ("serving", "delivery", "service", "release")]
"""Whose settings were approved before."""

MONDAY_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def action(kind: str, verb: str = "change", after: tuple[Ref, ...] = (), host: str = "a") -> Action:
    ref = Ref(host, kind, "/x")
    return Action(ref, verb, (Delta("f", 1, 2),), (), after=after, seen_digest="0")


def plan(*actions: Action) -> Plan:
    return Plan("lab", actions)


def test_what_needs_no_approval() -> None:
    policy = Policy(approvers=1, without_approval=("renewal", "reload", "cron"))
    assert needs_none(policy, action("serving", "reload"), KNOWN)
    assert needs_none(policy, action("delivery"), KNOWN)
    assert needs_none(policy, action("service", "restart"), KNOWN)
    assert needs_none(policy, action("cron"), KNOWN)
    assert not needs_none(policy, action("certificate"), KNOWN)
    assert not needs_none(policy, action("service"), KNOWN)
    assert not needs_none(policy, action("account", "remove"), KNOWN)
    # A revocation cannot be taken back: only where the policy names it.
    assert not needs_none(policy, action("revocation"), [*KNOWN, "a revocation /x"])
    assert needs_none(Policy(approvers=1, without_approval=("revocation",)), action("revocation"), ())
    # A reload is no renewal: `serving` reloads with another certificate.
    assert not needs_none(Policy(without_approval=("reload",)), action("serving", "reload"), KNOWN)


def test_a_renewal_or_a_reload_runs_by_itself_only_where_its_settings_were_approved_before() -> None:
    policy = Policy(approvers=1, without_approval=("renewal", "reload", "cron"))
    cron, reload, release = action("cron"), action("service", "reload"), action("release")
    assert automatic(policy, plan(cron, reload, release), ()).actions == (cron,)
    assert automatic(policy, plan(cron, reload, release), ["a release /x"]).actions == (cron, release)
    assert without_precedent(policy, plan(cron, reload, release), ["a release /x"]) == ["a service /x"]
    (reason,) = forbids(policy, plan(cron, reload), Support(0, 1), MONDAY_NOON, None)
    assert reason.startswith("approval is needed for 1 of its actions (0 of 1 approvers so far)")


def test_changed_settings_need_an_approval_of_their_own() -> None:
    (reason,) = forbids(Policy(approvers=1), plan(), Support(0, 1, (), 2), MONDAY_NOON, None)
    assert reason.startswith("approval is needed for 2 settings that are not the ones last approved (0 of 1")
    assert forbids(Policy(approvers=1), plan(), Support(1, 1, (), 2), MONDAY_NOON, None) == []


def test_what_runs_by_itself_waits_for_nothing_that_does_not() -> None:
    policy = Policy(approvers=1, without_approval=("renewal",))
    free, held = action("release"), action("account")
    behind = action("serving", "reload", after=(held.ref,))
    unseen = action("delivery", after=(Ref("b", "arrival", "x"),))
    assert automatic(policy, plan(free, held, behind, unseen), KNOWN).actions == (free,)
    follows = action("serving", "reload", after=(free.ref,))
    assert automatic(policy, plan(free, follows), KNOWN).actions == (free, follows)


def test_too_few_approvers() -> None:
    policy = Policy(approvers=2, without_approval=("reload",))
    held = plan(action("account"))
    (reason,) = forbids(policy, held, Support(1, 2), MONDAY_NOON, None)
    assert reason.startswith("approval is needed for 1 of its actions (1 of 2 approvers so far)")
    assert forbids(policy, held, Support(2, 2), MONDAY_NOON, None) == []
    assert forbids(policy, plan(action("service", "reload")), Support(0, 2, KNOWN), MONDAY_NOON, None) == []
    assert forbids(Policy(), held, Support(), MONDAY_NOON, None) == []


def test_limits() -> None:
    policy = Policy(most_changes=2, most_removals=0)
    three = plan(action("file"), action("cron"), action("acl", "remove"))
    assert forbids(policy, three, Support(), MONDAY_NOON, None) == [
        "3 actions, but policy allows 2 in one run [too-much]",
        "1 removals, but policy allows 0 in one run [too-much]",
    ]


@pytest.mark.parametrize(
    ("window", "zone", "at", "open_"),
    [
        ("Mon-Fri 08:00-17:00", "UTC", "2026-11-23T12:00", True),
        ("Mon-Fri 08:00-17:00", "UTC", "2026-11-23T17:00", False),
        ("Mon-Fri 08:00-17:00", "UTC", "2026-11-22T12:00", False),
        ("Mon-Fri 08:00-17:00", "America/Los_Angeles", "2026-11-23T12:00", False),
        ("Mon-Fri 08:00-17:00", "America/Los_Angeles", "2026-11-23T16:30", True),
        ("22:00-24:00", "UTC", "2026-11-23T23:59", True),
        ("Sun 22:00-04:00", "UTC", "2026-11-23T03:59", True),
        ("Sun 22:00-04:00", "UTC", "2026-11-22T03:59", False),
        ("Sat-Mon 10:00-11:00", "UTC", "2026-11-23T10:30", True),
        ("Sat-Mon 10:00-11:00", "UTC", "2026-11-24T10:30", False),
    ],
)
def test_windows(window: str, zone: str, at: str, open_: bool) -> None:
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert open_now(Policy(windows=(window,), timezone=zone), now) is open_


def test_a_window_never_wins_over_expiry() -> None:
    policy = Policy(windows=("Sun 02:00-03:00",), urgent=20)
    renewal, account = plan(action("release"), action("serving", "reload")), plan(action("account"))
    (reason,) = forbids(policy, renewal, Support(), MONDAY_NOON, 0.5)
    assert reason == "changes are allowed Sun 02:00-03:00 (UTC); it is now Mon 12:00 there [outside-window]"
    assert forbids(policy, renewal, Support(), MONDAY_NOON, 0.19) == []
    assert len(forbids(policy, account, Support(), MONDAY_NOON, 0.19)) == 1
    assert len(forbids(policy, renewal, Support(), MONDAY_NOON, None)) == 1
    revoked = plan(action("release"), action("serving", "reload"), action("revocation"))
    assert forbids(policy, revoked, Support(), MONDAY_NOON, 0.19) == []


def test_what_is_left_is_that_of_the_host_where_it_is_least() -> None:
    def state(days: int) -> dict[str, str]:
        return {"expires": (MONDAY_NOON + timedelta(days=days)).isoformat()}

    seen = {
        Ref("a", "certificate", "r"): state(80),
        Ref("b", "release", "r"): state(9),
        Ref("c", "release", "r"): CannotSee("no"),
        Ref("d", "release", "r"): None,
    }
    assert left_of_lifetime(seen, lambda _: timedelta(days=90), MONDAY_NOON) == pytest.approx(0.1)
    assert left_of_lifetime({}, lambda _: timedelta(days=90), MONDAY_NOON) is None
