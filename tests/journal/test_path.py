"""What the journal tells of runs is held against the model: each way to go astray is named with its entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.journal.journal import JournalEntry
from reconciler.journal.path import SILENT, Verdict, paths

OLD, NEW = "a" * 32, "b" * 32
HOSTS = ("h1", "h2", "h3")
BEFORE = {"h1": [], "h2": ["h1"], "h3": ["h1", "h2"]}
STEPS = [
    "sh /var/lib/reconciler/bin/release use staged",
    "systemctl reload apache2",
    "sh /var/lib/reconciler/bin/release prove 60 443 tls cn",
    "sh /var/lib/reconciler/bin/release proven 5",
]
RESCUE = ["sh /var/lib/reconciler/bin/release use proven"]


def named(host: str, **more: Any) -> dict[str, Any]:
    return {"host": host, "kind": "serving", "name": "cn", **more}


def locked(
    hosts: tuple[str, ...] = HOSTS,
    lost: Mapping[str, str] | None = None,
    overdue: tuple[str, ...] = (),
    canaries: tuple[str, ...] = (),
    **seen: Any,
) -> tuple[str, Any]:
    links = {host: {"current": OLD, "proven": OLD} for host in hosts} | seen
    rollout = {
        "before": BEFORE, "max_unavailable": 1, "max_failed": 1, "seen": links, "overdue": list(overdue),
        "canaries": list(canaries),
    }  # fmt: skip
    return "locked", {"hosts": list(hosts), "lost": dict(lost or {}), "rollout": rollout}


def begins(*hosts: str, passed: tuple[str, ...] = (), unseen: bool = False, **other: Any) -> tuple[str, Any]:
    fields = ("current", "apache on 443", "proven")
    deltas = [{"field": each, "seen": OLD, "want": NEW} for each in fields]
    action = {"verb": "reload", "deltas": deltas, "steps": STEPS, "rescue": RESCUE} | other
    return "intent", {
        "actions": [named(each, **action) for each in hosts],
        "passed": [named(each, why="it does not answer", unseen=unseen) for each in passed],
    }


def ended(
    result: str = "done", *hosts: str, put_back: bool = False, as_found: bool = False
) -> tuple[str, Any]:
    how = {"result": result, "detail": "", "put_back": put_back, "as_found": as_found}
    return "outcome", {"outcomes": [named(each, **how) for each in hosts]}


def judged(*entries: tuple[str, Any] | tuple[str, Any, int]) -> list[Verdict]:
    """The verdicts on these entries, which belong to run 1 unless they say another."""
    runs = dict.fromkeys(each[2] if len(each) == 3 else 1 for each in entries)
    rows = [(run, "begin", {}) for run in runs]
    rows += [(each[2] if len(each) == 3 else 1, each[0], each[1]) for each in entries]
    return paths(
        JournalEntry(number, "2026-11-26T12:00:00+00:00", run, "lab", what, body)
        for number, (run, what, body) in enumerate(rows, 1)
    )


END = ("end", {"code": 0})
ALL = [each for host in HOSTS for each in (begins(host), ended("done", host))]
HALF = {"current": NEW, "proven": OLD}


@pytest.mark.parametrize(
    "entries",
    [
        [locked(), *ALL, END],
        [locked(), begins("h1")],  # killed
        [locked(("h2", "h3"), {"h1": "it is down"}), begins("h2", passed=("h1",)), ended("done", "h2"), END],
        [locked(), begins("h1"), ended("failed", "h1", put_back=True), begins("h2", passed=("h1",))],
        [locked(h3=HALF), begins("h3"), ended("done", "h3"), begins("h1"), ended("done", "h1")],
        [locked(h3=HALF), begins("h1", passed=("h3",))],  # its disk is full, say
        [locked(h1=HALF), begins("h1"), ended("failed", "h1", as_found=True), begins("h2", passed=("h1",))],
        [locked(h1=HALF), begins("h1"), ended("lost", "h1", as_found=True), begins("h2", passed=("h1",))],
        [locked(h1=HALF, h2=HALF, overdue=("h3",)), begins("h3", passed=("h1", "h2"))],
        [locked(h1=None), begins("h2")],  # nothing is known of h1
        [locked(canaries=("h1",)), *ALL, END],
        [locked(("h2", "h3"), {"h1": "it is down"}, canaries=("h1",)), begins("h2", passed=("h1",))],
        [locked(canaries=("h1",), overdue=("h2",)), begins("h1"), ended("failed", "h1", put_back=True),
         begins("h2", passed=("h1",))],
        [locked(canaries=("h1",), h2=HALF), begins("h2")],
        [locked(canaries=("h1",)), begins("h2", passed=("h1",), unseen=True)],  # lost since it was locked
        [locked(h1={"current": "none", "proven": "none"}), begins("h1", rescue=[])],
        [locked(h1={"current": NEW, "proven": NEW}, h2={"current": f"{OLD}, an older copy", "proven": OLD}),
         begins("h2")],
    ],
)  # fmt: skip
def test_a_rollout_as_it_should_be_is_a_path(entries: list[Any]) -> None:
    assert [each.result for each in judged(*entries)] == ["path"]


@pytest.mark.parametrize(
    ("entries", "at", "why"),
    [
        ([locked(), begins("h2")], 3, "h2 is switched before h1"),
        ([locked(), begins("h1", "h2")], 3, "h2 is switched before h1"),
        ([locked(("h2", "h3"), {"h1": "down"}), begins("h2")], 3, "h2 is switched before h1"),
        ([locked(("h2", "h3"), {"h1": "down"}), begins("h1")], 3, "has not locked"),
        ([locked(h3=HALF), begins("h1")], 3, "h1 is switched before h3"),
        ([locked(h1=HALF, h2=HALF), begins("h3", passed=("h1", "h2"))], 3, "more than 1 before it failed"),
        ([locked(), begins("h1"), ended("lost", "h1", as_found=True)], 4, "to be as it was found"),
        ([locked(canaries=("h1",)), begins("h2", passed=("h1",))], 3, "although h1, a canary, is not proven"),
        (
            [
                locked(canaries=("h1",)),
                begins("h1"),
                ended("failed", "h1", put_back=True),
                begins("h2", passed=("h1",)),
            ],
            5,
            "although h1, a canary, is not proven",
        ),
        ([locked(), begins("h1"), ended("lost", "h1"), begins("h2", passed=("h1",))], 5, "as it should not be"),
        ([locked(), begins("h1"), ended("failed", "h1"), begins("h2", passed=("h1",))], 5, "as it should not"),
        (
            [
                locked(), begins("h1"), ended("failed", "h1", put_back=True), begins("h2", passed=("h1",)),
                ended("failed", "h2", put_back=True), begins("h3", passed=("h1", "h2")),
            ], 7, "more than 1 before it failed",
        ),
        ([locked(), begins("h1"), ended("done", "h1"), begins("h1")], 5, "once more"),
        ([locked(), begins("h1", steps=[STEPS[0], STEPS[1], STEPS[3]])], 3, "without a proof"),
        ([locked(), begins("h1", steps=STEPS[:3])], 3, "without a proof"),
        ([locked(), begins("h1", steps=STEPS[1:])], 3, "by no command"),
        ([locked(), begins("h1", rescue=["true"])], 3, "put back what was proven"),
        ([locked(), begins("h1"), begins("h2")], 4, "before the results"),
        ([locked(), ended("done", "h1")], 3, "not begun"),
        ([locked(), begins("h1"), ended("done", "h2")], 4, "which was not begun"),
        ([locked(), END, begins("h1")], 4, "after its end"),
        ([locked(), locked()], 3, "once more"),
        ([("onset", {})], 2, "no run writes there"),
        ([("locked", {"hosts": 3})], 2, "lacks what its kind has"),
    ],
)  # fmt: skip
def test_whoever_goes_astray_is_named_with_the_entry(entries: list[Any], at: int, why: str) -> None:
    (verdict,) = judged(*entries)
    assert (verdict.result, verdict.entry) == ("deviation", at)
    assert why in verdict.detail


def test_an_old_holder_must_not_act_once_a_newer_one_has_the_lock() -> None:
    took = (*locked(), 2)
    late = [locked(), took, begins("h1")]
    assert [each.result for each in judged(*late, ended("lost", "h1"))] == ["path", "path"]
    first, second = judged(*late, ended("done", "h1"))
    assert (first.result, first.entry, second.result) == ("deviation", 6, "path")
    assert "which a newer run had locked (entry 4)" in first.detail
    # What it had begun before that may well be done, and told later.
    assert judged(locked(), begins("h1"), took, ended("done", "h1"))[0].result == "path"


def test_of_an_earlier_version_only_what_it_tells_is_judged() -> None:
    intent = begins("h2", steps=["sh /elsewhere/release use staged"])[1]
    old = {"actions": [{k: v for k, v in each.items() if k != "rescue"} for each in intent["actions"]]}
    (verdict,) = judged(("intent", old), ended("done", "h2"), END)
    assert (verdict.result, verdict.detail) == ("recorded", SILENT)
    (verdict,) = judged(("intent", old), ("intent", old))
    assert verdict.result == "deviation"


def test_a_run_that_has_not_begun_is_none() -> None:
    (verdict,) = paths([JournalEntry(1, "2026-11-26T12:00:00+00:00", 4, "lab", "end", {})])
    assert verdict.detail == "it acts before it has begun"


def web(entry: tuple[str, Any], key: str = "actions") -> tuple[str, Any]:
    """An entry about the switches of a further certificate, `web`, in place of the own one's."""
    what, body = entry

    def of(each: dict[str, Any]) -> dict[str, Any]:
        words = {
            name: [step.replace("bin/release", "bin/release-web") for step in each[name]]
            for name in ("steps", "rescue")
            if name in each
        }
        return {**each, "name": "web", **words}

    told = {name: [of(each) for each in body[name]] for name in {key, "passed"} & body.keys()}
    return what, {**body, **told}


def both(**rollout: Any) -> tuple[str, Any]:
    """`locked` with the rollout of `web` beside the own one."""
    what, body = locked(**rollout)
    return what, {**body, "beside": {"web": body["rollout"]}}


def test_the_rollout_of_a_further_certificate_is_none_of_the_environments_own() -> None:
    """As an older version has told it: by its name alone, so it is passed over."""
    what, body = locked()
    beside = (what, {**body, "beside": ["web"]})
    other = [web(begins("h2", steps=["sh /x"])), web(ended("failed", "h2", put_back=True), "outcomes")]
    assert [each.result for each in judged(beside, *other, *ALL, END)] == ["path"]
    # A host that is lost by it is lost to the other too.
    lost = [other[0], web(ended("lost", "h2"), "outcomes")]
    assert [each.result for each in judged(beside, *ALL[:2], *lost, begins("h3", passed=("h2",)))] == ["path"]
    assert [each.result for each in judged(locked(), *other)] == ["deviation"]


ITS = [each for host in HOSTS for each in (web(begins(host)), web(ended("done", host), "outcomes"))]


@pytest.mark.parametrize(
    "entries",
    [
        [both(), *ITS, *ALL, END],
        [both(), *ALL[:2], *ITS, *ALL[2:], END],  # neither waits for the other
        [both(), web(begins("h1")), web(ended("failed", "h1", put_back=True), "outcomes"), *ALL, END],
        [both(), web(begins("h1")), web(ended("lost", "h1"), "outcomes"), begins("h2", passed=("h1",))],
    ],
)
def test_each_rollout_is_judged_by_itself(entries: list[Any]) -> None:
    assert [each.result for each in judged(*entries)] == ["path"]


@pytest.mark.parametrize(
    ("entries", "at", "why"),
    [
        ([both(), *ALL[:2], web(begins("h2"))], 5, "web: h2 is switched before h1"),
        ([both(), web(begins("h1", steps=STEPS[:2]))], 3, "web: h1 is switched without a proof"),
        ([both(), web(begins("h1", rescue=[]))], 3, "web: nothing would put back what was proven on h1"),
        (
            [both(), web(begins("h1")), web(ended("failed", "h1"), "outcomes"), web(begins("h2"))],
            5,
            "web: h2 is switched although h1 before it was left",
        ),
        (
            [both(), web(begins("h1")), web(ended("failed", "h1"), "outcomes"), begins("h2")],
            5,
            "h2 is switched bef",
        ),
        (
            [both(canaries=("h1",)), web(begins("h2", passed=("h1",)))],
            3,
            "web: h2 is switched although h1, a can",
        ),
    ],
)
def test_what_is_no_step_of_a_further_rollout_is_named_with_it(entries: list[Any], at: int, why: str) -> None:
    (verdict,) = judged(*entries)
    assert (verdict.result, verdict.entry) == ("deviation", at)
    assert verdict.detail.startswith(why)
