"""The page as text: what is told, and that nothing a host says becomes markup."""

from __future__ import annotations

import dataclasses
import html as html_module
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.app import run
from reconciler.model import Action, Delta, Observation, Place, Plan, Ref, Step
from reconciler.monitor import severity
from reconciler.monitor.findings import Finding
from reconciler.monitor.status import (
    BroughtEnd,
    CertificateTimes,
    EnvironmentStatus,
    LastRun,
    look_body,
    look_from,
)
from reconciler.output import html
from reconciler.output.fold import fold
from reconciler.output.html import Event, Facts
from reconciler.output.html.past import Kept
from reconciler.output.html.problems import verdict
from reconciler.output.html.timeline import tone
from reconciler.output.text import diff_lines
from reconciler.tls.endpoint import Endpoint
from reconciler.tls.status import ServiceStatus
from reconciler.tls.verify import Check
from tests import CASES, ROOT
from tests.support.states import (
    FRAME,
    NOW,
    OLD,
    ORC,
    STATES,
    UCSB,
    drifted,
    environment,
    events,
    facts,
    stopped,
    well,
)

EXAMPLE = ("examples/three-hosts.yaml", "--seen", "examples/three-hosts.observation.json")


class Skeleton(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile(text: str) -> Facts:
    """Facts in which everything that is not ours is this text."""
    place = Place(text, 1, 1)
    action = Action(
        Ref(text, text, text), "change",
        (Delta(text, text, text), Delta(text, None, text * 130), Delta(text, text, text, f"+{text}\n-{text}"),
         Delta(text, text, text, f"+{text}\n" * 17)),
        (Step(text, text),), (Step(text, text),), blocked=text, place=place, subject=text,
    )  # fmt: skip
    check = Check(Endpoint(text, text, text, 443, "tls", text), "outside", "wrong", text)
    run = LastRun(number=1, command=text, who=text, began=NOW, ended=NOW, code=4, alive=False)
    return Facts(
        frame=dataclasses.replace(FRAME, again=text),
        status=EnvironmentStatus(
            environment=text, file=text, state="drifted", reason=text, owns=True, run=run, router=text,
            brought=(BroughtEnd(name=text, end=NOW + timedelta(days=9), warn=timedelta(days=30)),),
        ),
        plan=Plan(
            text, (action,), {"h.example": text}, {Ref("g.example", text, text): text}, (text,), 3,
            notes={action.ref: (text,), Ref("g.example", text, text): (f"{text} too",)},
        ),
        served=[ServiceStatus(text, text, 443, text, text, (text,), NOW, NOW + timedelta(days=1))],
        checks=[check, dataclasses.replace(check, verdict="ok")],
        findings=[Finding("drifted", text, text, text, text), Finding("drifted", text, text, text, text, text)],
        events=[Event(NOW, text, text, text), *(Event(NOW, text, text, text, idle=True) for _ in "12")],
        warnings={text: text},
        source=text,
        overview=text,
    )  # fmt: skip


def all_of(facts: Facts) -> str:
    """Its page, and the one over it and an environment without a page."""
    name = facts.status.environment
    rows = [html.Row(name=name, page="x", facts=facts), html.Row(name=name, errors=[name])]
    return html.page(facts) + html.overview(facts.frame, rows)


PLAIN = Skeleton(all_of(hostile("x")))


@given(
    st.one_of(
        st.text(min_size=1),
        st.sampled_from(["</style><script>", "\" onload='x", "<!--", "]]>", "&lt;", "\x1b[2J"]),
    )
)
def test_nothing_that_is_said_becomes_markup(text: str) -> None:
    page = all_of(hostile(text))
    found = Skeleton(page)
    for tags in (found.tags, PLAIN.tags):
        # A line of a text is an element of its own.
        tags[:] = [tag for tag in tags if tag not in ("span", "ins", "del")]
    assert found.tags == PLAIN.tags
    assert found.attributes == PLAIN.attributes
    assert found.open == []
    assert all(char.isprintable() or char == "\n" for char in page)


def test_nothing_is_asked_for_from_anywhere() -> None:
    for state in STATES.values():
        page = html.page(state())
        assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-" in page
        assert "unsafe-inline'; script" not in page.replace("style-src 'unsafe-inline'", "")
        assert Skeleton(page).tags.count("script") == 1
        assert not re.search(r"url\(|@import|https?://(?!cn-stage|acme)", page.partition("<body>")[0])
        assert re.findall(r"(?:src|href)=\"(?!#|data:,)", page) == []


def head(facts: Facts) -> str:
    """The texts of the head of a page: a line for its verdict, each of its blocks, and its counts."""
    header = html.page(facts).partition("<header>")[2].partition("</header>")[0]
    header = re.sub('<p class="(stale|eyebrow|asof)".*?</p>', "", header).replace("</h2>", ": ")
    parts = re.split(r'(?=<div class="block)|(?=<nav)', re.sub("</(p|li|span)>", " ", header))
    texts = (html_module.unescape(re.sub("<[^>]*>", "", part)) for part in parts)
    return "".join(f"{' '.join(each.split())}\n" for each in texts)


@pytest.mark.parametrize("state", STATES)
def test_the_head_of_the_page_says_until_when_what_is_wrong_and_what_is_pending(state: str) -> None:
    assert head(STATES[state]()) == (CASES / "page" / f"{state}.txt").read_text(encoding="utf-8")


TONES = {  # of the verdict, the three blocks, and the counts: of services, hosts and checks
    "well": "ok ok ok ok ok ok ok",
    "drift": "warn ok warn warn warn warn warn",
    "bare": "warn warn warn warn warn ok warn",
    "away": "warn ok warn warn warn warn warn",
    "blind": "warn ok warn warn warn warn warn",
    "stopped": "bad ok bad warn bad ok bad",
}


@pytest.mark.parametrize("state", STATES)
def test_a_fact_is_as_bad_in_one_place_as_in_the_next(state: str) -> None:
    page = html.page(STATES[state]())
    header = page.partition("</header>")[0]
    found = re.findall(r'class="(?:badge|block|card) (ok|warn|bad)', header)
    assert " ".join(found) == TONES[state]
    for number, name in ((4, "services"), (6, "checks")):
        section = page.partition(f'id="{name}"')[2].partition("</section>")[0]
        badges = re.findall(r'class="badge (\w+)"', "".join(re.findall("<td.*?</td>", section)))
        assert severity.worst(badges) == found[number], name


def test_what_is_told_of_a_rollout_that_stopped() -> None:
    text = Skeleton(html.page(STATES["stopped"]())).text
    assert "6 services on 2 hosts" in text
    assert "3 services on 1 host" in text
    assert f"{OLD} was put back" in text
    assert "3 attempts that did nothing (2 locked, 1 stale)" in text
    unasked = Skeleton(html.page(facts(stopped(), asked=False))).text
    assert "some services serve the wrong certificate" in unasked


def test_a_certificate_that_a_service_came_with_is_no_certificate_of_the_environment() -> None:
    page = html.page(STATES["bare"]())
    assert "3650 of" not in page
    assert "not a certificate of this environment" in page
    assert "not of this environment" in page
    assert 'until <time datetime="2036-11-21T23:42Z">2036-11-21</time>' in page


def test_checks_that_failed_are_told_with_the_first_reason() -> None:
    asked = [
        Check(Endpoint(UCSB, UCSB, "apache", 443, "tls", name), "outside", "wrong", why)
        for name, why in (("a", "refused"), ("b", "refused"), ("c", "it has expired"))
    ]
    told = dataclasses.replace(STATES["well"](), checks=asked)
    assert verdict(told) == ("bad", "checks from outside failed")
    text = Skeleton(html.page(told)).text
    assert "3 of 3 checks from outside failed (cn-stage-ucsb-1): refused; and 1 other reason." in text


def certificates(*left: float) -> Facts:
    """A fleet whose services serve certificates that are 80 days old, and end after these days."""
    begin = NOW - timedelta(days=80)
    served = [
        ServiceStatus(
            "h",
            "apache",
            port,
            "x",
            f"{port}" * 32,
            ("h",),
            begin,
            NOW + timedelta(days=days),
            True,
            own=True,
        )
        for port, days in enumerate(left, 1)
    ]
    end = min(each.end for each in served if each.end)
    times = CertificateTimes(end=end, lifetime=end - begin, renewal=NOW, seen=NOW)
    known = EnvironmentStatus(
        environment="e", file="e", state="in sync", reason="", owns=True, certificate=times, router="r"
    )
    return Facts(frame=FRAME, status=known, plan=Plan("e", (), hosts=("h",)), served=served)


def test_a_certificate_that_somebody_brings_has_its_row_and_its_end_is_told() -> None:
    well = certificates(60)

    def with_end(days: int | None) -> Facts:
        end = None if days is None else NOW + timedelta(days=days)
        brought = (BroughtEnd(name="node", end=end, warn=timedelta(days=30)),)
        return dataclasses.replace(well, status=dataclasses.replace(well.status, brought=brought))

    assert 'id="brought"' not in html.page(well)
    assert 'id="brought"' in html.page(with_end(60))
    assert [verdict(with_end(days)) for days in (60, 29, -1)] == [
        verdict(well),
        ("warn", "a brought certificate ends"),
        ("bad", "a brought certificate has ended"),
    ]
    assert "until when it is valid is not known" in html.page(with_end(None))


def test_certificates_that_are_old_stand_out() -> None:
    told = certificates(40, 10, 3, -2)
    assert [told.tone(each) for each in told.served] == ["ok", "warn", "bad", "bad"]
    page = html.page(told)
    for text in ("40 of 120 days", "10 of 90 days", "3.0 of 83 days", "expired 2.0 days ago"):
        assert text in page


@pytest.mark.parametrize(
    ("left", "shown"),
    [
        (40, ("ok", "all well")),
        (10, ("warn", "the renewal is overdue")),
        (3, ("bad", "the renewal is overdue")),
        (-2, ("bad", "the certificate has expired")),
    ],
)
def test_the_end_of_the_certificate_is_as_bad_in_the_heading_as_in_its_block(
    left: float, shown: tuple[str, str]
) -> None:
    told = certificates(left)
    assert verdict(told) == shown
    assert re.findall(r'class="block (\w+)"', html.page(told))[0] == shown[0]


def test_a_plan_is_folded_as_in_the_terminal() -> None:
    page = html.page(STATES["bare"]())
    plan = page.partition('id="plan"')[2].partition("</section>")[0]
    subjects = re.findall("<summary><strong>([^<]*)</strong>", plan)
    assert (subjects[0], subjects[-1]) == ("programs and clock", "switch and proof")
    assert plan.count("/usr/local/lib/reconciler/rsync-wrapper.sh</code> <span") == 1
    assert "<summary>content: +74 lines</summary>" in plan
    assert plan.count('class="entry"') == len(fold(STATES["bare"]().plan))
    assert "<details open" not in plan
    assert '<details class="subject" open>' in html.page(STATES["drift"]())


def test_notes_of_a_plan_are_told_also_where_nothing_is_to_be_done() -> None:
    told = STATES["drift"]()
    about = {
        told.plan.actions[0].ref: ("publish this record",),
        Ref(UCSB, "certificate", "r"): ("and that one",),
    }
    text = Skeleton(
        html.page(dataclasses.replace(told, plan=dataclasses.replace(told.plan, notes=about)))
    ).text
    assert "Note: publish this record" in text
    assert "Notesand that one" in text


@pytest.mark.parametrize("state", STATES)
def test_every_link_leads_somewhere(state: str) -> None:
    page = html.page(STATES[state]())
    targets = set(re.findall('href="#([^"]+)"', page))
    assert {"main", "plan"} <= targets <= set(re.findall('id="([^"]+)"', page))


def test_a_later_look_says_nothing_of_an_earlier_moment() -> None:
    sight = Observation({}, dict.fromkeys((UCSB, ORC), "down"))
    at = NOW + timedelta(days=1)
    kept = Kept(look=look_from((at.isoformat(), 0, look_body(environment(), (), well(), None, at))))
    assert facts(sight, kept=kept).status.certificate is None


def test_what_is_acknowledged_is_well_as_in_the_table_of_status() -> None:
    told = STATES["drift"]()
    plan = dataclasses.replace(told.plan, unreachable={}, unknown={})
    why = "a test (ada, until 2026-12-31)"
    found = [
        dataclasses.replace(each, acknowledged=why) for each in told.findings if each.verdict == "drifted"
    ]
    status = dataclasses.replace(told.status, state="in sync")
    served = [dataclasses.replace(each, as_wanted=True) for each in told.served]
    well = dataclasses.replace(told, plan=plan, findings=found, status=status, served=served, checks=None)
    assert verdict(well) == ("ok", "all well")
    page = html.page(well)
    assert "1 reload on 1 host. Acknowledged: 3." in page
    assert '<span class="badge ok">3 acknowledged</span>' in page
    assert f"<strong>Acknowledged:</strong> {why}" in page
    assert (
        "badge warn"
        not in page.partition("<main")[0] + page.partition('id="services"')[2].partition("</table>")[0]
    )


def test_a_page_says_when_it_was_made_and_from_when_on_it_says_nothing() -> None:
    frame = dataclasses.replace(FRAME, max_age=timedelta(hours=48), refresh=timedelta(minutes=5))
    page = html.page(facts(well(), frame=frame))
    text = Skeleton(page).text
    assert (
        "As of 2026-11-23 12:00 UTC. From 2026-11-25 12:00 UTC on, this page says nothing of today." in text
    )
    assert "<title>stage: all well (2026-11-23 12:00 UTC)</title>" in page
    assert '<meta http-equiv="refresh" content="300">' in page
    assert "more than 2 days old" in page
    assert "refresh" not in html.page(facts(well()))


def test_the_page_over_all_has_the_worst_first_and_leads_to_each() -> None:
    rows = [
        html.Row(name="a", page="a.html", facts=STATES["well"]()),
        html.Row(name="b", page="b%20c.html", facts=STATES["drift"]()),
        html.Row(name="broken", errors=["broken.yaml:1:1: unknown key"]),
    ]
    page = html.overview(FRAME, rows)
    assert re.findall('href="([^#]*?html)"', page) == ["b%20c.html", "a.html"]
    assert page.index("b%20c.html") < page.index("broken.yaml:1:1") < page.index("a.html")
    text = Skeleton(page).text
    assert "2 of 3 environments to look at" in text
    assert "2027-02-2089 days leftrenews about 2027-01-21" in " ".join(text.split()).replace(" 89", "89")
    well_alone = html.overview(FRAME, rows[:1])
    assert "<title>Certificates: all well (2026-11-23 12:00 UTC)</title>" in well_alone


def test_the_timeline() -> None:
    assert "No runs are recorded here." in html.page(facts(well()))
    many = events(*((hour, "drift", f"look {hour}", "in sync") for hour in range(130)))
    page = html.page(facts(drifted(), many))
    assert page.index("look 3<") < page.index("look 20<")
    assert "look 99<" in page
    assert "look 100<" not in page
    assert "and 30 earlier events" in page
    assert [tone(word) for word in ("Done", "drift", "failed: x", "began")] == ["ok", "warn", "bad", "note"]


def test_a_host_that_was_seen_without_root_says_so() -> None:
    sight = well()
    sight.warnings[ORC] = "sudo: a password is required"
    assert "looked without root: sudo: a password is required" in html.page(facts(sight))


def test_the_command_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = tmp_path / "report.html"
    assert run(["report", *EXAMPLE, "-o", str(page)]) == 0
    assert capsys.readouterr().out == ""
    text = Skeleton(page.read_text(encoding="utf-8")).text
    assert "2026-11-23 12:56 UTC, from examples/three-hosts.observation.json" in text
    assert "No runs are recorded here." in text
    assert "The certificate of this environment is not managed here" in text


def test_what_the_command_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    page = str(tmp_path / "report.html")
    assert run(["report", "examples/three-hosts.yaml"]) == 64
    assert "--output" in capsys.readouterr().err
    assert run(["report", "stage", *EXAMPLE[1:], "-o", page]) == 64
    assert "is an observation of example, not of stage" in capsys.readouterr().err
    seen = tmp_path / "seen.json"
    seen.write_text((ROOT / EXAMPLE[2]).read_text().replace('"looked": "2026-11', '"looked": "26'))
    assert run(["report", EXAMPLE[0], "--seen", str(seen), "-o", page]) == 64
    assert "looked: expected a time with its zone (2026-01-31T12:00:00Z), found" in capsys.readouterr().err
    assert run(["report", *EXAMPLE, "-o", str(tmp_path / "no" / "x.html")]) == 71
    assert "cannot be written" in capsys.readouterr().err


def test_a_line_that_was_taken_out_is_told_from_the_head_of_a_diff() -> None:
    text = "--- as seen\n+++ as desired\n@@ -1,2 +1 @@\n---- a dash\n kept\n++ plus\n"
    assert [symbol for symbol, _ in diff_lines(text)] == ["", "", "", "-", "", "+"]
    assert list(diff_lines("- gone\n+ come")) == [("-", "- gone"), ("+", "+ come")]
