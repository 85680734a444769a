"""The journal's entries as the page's timeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reconciler.journal.journal import JournalEntry
from reconciler.output.html.past import events, renewals
from reconciler.tls.status import ServiceStatus


def entry(number: int, what: str, run: int = 0, **body: Any) -> JournalEntry:
    return JournalEntry(number, f"2026-11-23T12:0{run}:00+00:00", run, "lab", what, body)


def noticed(number: int, what: str, name: str, verdict: str = "drifted") -> JournalEntry:
    return entry(number, what, verdict=verdict, host="a", kind="file", name=name)


def outcome(host: str, kind: str, result: str, detail: str = "") -> dict[str, str]:
    return {"host": host, "kind": kind, "name": "r", "result": result, "detail": detail}


OUTCOMES = [
    outcome("a", "release", "done"),
    outcome("a", "serving", "done"),
    outcome("b", "serving", "failed", "it still serves another"),
    outcome("c", "serving", "skipped", "it waits for b"),
]


def test_certificates_that_are_served_say_when_they_were_issued() -> None:
    first, second = (datetime(2026, 11, day, 8, tzinfo=UTC) for day in (1, 22))
    served = [
        ServiceStatus("a", "apache", 443, "x", "22222222222222222222222222222222", begin=second),
        ServiceStatus("b", "apache", 443, "x", "11111111111111111111111111111111", begin=first),
        ServiceStatus("b", "tomcat", 8443, "x", "11111111111111111111111111111111", begin=first),
        ServiceStatus("c", "apache", 443, "nothing listens"),
    ]
    assert [(each.at, each.detail) for each in renewals(served)] == [
        (first, "11111111111111111111111111111111, served by 2 services now"),
        (second, "22222222222222222222222222222222, served by 1 service now"),
    ]


def test_runs_with_their_ends_and_what_was_noticed_between_them() -> None:
    begun = {
        "command": "apply",
        "actions": 3,
        "who": "ada on desk (process 1), since now",
        "approvers": ["bob"],
    }
    found = events(
        [
            *(noticed(number, "onset", f"/{number}") for number in range(5)),
            entry(6, "begin", 1, **begun),
            entry(7, "end", 1, code=4, outcomes=OUTCOMES),
            entry(8, "begin", 2, **begun),
            entry(9, "end", 2, code=None),
            entry(10, "begin", 3, **begun),
            noticed(11, "recovery", "/0"),
            entry(12, "refused", reasons=["too few"], who="ada", actions=1),
        ]
    )
    assert [(each.what, each.result) for each in found] == [
        ("Drifted", "drift"),
        ("Run 1: apply", "failed: it ended with 4"),
        ("Run 2: apply", "lost: it was interrupted"),
        ("Run 3: apply", "running"),
        ("Drifted", "recovered"),
        ("Refused", "not approved"),
    ]
    assert found[0].detail == "a file /0, a file /1, a file /2 and 2 more"
    assert found[1].detail == (
        "3 actions, ada on desk; approved by bob; certificate switched on 1 host;"
        " failed: b serving r: it still serves another"
    )
