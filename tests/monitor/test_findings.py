"""Drifted, pending, expiring, unseen; told once, again by policy, and once when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.environment.brought import Brought
from reconciler.environment.rules import Acknowledged, Notices
from reconciler.environment.settings import Environment, Host
from reconciler.journal.journal import Journal
from reconciler.model import Action, Delta, Plan, Ref
from reconciler.monitor import findings, tracker
from reconciler.monitor.findings import Finding
from tests.support.workplace import StoppedClock

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REF = Ref("a", "file", "/x")


def environment(**more: Any) -> Environment:
    return Environment(name="lab", router="r", hosts=(Host(name="a", primary=True),), file="lab.yaml", **more)


def plan(*refs: Ref, **more: Any) -> Plan:
    actions = tuple(Action(ref, "change", (Delta("mode", 1, 2),), (), seen_digest="0") for ref in refs)
    return Plan("lab", actions, wants={REF: {"mode": 2}}, **more)


def found(
    made: Plan, seen: Mapping[Ref, Any] | None = None, settled: Mapping[str, str] | None = None, **more: Any
):
    return findings.findings(environment(**more), made, seen or {}, settled or {}, NOW)


def test_the_verdicts_are_kept_apart() -> None:
    assert [each.verdict for each in found(plan(REF))] == ["pending"]
    assert [
        each.verdict for each in found(plan(REF), settled={str(REF): findings.want_digest({"mode": 2})})
    ] == ["drifted"]
    assert [each.verdict for each in found(plan(REF), settled={str(REF): "other"})] == ["pending"]
    away = plan(unreachable={"a": "no answer"}, unknown={Ref("b", "acl", "/y"): "no getfacl"})
    assert [(each.verdict, each.host, each.detail) for each in found(away)] == [
        ("unseen", "a", "no answer"),
        ("unseen", "b", "no getfacl"),
    ]
    until = (NOW + timedelta(days=17)).isoformat()
    (one,) = found(plan(), {Ref("a", "release", "r"): {"expires": until}})
    assert (one.verdict, one.detail) == ("expiring", "valid until 2026-12-10T12:00+00:00")
    later = (NOW + timedelta(days=19)).isoformat()
    assert found(plan(), {Ref("a", "release", "r"): {"expires": later}}) == []


def test_one_that_lives_for_six_days_expires_in_its_own_last_fifth() -> None:
    def verdicts(left: timedelta) -> list[str]:
        begins, expires = NOW + left - timedelta(days=6), NOW + left
        state = {"begins": begins.isoformat(), "expires": expires.isoformat()}
        return [each.verdict for each in found(plan(), {Ref("a", "release", "r"): state})]

    assert verdicts(timedelta(days=2)) == []
    assert verdicts(timedelta(days=1)) == ["expiring"]


def test_a_brought_certificate_is_told_of_from_the_days_that_it_declares() -> None:
    def told(days: int, warn: int = 30) -> list[tuple[str, str, str]]:
        until = (NOW + timedelta(days=days)).isoformat()
        brought = (Brought(name="node", file="/x", warn=warn),)
        seen = {Ref("a", "brought_certificate", name): {"expires": until} for name in ("node", "undeclared")}
        return [(each.verdict, each.name, each.detail) for each in found(plan(), seen, certificates=brought)]

    assert told(31) == told(10, warn=10) == []
    detail = "valid until 2026-12-22T12:00+00:00; nothing renews it: bring another"
    assert told(29) == [("expiring", "node", detail)]


def test_known_drift_is_taken_until_its_last_day_is_over() -> None:
    def known(until: str, **more: Any) -> tuple[Acknowledged, ...]:
        return (Acknowledged(kind="file", owner="ada", reason="a test", until=until, **more),)

    (one,) = found(plan(REF), acknowledged=known("2026-11-23"))
    assert one.acknowledged == "a test (ada, until 2026-11-23)"
    for over in (known("2026-11-22"), known("2026-12-01", host="b"), known("2026-12-01", name="/y")):
        (one,) = found(plan(REF), acknowledged=over)
        assert one.acknowledged == ""


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(NOW)


@pytest.fixture
def book(tmp_path: Path, clock: StoppedClock) -> Iterator[Journal]:
    with Journal(tmp_path, clock=clock) as opened:
        yield opened


def subjects(book: Journal) -> list[str]:
    import json

    return [json.loads(row[3])["subject"] for row in book.outbox()]


DRIFT = Finding("drifted", "a", "file", "/x", "mode")
AWAY = Finding("unseen", "a", "", "", "no answer")
ONE = environment(notices=Notices(mail=("x@y",)))


def test_the_same_drift_seen_a_hundred_times_is_one_alert(book: Journal, clock: StoppedClock) -> None:
    for _ in range(100):
        clock.now += timedelta(minutes=15)
        since = tracker.watch(book, ONE, [DRIFT])
    assert subjects(book) == ["lab: drifted on a"]
    assert since == {DRIFT.id: NOW + timedelta(minutes=15)}
    assert [each.what for each in book.entries()] == ["onset"]
    tracker.watch(book, ONE, [])
    tracker.watch(book, ONE, [])
    assert subjects(book) == ["lab: drifted on a", "lab: resolved: drifted on a"]
    assert [each.what for each in book.entries()] == ["onset", "recovery"]


def test_an_alert_that_cannot_be_read_begins_anew(book: Journal) -> None:
    tracker.watch(book, ONE, [DRIFT])
    for odd in ({}, {"verdict": 1, "since": "yesterday"}):
        book.keep_alerts("lab", {DRIFT.id: odd})
        assert tracker.watch(book, ONE, [DRIFT]) == {DRIFT.id: NOW}


def test_what_cannot_be_seen_is_not_over(book: Journal, clock: StoppedClock) -> None:
    tracker.watch(book, ONE, [DRIFT])
    tracker.watch(book, ONE, [AWAY])
    assert [each.what for each in book.entries()] == ["onset", "onset"]
    tracker.watch(book, ONE, [DRIFT])
    assert subjects(book) == ["lab: drifted on a", "lab: unseen on a", "lab: resolved: unseen on a"]


def test_it_is_told_again_by_policy_and_the_text_stays_the_same(book: Journal, clock: StoppedClock) -> None:
    often = environment(notices=Notices(mail=("x@y",), remind=24))
    for _ in range(50):
        tracker.watch(book, often, [DRIFT])
        clock.now += timedelta(hours=1)
    assert len({row[3] for row in book.outbox()}) == 1
    assert len(book.outbox()) == 3


def test_some_patience_before_it_is_told(book: Journal, clock: StoppedClock) -> None:
    patient = environment(notices=Notices(mail=("x@y",), after=3))
    tracker.watch(book, patient, [AWAY])
    tracker.watch(book, patient, [AWAY])
    tracker.watch(book, patient, [])
    assert subjects(book) == []
    for _ in range(3):
        tracker.watch(book, patient, [AWAY])
    assert subjects(book) == ["lab: unseen on a"]


def test_what_is_pending_or_acknowledged_is_not_told(book: Journal, clock: StoppedClock) -> None:
    pending = Finding("pending", "a", "file", "/x", "mode")
    taken = Finding("drifted", "a", "file", "/y", "mode", "known")
    tracker.watch(book, ONE, [pending, taken])
    assert subjects(book) == []


def test_a_plan_that_waits_is_told_once_as_long_as_it_is_the_same(book: Journal, clock: StoppedClock) -> None:
    def wait(digest: str | None) -> None:
        document = {"changes": f"sha256:{digest}", "actions": [1]} if digest else None
        tracker.ask_for_approval(book, ONE, document, ["the plan"], ["why"])

    for digest in ("1", "1", "2", "2", None, "2"):
        wait(digest)
    assert len(book.outbox()) == 3
    tracker.watch(book, ONE, [])
    wait("2")
    assert len(book.outbox()) == 3
