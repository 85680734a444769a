"""What a recorded look still says of today, and what takes its word away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.environment.brought import Brought
from reconciler.environment.certificate import Certificate
from reconciler.environment.ordered import Ordered
from reconciler.environment.rules import Acknowledged
from reconciler.environment.settings import Environment, Host
from reconciler.journal.journal import Journal
from reconciler.model import Observation, Ref
from reconciler.monitor import status, tracker
from reconciler.monitor.findings import Finding
from reconciler.monitor.status import EnvironmentStatus
from tests.support import states

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LAB = Environment(
    name="lab",
    router="r",
    hosts=(Host(name="a", primary=True),),
    file="lab.yaml",
    digest="d",
    blueprint=False,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path, clock=lambda: NOW) as made:
        yield made


def looked(
    journal: Journal, *verdicts: str, environment: Environment = LAB, entry: int | None = None
) -> None:
    found = [Finding(each, "a", "file", f"/{number}", "") for number, each in enumerate(verdicts)]
    tracker.keep_look(journal, environment, found, Observation(), entry)


def begin(journal: Journal) -> int:
    return journal.begin("lab", {"who": "ada on laptop (process 1), since noon", "command": "apply"}, b"")


def known(journal: Journal, environment: Environment = LAB, **more: Any) -> EnvironmentStatus:
    look = status.look_from(journal.last_look(environment.name))
    number = journal.last_run(environment.name)
    run = status.last_run(journal.entries(number), alive=journal.lives(number)) if number else None
    later = journal.entries(None, environment.name, after=look.entry) if look else ()
    return status.environment_status(environment, look, run, later, **{"now": NOW, "oldest": DAY, **more})


@pytest.mark.parametrize(
    ("verdicts", "state", "reason"),
    [
        ((), "in sync", ""),
        (("expiring",), "in sync", ""),
        (("pending", "pending"), "pending", "2 pending"),
        (("pending", "drifted"), "drifted", "1 drifted, 1 pending"),
        (("unseen", "drifted"), "drifted", "1 drifted, 1 unseen"),
        (("unseen",), "unknown", "1 unseen: not all could be looked at"),
    ],
)
def test_a_look_of_today_says_the_state(
    journal: Journal, verdicts: tuple[str, ...], state: str, reason: str
) -> None:
    looked(journal, *verdicts)
    assert (known(journal).state, known(journal).reason) == (state, reason)


def test_acknowledged_drift_is_in_sync_and_counted(journal: Journal) -> None:
    found = Finding("drifted", "a", "file", "/x", "mode", acknowledged="a test (ada, until 2026-12-31)")
    tracker.keep_look(journal, LAB, [found], Observation())
    assert (known(journal).state, known(journal).reason) == ("in sync", "1 acknowledged")


def test_acknowledged_drift_counts_again_once_its_last_day_is_over(journal: Journal) -> None:
    until = Acknowledged(kind="file", owner="ada", reason="a test", until="2026-11-23")
    environment = replace(LAB, acknowledged=(until,))
    found = Finding("drifted", "a", "file", "/x", "mode", acknowledged="a test")
    tracker.keep_look(journal, environment, [found], Observation())
    evening = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
    assert known(journal, environment, now=evening).state == "in sync"
    assert "counts again" in known(journal, environment, now=evening + timedelta(minutes=2)).reason
    tracker.keep_look(journal, environment, [], Observation())
    assert known(journal, environment, now=evening + timedelta(minutes=2)).state == "in sync"


def test_without_a_look_nothing_is_known(journal: Journal) -> None:
    assert (known(journal).state, known(journal).look) == ("unknown", None)
    assert "`reconcile drift lab.yaml` looks" in known(journal).reason
    looked(journal, environment=replace(LAB, name="another"))
    assert known(journal).state == "unknown"


def test_a_look_that_is_too_old_or_of_the_future_says_nothing_of_today(journal: Journal) -> None:
    looked(journal)
    assert known(journal, now=NOW + DAY).state == "in sync"
    late = known(journal, now=NOW + DAY + timedelta(seconds=1))
    assert (late.state, late.reason) == ("unknown", "the last look is too old; it was in sync then")
    assert known(journal, now=NOW - timedelta(minutes=5)).state == "in sync"
    assert "a clock is wrong" in known(journal, now=NOW - timedelta(minutes=6)).reason


def test_a_file_that_has_changed_since_says_that_nothing_is_known(journal: Journal) -> None:
    looked(journal, "drifted")
    other = known(journal, replace(LAB, digest="e"))
    assert (other.state, other.reason) == (
        "unknown", "lab.yaml changed after the last look; it was drifted then",
    )  # fmt: skip
    named = known(journal, replace(LAB, sources={"signers": "1"}))
    assert named.reason.startswith("signers changed after the last look")


def test_a_run_after_the_look_takes_its_word_away(journal: Journal) -> None:
    looked(journal)
    run = begin(journal)
    one = known(journal)
    assert (one.state, one.reason) == (
        "unknown", f"run {run} was after the last look (under way); it was in sync then",
    )  # fmt: skip
    assert one.run is not None
    assert (one.run.alive, one.run.who, one.run.result) == (True, "ada on laptop", "under way")
    journal.end(run, "lab", {"code": 4})
    assert "(ended with 4)" in known(journal).reason
    looked(journal)
    assert known(journal).state == "in sync"


@pytest.mark.parametrize("code", [6, 7])
def test_a_run_that_was_stale_or_locked_has_changed_nothing(journal: Journal, code: int) -> None:
    looked(journal)
    run = begin(journal)
    journal.end(run, "lab", {"code": code})
    assert known(journal).state == "in sync"
    assert known(journal).run is not None


def test_a_run_that_ended_while_the_hosts_were_looked_at_counts_as_later(journal: Journal) -> None:
    run = begin(journal)
    before = journal.head()[0]
    journal.end(run, "lab", {"code": 0})
    looked(journal, entry=before)
    assert known(journal).state == "unknown"


def test_the_end_of_an_interrupted_run_is_no_change(journal: Journal) -> None:
    run = begin(journal)
    before = journal.head()[0]
    journal.end(run, "lab", {"code": None, "unfinished": []})  # as `drift` closes it, after its look
    looked(journal, entry=before)
    found = known(journal)
    assert (found.state, found.run and found.run.result) == ("in sync", "interrupted")


def stage(observation: Observation, journal: Journal, **more: Any) -> EnvironmentStatus:
    environment = replace(states.environment(), **more)
    tracker.keep_look(journal, environment, [], observation)
    return known(journal, environment)


def test_the_certificate_that_ends_first_and_when_it_is_renewed(journal: Journal) -> None:
    seen: dict[Any, Any] = dict(states.as_declared(states.NEW))
    states.serving(seen, states.UNM, states.OLD)
    seen[Ref(states.UCSB, "certificate", states.ROUTER)]["expires"] = (NOW + timedelta(days=89)).isoformat()
    times = stage(Observation(seen), journal).certificate
    assert times is not None
    assert times.end == NOW + timedelta(days=27)  # what clients get
    assert times.renewal == NOW + timedelta(days=59)  # what cron renews: a third of 90 days before its end
    assert (times.lifetime, times.seen) == (timedelta(days=90), NOW)


def test_until_when_it_is_valid_stays_known_while_nothing_is_seen(journal: Journal) -> None:
    first = stage(states.well(), journal).certificate
    assert first is not None
    journal.clock = lambda: NOW + DAY
    away = Observation({}, dict.fromkeys((states.UCSB, states.ORC, states.UNM), "down"))
    assert stage(away, journal).certificate == first
    assert stage(away, journal, certificate=Certificate(manage=False)).certificate is None


def test_a_certificate_that_a_service_came_with_says_nothing_of_until_when(journal: Journal) -> None:
    seen: dict[Any, Any] = dict(states.as_declared(states.NEW))
    own = stage(Observation(seen), journal).certificate
    serving = seen[Ref(states.UNM, "serving", states.ROUTER)]
    other = "5a" * 16
    serving |= {
        "postgresql on 5432": other,
        f"end of {other}": (NOW + 9 * DAY).isoformat(),
        f"names of {other}": "vm",
    }
    assert stage(Observation(seen), journal).certificate == own
    # Once the primary was seen to have none, what an earlier look has found is no longer so.
    bare = {**seen, Ref(states.UCSB, "certificate", states.ROUTER): {"lineage": "absent", "release": "none"}}
    for host in (states.UCSB, states.ORC, states.UNM):
        bare[Ref(host, "serving", states.ROUTER)] = {
            **serving,
            "apache on 443": other,
            "tomcat on 8443": "nothing",
        }
    assert stage(Observation(bare), journal).certificate is None


def test_the_end_of_a_brought_certificate_is_the_first_of_its_hosts_and_stays_known(journal: Journal) -> None:
    declared = tuple(Brought(name=name, file="/x", warn=30) for name in ("node", "new"))

    def brought(*days: int | None) -> list[tuple[str, timedelta | None, str]]:
        hosts = zip((states.UCSB, states.ORC), days, strict=False)
        seen: dict[Any, Any] = {
            Ref(host, "brought_certificate", "node"): {"expires": (NOW + each * DAY).isoformat()}
            if each is not None
            else {"certificate": "there is no /x"}
            for host, each in hosts
        }
        found = stage(Observation(seen), journal, certificates=declared)
        return [(each.name, each.end and each.end - NOW, each.urgency(NOW)) for each in found.brought]

    new = ("new", None, "unknown")
    assert brought(40, 31) == [("node", 31 * DAY, "ok"), new]
    assert brought() == [("node", 31 * DAY, "ok"), new]
    assert brought(29, None) == [("node", 29 * DAY, "warn"), new]
    assert brought(-1)[0] == ("node", -DAY, "bad")
    assert brought(None, None)[0] == ("node", None, "unknown")


def test_the_end_of_a_further_certificate_that_is_ordered_is_its_own(journal: Journal) -> None:
    entry = Ordered(name="web", names=("web.example.org",), settings=Certificate(lifetime=40, overdue=25))
    own = Ref(states.UCSB, "release", states.ROUTER)

    def web(**days: int) -> list[tuple[str, bool, timedelta | None, str]]:
        seen: dict[Any, Any] = {
            Ref(getattr(states, host), "release", "web"): {"expires": (NOW + each * DAY).isoformat()}
            for host, each in days.items()
        }
        seen[own] = {"expires": (NOW + DAY).isoformat()}
        found = stage(Observation(seen), journal, ordered=(entry,))
        return [
            (each.name, each.ordered, each.end and each.end - NOW, each.urgency(NOW))
            for each in found.brought
        ]

    assert web() == [("web", True, None, "unknown")]
    assert web(UCSB=30, ORC=20) == [("web", True, 20 * DAY, "ok")]
    assert web() == [("web", True, 20 * DAY, "ok")], "it stays known"
    assert web(UCSB=9) == [("web", True, 9 * DAY, "warn")]


def test_an_environment_that_owns_no_certificate_has_none(journal: Journal) -> None:
    found = stage(states.well(), journal, certificate=Certificate(manage=False))
    assert (found.owns, found.certificate, found.urgency(NOW)) == (False, None, "ok")
    assert stage(Observation(), journal).urgency(NOW) == "unknown"


@pytest.mark.parametrize(
    ("left", "urgency"), [(30, "ok"), (22.6, "ok"), (22, "warn"), (7.4, "bad"), (-1, "bad")]
)
def test_the_urgency_goes_by_what_is_left_of_the_lifetime(
    journal: Journal, left: float, urgency: str
) -> None:
    found = stage(states.well(), journal)
    assert found.certificate is not None
    end = NOW + timedelta(days=left)
    times = replace(found.certificate, end=end, lifetime=timedelta(days=90))
    assert replace(found, certificate=times).urgency(NOW) == urgency


def test_short_lived_certificates_are_renewed_at_half_their_lifetime() -> None:
    assert status.usual_renewal(NOW, 6 * DAY) == NOW - 3 * DAY
    assert status.usual_renewal(NOW, 90 * DAY) == NOW - 30 * DAY


def test_files_with_one_name_are_ambiguous(journal: Journal) -> None:
    looked(journal)
    one, other = known(journal), known(journal, replace(LAB, file="old/lab.yaml"))
    assert status.mark_ambiguous([one]) == [one]
    both = status.mark_ambiguous([one, other, replace(one, environment="x")])
    assert [each.label for each in both] == ["lab (lab.yaml)", "lab (old/lab.yaml)", "x"]
    assert [each.state for each in both] == ["unknown", "unknown", "in sync"]
    assert "2 files declare `environment: lab`" in both[0].reason


ODD = st.recursive(
    st.sampled_from([None, True, -1, 10**30, 1.5, "", "x", "2026-01-01T00:00:00"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["drifted", "", "end", "lifetime", "renewal", "seen"]), inner)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["counts", "digests", "certificate"]), ODD),
    st.sampled_from(["", "x", "2026-01-01"]),
)
def test_a_look_of_any_form_is_read_or_is_none(body: dict[str, Any], at: str) -> None:
    status.look_from((at, 1, body))
