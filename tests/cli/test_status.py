"""`status` from end to end: what `drift` and `apply` leave is what it says, and it asks no host."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.fleet.reply import NoAnswer
from reconciler.journal.journal import Journal
from reconciler.model import Observation
from reconciler.monitor import tracker
from reconciler.monitor.findings import Finding
from tests.support import states
from tests.support.schemas import hold
from tests.support.workplace import Scene, StoppedClock, two_hosts

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
VALID = "environment: {name}\nblueprint: false\nhosts: [{{name: h}}]\nresources: [{{package: tree}}]\n"


pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def world(clock: StoppedClock) -> Scene:
    return two_hosts(digest="1", clock=clock)


def rows(text: str) -> list[list[str]]:
    """The cells of the table, without its heads."""
    return [re.split("  +", line) for line in text.splitlines()[1:] if not line.startswith(" ")]


def one(world: Scene, capsys: pytest.CaptureFixture, code: int) -> dict[str, Any]:
    capsys.readouterr()
    assert world.run(["status", "e", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    hold(document, "status")
    (found,) = document["environments"]
    return found


def test_a_look_is_told_until_it_is_too_old(
    world: Scene, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    assert one(world, capsys, 3)["state"] == "unknown"
    world.run(["drift", "e"])
    assert one(world, capsys, 2)["state"] == "pending"
    clock.now += timedelta(minutes=1)
    assert world.run(["apply", "e", "--yes"]) == 0
    clock.now += timedelta(hours=3)
    for host in world.hosts.values():
        host.error = AssertionError("status asks no host")
    found = one(world, capsys, 0)
    assert (found["state"], found["look"]["at"]) == ("in sync", "2026-11-23T12:01:00+00:00")
    assert (found["last_run"]["result"], found["last_run"]["exit_code"], found["lock"]) == ("done", 0, None)
    assert (found["has_certificate"], found["certificate"]) == (False, None)
    assert world.run(["status", "e"]) == 0
    table = capsys.readouterr().out
    assert "in sync  3 h ago  no certificate  -" in table
    assert "run 1, 3 h ago: done" in table
    assert world.run(["status", "e", "--max-age", "2"]) == 3
    assert "the last look is too old; it was in sync then" in capsys.readouterr().out


def test_drift_after_an_apply_is_drifted(
    world: Scene, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    world.run(["apply", "e", "--yes"])
    world["a"].things["/x"] = "other"
    assert one(world, capsys, 0)["state"] == "in sync"  # nobody has looked
    world.run(["drift", "e"])
    assert one(world, capsys, 2)["reason"] == "1 drifted"
    world["b"].error = NoAnswer("b", "it is down")
    world.run(["drift", "e"])
    assert one(world, capsys, 2)["look"]["unseen"] == 1
    world["a"].things["/x"] = "new"
    world.run(["drift", "e"])
    assert one(world, capsys, 3)["reason"] == "1 unseen: not all could be looked at"


def test_a_part_that_was_looked_at_or_applied_says_nothing_of_the_whole(
    world: Scene, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    world.run(["drift", "e", "--host", "a"])
    assert one(world, capsys, 3)["look"] is None
    world.run(["drift", "e"])
    assert world.run(["apply", "e", "--yes", "--host", "a"]) == 0
    assert "run 1 was after the last look (done)" in one(world, capsys, 3)["reason"]
    world.run(["drift", "e"])
    assert one(world, capsys, 2)["reason"] == "1 pending"


def test_what_apply_finds_counts_as_a_look_even_where_it_does_nothing(
    world: Scene, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    for host in world.hosts.values():
        host.things["/x"] = "new"
    assert world.run(["apply", "e", "--yes"]) == 0
    found = one(world, capsys, 0)
    assert (found["state"], found["last_run"]) == ("in sync", None)
    clock.now += timedelta(hours=1)
    assert world.run(["apply", "e", "--auto"]) == 0
    assert one(world, capsys, 0)["look"]["at"] == "2026-11-23T13:00:00+00:00"


def test_a_changed_file_is_unknown(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world.run(["apply", "e", "--yes"])
    assert world.environment is not None
    world.environment = replace(world.environment, digest="2")
    assert "e.yaml changed after the last look" in one(world, capsys, 3)["reason"]


def here(name: str, text: str = VALID) -> Path:
    path = Path("environments", f"{name}.yaml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.format(name=name))
    return path


def test_all_tells_every_file_here_and_one_that_is_broken_hides_none(
    capsys: pytest.CaptureFixture, clock: StoppedClock
) -> None:
    here("good")
    here("bad", "environment: bad\nhosts: 5\n")
    Path("environments", "dangling.yaml").symlink_to("nowhere")
    plain = Scene({}, more={"clock": clock})
    for words in (["status"], ["status", "--all"]):
        assert plain.run(words) == 64
        out = capsys.readouterr().out
        assert [row[0] for row in rows(out)] == ["bad", "dangling", "good"]
        assert "    environments/bad.yaml:2:8: " in out
        assert "    environments/dangling.yaml:1:1: cannot be read: No such file or directory" in out
        assert "    no look is recorded here: `reconcile drift environments/good.yaml` looks" in out
    assert plain.run(["status", "good"]) == 3
    assert plain.run(["status", "good", "./environments/good.yaml", "environments"]) == 64
    out = capsys.readouterr().out
    assert out.count("no look is recorded here") == 2  # of the two commands: a file named twice is one
    assert "environments:1:1: is a directory; name the YAML file in it" in out


def test_what_is_mistyped_is_told(capsys: pytest.CaptureFixture, clock: StoppedClock, tmp_path: Path) -> None:
    plain = Scene({}, more={"clock": clock})
    for command in ("status", "drift", "validate"):
        assert plain.run([command, "--all"]) == 64
        assert f"there is no environment here: no {Path.cwd()}/environments/*.yaml" in capsys.readouterr().err
    here("good")
    for command in ("drift", "validate"):
        assert plain.run([command]) == 64
        assert "name an environment" in capsys.readouterr().err
    for command in ("status", "drift", "validate"):
        assert plain.run([command, "good", "--all"]) == 64
        assert "--all: names every environment; leave out good, or --all" in capsys.readouterr().err
    assert plain.run(["status", "godo"]) == 64
    assert "there is no environment godo" in capsys.readouterr().out
    assert plain.run(["status", "--json", "--checkmk"]) == 64
    assert "stdout takes one of them" in capsys.readouterr().err
    assert plain.run(["status", "--ics", str(tmp_path / "no" / "x.ics")]) == 71
    assert "cannot be written" in capsys.readouterr().err


def test_two_files_of_one_name_are_unknown(capsys: pytest.CaptureFixture, clock: StoppedClock) -> None:
    here("one", VALID.replace("{name}", "same"))
    here("two", VALID.replace("{name}", "same"))
    assert Scene({}, more={"clock": clock}).run(["status"]) == 3
    out = capsys.readouterr().out
    assert [row[0] for row in rows(out)] == ["same (environments/one.yaml)", "same (environments/two.yaml)"]


@pytest.mark.parametrize("damage", ["UPDATE entries SET body = '['", "DROP TABLE entries", None])
def test_a_damaged_journal_is_unknown_and_never_in_sync(
    world: Scene, capsys: pytest.CaptureFixture, state: Path, damage: str | None
) -> None:
    world.run(["apply", "e", "--yes"])
    if damage:
        with sqlite3.connect(state / "journal.sqlite") as data:
            data.executescript(damage)
        data.close()
    else:
        (state / "journal.sqlite").write_bytes(b"nonsense" * 1000)
    capsys.readouterr()
    assert world.run(["status", "e"]) == 3
    out = capsys.readouterr().out
    assert rows(out)[0][:2] == ["e", "unknown"]
    assert str(state / "journal.sqlite") in out
    assert "none here" not in out


@pytest.fixture
def stage(clock: StoppedClock, state: Path) -> Scene:
    """An environment with a certificate that was looked at an hour ago, and was well."""
    clock.now = states.NOW
    environment = replace(states.environment(), file="environments/stage.yaml")
    with Journal(state, clock=clock) as journal:
        tracker.keep_look(journal, environment, [], states.well())
    clock.now += timedelta(hours=1)
    return Scene({}, environment, more={"clock": clock})


def test_until_when_and_when_next(stage: Scene, clock: StoppedClock, capsys: pytest.CaptureFixture) -> None:
    assert stage.run(["status", "stage"]) == 0
    assert "  2027-02-20 (in 89 days)  about 2027-01-21  " in capsys.readouterr().out
    assert stage.run(["status", "stage", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    hold(document, "status")
    assert document["environments"][0]["certificate"]["valid_until"] == "2027-02-20T21:36:00+00:00"
    clock.now += timedelta(days=90)
    assert stage.run(["status", "stage", "--max-age", "8760"]) == 2  # it is in sync, and has expired
    assert "  2027-02-20 (expired)  due since 2027-01-21  " in capsys.readouterr().out


def test_a_certificate_that_could_not_be_seen_lately_says_since_when(
    stage: Scene, state: Path, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    assert stage.environment is not None
    away = Observation({}, dict.fromkeys((states.UCSB, states.ORC, states.UNM), "down"))
    found = [Finding("unseen", host, "", "", "down") for host in away.unreachable]
    clock.now += timedelta(hours=1)
    with Journal(state, clock=clock) as journal:
        tracker.keep_look(journal, stage.environment, found, away)
    assert stage.run(["status", "stage"]) == 3
    out = capsys.readouterr().out
    assert "2027-02-20 (in 89 days), seen 2 h ago  about" in out
    assert "    3 unseen: not all could be looked at" in out


def test_checkmk_gets_a_line_for_the_state_and_one_for_the_certificate(
    stage: Scene, capsys: pytest.CaptureFixture
) -> None:
    assert stage.run(["status", "stage", "--checkmk"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        '0 "reconcile stage" drifted=0|pending=0|unseen=0|acknowledged=0|look_age=3600 '
        "in sync, looked at 60 min ago"
    )
    assert second == (
        '0 "reconcile stage certificate" days_left=89.360 valid until 2027-02-20 21:36 UTC,'
        " renewal about 2027-01-21, seen 60 min ago"
    )


def test_checkmk_ends_with_0_whatever_it_prints(capsys: pytest.CaptureFixture, clock: StoppedClock) -> None:
    here("bad", "nonsense")
    here("good")
    assert Scene({}, more={"clock": clock}).run(["status", "--checkmk"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition('" ')[0] for line in lines] == ['3 "reconcile bad', '3 "reconcile good']


def test_the_calendar_is_written_beside_the_table(
    stage: Scene, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    file = tmp_path / "certificates.ics"
    assert stage.run(["status", "stage", "--ics", str(file)]) == 0
    assert "in sync" in capsys.readouterr().out
    raw = file.read_bytes()
    assert b"\r\r" not in raw
    assert raw.count(b"\n") == raw.count(b"\r\n")
    text = raw.decode()
    assert "DTSTART:20270220T213600Z\r\nSUMMARY:stage: the certificate expires\r\n" in text
    assert "DTSTART;VALUE=DATE:20270121\r\n" in text


def test_a_run_that_is_under_way_holds_the_lock(
    world: Scene, state: Path, clock: StoppedClock, capsys: pytest.CaptureFixture
) -> None:
    world.run(["apply", "e", "--yes"])
    with Journal(state, clock=clock) as journal:
        journal.begin("e", {"who": "ada on laptop (process 1), since noon, for e", "command": "apply"}, b"")
        found = one(world, capsys, 3)
        assert (found["lock"], found["last_run"]["result"]) == ("run 2 (ada on laptop)", "under way")
    assert one(world, capsys, 3)["last_run"]["result"] == "interrupted"
