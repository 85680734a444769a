"""What was approved against what would be done now."""

from __future__ import annotations

from dataclasses import replace

from reconciler.approval.binding import disallowed
from reconciler.model import Action, Delta, Plan, Ref, Step

ACTION = Action(Ref("h", "file", "/x"), "change", (Delta("mode", "0600", "0644"),), (Step("chmod", "why"),))


def test_what_was_not_approved_is_told() -> None:
    assert disallowed(Plan("e", ()), Plan("e", (ACTION,)), ()) == [
        "h file /x: change: not in the plan (mode: '0600' → '0644')"
    ]


def test_what_is_refused_needs_no_approval_for_it_is_not_done() -> None:
    refused = replace(ACTION, steps=(), blocked="look at it by hand")
    assert disallowed(Plan("e", ()), Plan("e", (refused,)), ()) == []
