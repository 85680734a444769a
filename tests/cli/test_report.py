"""`report`: a page, or a folder of pages with one over all of them; what the journal adds to a page."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.environment.load import InvalidEnvironment
from reconciler.environment.settings import Environment, Host
from reconciler.environment.yaml_reader import Problem
from reconciler.fleet.reply import NoAnswer
from reconciler.journal.journal import Journal
from reconciler.model import Place
from tests.support.schemas import hold
from tests.support.scripted import Scripted, Thing
from tests.support.workplace import Scene, StoppedClock


def load(env: str) -> Environment:
    """Environments whose names are of one letter, each with the host of its name; no other."""
    name = Path(env).stem
    if len(name) != 1:
        raise InvalidEnvironment([Problem(Place(env, 1, 1), "it is not <there>")])
    things = (Thing(host=name, label="/x"),)
    host = Host(name=name, primary=True)
    return Environment(name=name, router="r", hosts=(host,), blueprint=False, resources=things, file=env)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: StoppedClock) -> Scene:
    monkeypatch.setenv("RECONCILE_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    hosts = {name: Scripted(name, {"/x": "new"}) for name in ("a", "b")}
    return Scene(hosts, more={"load": load, "clock": clock})


def text(path: str) -> str:
    return re.sub(
        r"\s+", " ", re.sub("<[^>]*>", " ", Path(path).read_text(encoding="utf-8").partition("<body>")[2])
    )


def test_several_have_a_page_each_and_one_over_all(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["b"].things["/x"] = "old"
    assert world.run(["report", "a", "b", "-o", "site/pages"]) == 0
    assert capsys.readouterr().err == (
        "site/pages/index.html: written, with 2 of 2 environments; open it in a browser\n"
    )
    assert sorted(path.name for path in Path("site/pages").iterdir()) == ["a.html", "b.html", "index.html"]
    index = Path("site/pages/index.html").read_text()
    assert re.findall('href="([a-z.]+)"', index) == ["b.html", "a.html"]
    assert "1 of 2 environments to look at" in index
    assert 'href="index.html">All environments</a>' in Path("site/pages/b.html").read_text()
    assert "reconcile report a b -o site/pages" in index


def test_one_that_is_broken_hides_none_of_the_others(world: Scene, capsys: pytest.CaptureFixture) -> None:
    world["b"].error = NoAnswer("b", "it is down")
    assert world.run(["report", "a", "nowhere", "b", "-o", "site", "-q"]) == 64
    assert capsys.readouterr().err == "nowhere:1:1: it is not <there>\n"
    index = text("site/index.html")
    assert "nowhere:1:1: it is not &lt;there&gt;" in index
    assert "b could not be looked at: it is down" in index
    assert not Path("site/nowhere.html").exists()
    assert world.run(["report", "a", "b", "-o", "site", "-q"]) == 3


def test_all_takes_every_file_here(world: Scene, capsys: pytest.CaptureFixture) -> None:
    Path("environments").mkdir()
    Path("environments/a.yaml").write_text("")
    assert world.run(["report", "--all", "-o", "site", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    hold(document, "files")
    assert [each["path"] for each in document["files"]] == ["site/index.html", "site/a.html"]
    assert "reconcile report --all -o site" in Path("site/index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a", "b", "-o", "-"], "-o -: several pages need a folder; stdout takes the page of one environment"),
        (["a", "x/a", "-o", "site"], "site/a.html: two pages would have this name; give the files others"),
        (["a", "index", "-o", "site"], "site/index.html: two pages would have this name; give the files others"),
        (["a", "b", "-o", "file"], "file: is no folder (File exists); the pages of several environments need one"),
        (["a", "b", "--seen", "s", "-o", "site"], "--seen: an observation is of one environment; name that one alone"),
        (["-o", "page.html"], "name an environment (a path, or NAME for environments/NAME.yaml), or --all"),
        (["a", "--all", "-o", "site"], "--all: names every environment; leave out a, or --all"),
    ],
)  # fmt: skip
def test_what_several_need(
    arguments: list[str], why: str, world: Scene, capsys: pytest.CaptureFixture
) -> None:
    Path("file").write_text("mine")
    assert world.run(["report", *arguments]) == 64
    assert capsys.readouterr().err == f"{why}\n"
    assert Path("file").read_text() == "mine"
    assert world["a"].scripts == []


def test_the_journal_tells_drift_from_what_was_never_applied(world: Scene, clock: StoppedClock) -> None:
    world["a"].things["/x"] = "old"
    assert world.run(["report", "a", "-o", "page.html"]) == 0
    assert "a 1 action pending" in text("page.html")
    world["a"].things["/x"] = "new"
    world.run(["drift", "a"])
    clock.now += timedelta(hours=2)
    world["a"].things["/x"] = "old"
    world.run(["drift", "a"])
    clock.now += timedelta(hours=5)
    assert world.run(["report", "a", "-o", "page.html"]) == 0
    assert "1 resource drifted since 2026-11-23 14:00 UTC (a): thing /x." in text("page.html")
    assert "As of 2026-11-23 19:00 UTC" in text("page.html")


def test_an_attempt_that_did_nothing_hides_no_run_that_failed(world: Scene, clock: StoppedClock) -> None:
    begun = {"command": "apply", "actions": 1, "who": "ada on desk", "approvers": []}
    with Journal(write=True, clock=clock) as journal:
        for code in (4, 7, 6):
            run = journal.begin("a", begun, b"")
            clock.now += timedelta(minutes=1)
            journal.append(run, "a", "end", {"code": code, "outcomes": []})
    assert world.run(["report", "a", "-o", "page.html"]) == 0
    assert "Run 1 (apply) of 2026-11-23 12:00 UTC: ended with 4." in text("page.html")
    assert "2 attempts that did nothing (1 stale, 1 locked)" in text("page.html")


def test_its_age_and_refresh_are_flags(world: Scene) -> None:
    assert world.run(["report", "a", "-o", "page.html", "--max-age", "1", "--refresh", "15"]) == 0
    page = Path("page.html").read_text()
    assert '<meta http-equiv="refresh" content="900">' in page
    assert "This page is more than 1 hour old" in page
    assert "From 2026-11-23 13:00 UTC on, this page says nothing of today." in text("page.html").replace(
        " ,", ","
    )
