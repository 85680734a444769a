"""What was approved against what would be done now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.approval.binding import changes_since, disallowed, without_lost
from reconciler.approval.commitment import commit
from reconciler.kinds.service import Service
from reconciler.model import Action, Delta, Plan, Ref, Step
from reconciler.plan.planner import plan

ACTION = Action(Ref("h", "file", "/x"), "change", (Delta("mode", "0600", "0644"),), (Step("chmod", "why"),))
BOTH = replace(
    ACTION,
    deltas=(*ACTION.deltas, Delta("owner", "a", "b")),
    steps=tuple(Step(command, "why") for command in ("check", "chmod", "chown", "reload")),
    rescue=(Step("undo", "why"), Step("reload", "why")),
)


def allowed(approved: Action, now: Action) -> bool:
    return disallowed(Plan("e", (approved,)), Plan("e", (now,)), ()) == []


def steps(action: Action, *commands: str) -> Action:
    return replace(action, steps=tuple(Step(command, "why") for command in commands))


def test_what_was_not_approved_is_told() -> None:
    assert disallowed(Plan("e", ()), Plan("e", (ACTION,)), ()) == [
        "h file /x: change: not in the plan (mode: '0600' → '0644')"
    ]


def test_what_is_refused_needs_no_approval_for_it_is_not_done() -> None:
    refused = replace(ACTION, steps=(), blocked="look at it by hand")
    assert disallowed(Plan("e", ()), Plan("e", (refused,)), ()) == []


@pytest.mark.parametrize(
    "commands",
    [
        ("check", "chmod", "chown"),
        ("check", "chmod", "chown", "reload", "reload"),
        ("chmod", "check", "chown", "reload"),
        ("check", "check", "chown", "reload"),
        ("chmod", "chown", "reload"),
        (),
    ],
)
def test_steps_are_compared_one_to_one_and_in_order(commands: tuple[str, ...]) -> None:
    assert allowed(BOTH, BOTH)
    assert not allowed(BOTH, steps(BOTH, *commands))
    rescue = replace(BOTH, rescue=tuple(Step(command, "why") for command in commands))
    assert not allowed(BOTH, rescue)


def test_what_is_left_of_an_action_runs_some_of_its_steps_in_their_order() -> None:
    left = replace(BOTH, deltas=BOTH.deltas[:1])
    reload = replace(left, verb="reload")
    for action in (left, reload):
        assert allowed(BOTH, steps(action, "check", "chmod", "reload"))
        assert allowed(BOTH, steps(action, "reload"))
        assert not allowed(BOTH, steps(action, "chmod", "check"))
        assert not allowed(BOTH, steps(action, "reload", "reload"))
        assert not allowed(BOTH, steps(action, "curl evil | sh"))


@pytest.mark.parametrize("public", [True, False])
def test_a_step_is_bound_to_what_it_is_fed(public: bool) -> None:
    def fed(text: str | None) -> Action:
        return replace(ACTION, steps=(Step("install", "why", stdin=text, public=public),))

    bound = commit("good", "0f" * 16, public=public)
    saved = replace(ACTION, steps=(Step("install", "why", bytes_fed=4, commitment=bound),))
    for approved in (fed("good"), saved):
        assert allowed(approved, fed("good"))
        assert not allowed(approved, fed("evil"))
        assert not allowed(approved, fed(None))
        assert disallowed(Plan("e", (approved,)), Plan("e", (fed("evil"),)), ()) == [
            "h file /x: this command would be fed something else than was planned: install"
        ]
    unbound = replace(ACTION, steps=(Step("install", "why", bytes_fed=4),))
    assert not allowed(unbound, fed("good"))
    assert not allowed(steps(ACTION, "install"), fed("good"))


def test_before_the_first_step_nothing_that_was_planned_may_be_missing() -> None:
    left = replace(BOTH, deltas=BOTH.deltas[:1])
    assert changes_since(Plan("e", (BOTH,)), Plan("e", (left,))) == [
        "h file /x: owner was planned, and would not be set now"
    ]


def test_an_order_that_somebody_else_has_placed_meanwhile_is_the_one_that_was_planned() -> None:
    fields = (Delta("release", "ab", "(a new one)"),)
    order = Action(
        Ref("h", "certificate", "x"), "change", fields, (Step("sh /x/certificate.sh order ab", "why"),)
    )
    rest = replace(order, steps=(Step("sed -i x /x/renewal/x.conf", "sets how certbot renews it"),))
    assert changes_since(Plan("e", (order, BOTH)), Plan("e", (BOTH,))) == []
    assert changes_since(Plan("e", (rest, BOTH)), Plan("e", (BOTH,))) == [
        "h certificate x: it has been settled since"
    ]


def test_a_check_may_say_the_same_of_a_configuration_in_other_words_at_each_look() -> None:
    service = Service(host="a", unit="x", check="x -t", known_check=True)

    def planned(said: str) -> Plan:
        state = {"enabled": True, "running": True, "configuration": f"refused: {said}"}
        return plan("e", [service], {service.ref: state}, {})

    first, later = planned("12:00:01 [41]: line 1 is bad"), planned("12:00:09 [57]: line 1 is bad")
    assert first.actions[0].deltas != later.actions[0].deltas
    assert changes_since(first, later) == []
    mended = plan("e", [service], {service.ref: {"running": True, "configuration": "valid"}}, {})
    assert changes_since(first, mended) == ["a service x: it has been settled since"]


def test_what_goes_by_a_host_that_was_lost_is_left_out_and_all_else_is_as_it_was_approved() -> None:
    """`b` shows what `a`'s second action and `c`'s go by, and is gone; nobody has changed anything."""
    by_b, free, c = (replace(ACTION, ref=Ref(host, "file", f"/{name}")) for host, name in ("ay", "ax", "cy"))
    approved = Plan("e", (by_b, free, c, replace(ACTION, ref=Ref("b", "file", "/b"))))
    before = {by_b.ref: {Ref("b", "file", "/z")}, c.ref: {by_b.ref}, free.ref: set[Ref]()}
    lost = {"b": "it does not answer"}

    def changes(*actions: Action) -> list[str]:
        now = Plan("e", actions, unreachable=lost)
        return changes_since(without_lost(approved, now, lost, before), now)

    assert changes(free) == []
    other = replace(by_b, deltas=(Delta("mode", "0600", "0640"),))
    assert changes(free, other, c) == []
    new = replace(ACTION, ref=Ref("c", "file", "/z"))
    assert changes(free, new) == ["c file /z: change: not in the plan (mode: '0600' → '0644')"]
    assert changes(by_b, c) == ["a file /x: it has been settled since"]
    left = without_lost(approved, Plan("e", (free, other, c), unreachable=lost), lost, before)
    assert [each.ref for each in left.actions] == [free.ref, c.ref]
    assert set(left.unknown) == {by_b.ref}
