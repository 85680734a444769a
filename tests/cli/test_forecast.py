"""`forecast` from end to end: what the file and the last look say; and what `drift` warns of, once."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.environment.rules import Acknowledged, Notices
from reconciler.environment.services import Services
from reconciler.journal.journal import Journal
from reconciler.monitor import tracker
from tests.support import states
from tests.support.schemas import hold
from tests.support.workplace import Scene, StoppedClock, two_hosts

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def fleet(clock: StoppedClock) -> Scene:
    """An environment with a certificate of Let's Encrypt's and PostgreSQL 15, and no host that answers."""
    made = states.environment()
    services = replace(made.services, postgresql="15")
    certificate = replace(made.certificate, server=type(made.certificate).server, lifetime=90, roots=None)
    environment = replace(made, services=services, certificate=certificate, file="e.yaml")
    return Scene({}, environment, more={"clock": clock})


def rules(world: Scene, capsys: pytest.CaptureFixture, code: int, *more: str) -> dict[str, Any]:
    """The rules of the JSON document by their names, with the whole of it under ""."""
    capsys.readouterr()
    assert world.run(["forecast", "e", "--json", *more]) == code
    document = json.loads(capsys.readouterr().out)
    hold(document, "forecast")
    assert document["exit_code"] == code
    return {"": document} | {each["rule"]: each for each in document["rules"]}


def keep(world: Scene, state: Path, clock: StoppedClock, **seen: str) -> None:
    """What `drift` would have kept of a look at hosts that are as declared."""
    observation = states.well()
    for ref, found in observation.seen.items():
        if isinstance(found, dict) and ref.kind == "certificate":
            found |= {"anchor": seen["anchor"], "usages": "serverAuth"}
        if isinstance(found, dict) and ref.kind == "package" and ref.name == "certbot":
            found |= {"version": seen["certbot"]}
    assert world.environment
    with Journal(state, clock=clock) as journal:
        tracker.keep_look(journal, world.environment, [], observation)


def test_without_a_look_the_file_alone_counts_and_the_rest_is_unknown(
    fleet: Scene, capsys: pytest.CaptureFixture
) -> None:
    found = rules(fleet, capsys, 3)
    assert (found[""]["until"], found[""]["looked"]) == ("2027-11-26", None)
    assert (found["le-64-days"]["verdict"], found["le-64-days"]["day"]) == ("bites", "2027-02-10")
    assert found["postgresql-ends"]["day"] == "2027-11-11"
    assert found["certbot-64-days"]["verdict"] == "unknown"
    assert (found["le-45-days"]["verdict"], found["br-47-days"]["verdict"]) == ("later", "no concern")
    assert fleet.run(["forecast", "e"]) == 3
    text = capsys.readouterr().out
    assert (
        "2027-02-10  le-64-days  (in 76 days)\n    Let's Encrypt's certificates are valid for 64 days" in text
    )
    assert "2027-02-10  certbot-64-days  (unknown, look first)" in text
    assert "not known: which version of certbot is installed; `reconcile drift e.yaml` looks" in text
    assert "br-47-days" not in text
    assert "By the environment file and no look is recorded here." in text
    days = [line[:10] for line in text.splitlines() if line.startswith("20")]
    assert days == sorted(days)


def test_what_the_last_look_has_kept_counts(
    fleet: Scene, state: Path, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    keep(fleet, state, clock, anchor="ISRG Root X1", certbot="2.1.0-4")
    found = rules(fleet, capsys, 2)
    assert found["certbot-64-days"]["here"] == "certbot is 2.1: it renews every 34 days"
    assert found[""]["looked"] == "2026-11-26T12:00:00+00:00"
    keep(fleet, state, clock, anchor="ISRG Root X1", certbot="5.8.0")
    assert rules(fleet, capsys, 2)["certbot-64-days"]["verdict"] == "no concern"
    assert rules(fleet, capsys, 2, "--at", "2030-06-04")["isrg-root-x1"]["verdict"] == "bites"
    assert rules(fleet, capsys, 2, "--at", "2030-06-03")["isrg-root-x1"]["verdict"] == "later"


def test_what_a_look_could_not_see_is_kept_from_the_one_before(
    fleet: Scene, state: Path, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    keep(fleet, state, clock, anchor="ISRG Root X1", certbot="5.8.0")
    assert fleet.environment
    with Journal(state, clock=clock) as journal:
        tracker.keep_look(journal, fleet.environment, [], states.Observation())
    assert rules(fleet, capsys, 2)["certbot-64-days"]["verdict"] == "no concern"


def test_nothing_that_bites_is_0_and_quiet(
    fleet: Scene, state: Path, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    keep(fleet, state, clock, anchor="ISRG Root X1", certbot="5.8.0")
    environment = fleet.environment
    assert environment
    fleet.environment = replace(environment, notices=Notices(mail=("ada@example.org",)), services=Services())
    assert fleet.run(["forecast", "e", "--at", "2027-02-09"]) == 0
    assert "Until 2027-02-09: 0 rules bite; " in capsys.readouterr().out
    assert fleet.run(["forecast", "e", "--at", "2027-02-09", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert fleet.run(["forecast", "e", "--at", "2027-02-10", "-q"]) == 2
    assert "le-64-days" in capsys.readouterr().out


def test_verbose_shows_the_rest_and_markdown_a_table(fleet: Scene, capsys: pytest.CaptureFixture) -> None:
    assert fleet.run(["forecast", "e", "-v"]) == 3
    text = capsys.readouterr().out
    assert "br-47-days: does not concern it: public CAs" in text
    assert "2028-02-16  le-45-days: later: Let's Encrypt" in text
    assert fleet.run(["forecast", "e", "--markdown"]) == 3
    table = capsys.readouterr().out
    assert "| 2027-02-10 | [le-64-days](https://letsencrypt.org/2025/12/02/from-90-to-45) | <code>" in table
    rows = [line for line in table.splitlines() if line.startswith("| 20")]
    assert rows
    assert {line.count("|") for line in rows} == {6}


@pytest.mark.parametrize("day", ["tomorrow", "2027-02-30", "20270210", ""])
def test_a_day_that_is_none_is_refused(fleet: Scene, day: str, capsys: pytest.CaptureFixture) -> None:
    assert fleet.run(["forecast", "e", "--at", day]) == 64
    assert capsys.readouterr().err == f"--at {day}: expected a day such as 2028-02-16\n"


def test_flags_that_exclude_each_other(fleet: Scene, capsys: pytest.CaptureFixture) -> None:
    assert fleet.run(["forecast", "e", "--json", "--markdown"]) == 64
    assert "stdout takes one of them" in capsys.readouterr().err
    assert fleet.run(["forecast", "e", "-q", "-v"]) == 64


def test_a_journal_that_cannot_be_read_hides_nothing_of_the_file(
    fleet: Scene, state: Path, capsys: pytest.CaptureFixture
) -> None:
    state.mkdir()
    (state / "journal.sqlite").write_bytes(b"no journal")
    assert fleet.run(["forecast", "e"]) == 3
    captured = capsys.readouterr()
    assert "le-64-days" in captured.out
    assert "what looks have kept is not known" in captured.err


# What drift warns of


@pytest.fixture
def world(clock: StoppedClock) -> Scene:
    """Two hosts that are as declared, without a certificate, and drift that is known for 30 more days."""
    scene = two_hosts(digest="1", clock=clock)
    for host in scene.hosts.values():
        host.things["/x"] = "new"
    known = Acknowledged(kind="file", owner="ada", reason="a test", until="2026-12-26")
    assert scene.environment
    scene.environment = replace(
        scene.environment,
        acknowledged=(known,),
        notices=Notices(mail=("ada@example.org",), smtp="127.0.0.1:1"),
    )
    return scene


def outbox(state: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(state / "journal.sqlite")) as data, data:
        return [json.loads(row[0]) for row in data.execute("SELECT notice FROM outbox ORDER BY number")]


WARNED = "forecast: acknowledged-ends: acknowledged drift counts again; from 2026-12-26 on\n"


def test_drift_warns_once_and_ends_as_it_would_without(
    world: Scene, state: Path, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    assert world.run(["drift", "e"]) == 0
    assert WARNED in capsys.readouterr().out
    clock.now += timedelta(days=1)
    assert world.run(["drift", "e"]) == 0
    out = capsys.readouterr().out
    assert "acknowledged-ends" not in out
    assert "forecast: 1 rule told of before; `reconcile forecast e.yaml` has them" in out
    assert world.run(["drift", "e", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert world.run(["drift", "e", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    hold(document, "plan")
    (found,) = document["findings"]
    assert (found["verdict"], found["kind"], found["name"]) == ("forecast", "forecast", "acknowledged-ends")
    assert found["since"] == NOW.isoformat()
    (notice,) = outbox(state)
    assert "reconcile forecast e.yaml" in notice["text"]
    assert "reconcile apply" not in notice["text"]


def test_the_first_look_of_cron_tells_it_even_where_it_is_quiet(
    world: Scene, capsys: pytest.CaptureFixture
) -> None:
    assert world.run(["drift", "e", "-q"]) == 0
    assert capsys.readouterr().out.startswith(WARNED)


def test_it_is_told_over_once_it_does_not_bite_any_more(
    world: Scene, state: Path, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    world.run(["drift", "e"])
    assert world.environment
    world.environment = replace(world.environment, acknowledged=())
    clock.now += timedelta(days=1)
    assert world.run(["apply", "e", "--auto"]) == 0
    assert [each["topic"] for each in outbox(state)] == ["alert", "recovery"]


def test_apply_auto_does_not_take_it_for_over(world: Scene, state: Path, clock: StoppedClock) -> None:
    world.run(["drift", "e"])
    clock.now += timedelta(days=1)
    assert world.run(["apply", "e", "--auto"]) == 0
    assert [each["topic"] for each in outbox(state)] == ["alert"]


@pytest.mark.parametrize("days", [0, 29])
def test_what_is_further_away_is_not_warned_of(
    world: Scene, days: int, capsys: pytest.CaptureFixture
) -> None:
    assert world.environment
    world.environment = replace(world.environment, notices=replace(world.environment.notices, forecast=days))
    assert world.run(["drift", "e"]) == 0
    assert "forecast" not in capsys.readouterr().out


def test_a_rule_may_be_acknowledged_too(world: Scene, state: Path, capsys: pytest.CaptureFixture) -> None:
    assert world.environment
    known = Acknowledged(
        kind="forecast", name="acknowledged-ends", owner="bob", reason="on it", until="2027-01-31"
    )
    world.environment = replace(world.environment, acknowledged=(*world.environment.acknowledged, known))
    assert world.run(["drift", "e"]) == 0
    assert (
        "acknowledged, forecast: acknowledged-ends: on it (bob, until 2027-01-31)" in capsys.readouterr().out
    )
    assert outbox(state) == []


def test_a_look_at_a_part_warns_of_nothing(world: Scene, capsys: pytest.CaptureFixture) -> None:
    assert world.run(["drift", "e", "--host", "a"]) == 0
    assert "forecast" not in capsys.readouterr().out
