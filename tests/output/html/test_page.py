"""The page as text: what is told, and that nothing a host says becomes markup."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.app import run
from reconciler.model import Action, Delta, Place, Plan, Ref, Step
from reconciler.output import html
from reconciler.output.html import Event, Facts
from reconciler.output.html.timeline import tone
from reconciler.output.text import diff_lines
from reconciler.tls.endpoint import Endpoint
from reconciler.tls.status import ServiceStatus
from reconciler.tls.verify import Check
from tests import ROOT
from tests.support.states import NEW, NOW, OLD, ORC, STATES, UNM, drifted, events, facts, stopped, well

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
        Ref(text, text, text), "change", (Delta(text, text, text), Delta(text, text, text, f"+{text}\n-{text}")),
        (Step(text, text),), (Step(text, text),), blocked=text, place=place,
    )  # fmt: skip
    check = Check(Endpoint(text, text, text, 443, "tls", text), "outside", "wrong", text)
    return Facts(
        environment=text,
        router=text,
        when=NOW,
        plan=Plan(text, (action,), {"h": text}, {Ref("g", text, text): text}, (text,), 3),
        served=[ServiceStatus(text, text, 443, text, text, (text,), NOW, NOW + timedelta(days=1))],
        checks=[check, dataclasses.replace(check, verdict="ok")],
        events=[Event(NOW, text, text, text)],
        warnings={text: text},
        source=text,
    )


PLAIN = Skeleton(html.page(hostile("x")))


@given(
    st.one_of(
        st.text(min_size=1),
        st.sampled_from(["</style><script>", "\" onload='x", "<!--", "]]>", "&lt;", "\x1b[2J"]),
    )
)
def test_nothing_that_is_said_becomes_markup(text: str) -> None:
    page = html.page(hostile(text))
    found = Skeleton(page)
    assert [tag for tag in found.tags if tag != "span"] == [tag for tag in PLAIN.tags if tag != "span"]
    assert found.attributes == PLAIN.attributes
    assert found.open == []
    assert all(char.isprintable() or char == "\n" for char in page)


def test_nothing_is_asked_for_from_anywhere() -> None:
    for state in STATES.values():
        page = html.page(state())
        assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
        assert "script" not in Skeleton(page).tags
        assert not re.search(r"url\(|@import|https?://(?!cn-stage)", page.partition("<body>")[0])
        assert re.findall(r"(?:src|href)=\"(?!#|data:,)", page) == []


def test_what_is_told_of_a_fleet_that_is_well() -> None:
    text = Skeleton(html.page(STATES["well"]())).text
    assert "all well" in text
    assert "Nothing to do: stage is as declared." in text
    assert "9 of 9" in text
    assert "89 of 90 days" in text
    assert f"{NEW} was issued for 4 names" in text
    assert "not as desired" not in text


def test_what_is_told_of_drift() -> None:
    text = Skeleton(html.page(STATES["drift"]())).text
    assert "3 actions pending" in text
    assert f"{UNM} could not be looked at: it does not answer on port 22" in text
    assert "-    RedirectMatch temp" in text
    assert "2 of 3" in text
    assert "not known" in text


def test_what_is_told_of_a_rollout_that_stopped() -> None:
    text = Skeleton(html.page(STATES["stopped"]())).text
    assert "some services serve the wrong certificate" in text
    assert "6 services on 2 hosts" in text
    assert "3 services on 1 host" in text
    assert OLD in text
    assert f"{OLD} was put back" in text
    unasked = Skeleton(html.page(facts(stopped(), asked=False))).text
    assert "some services serve the wrong certificate" in unasked
    assert "3 of 9" in unasked


def test_certificates_that_are_old_stand_out() -> None:
    begin = NOW - timedelta(days=80)
    served = [
        ServiceStatus("h", "apache", port, "x", "0" * 16, ("h",), begin, NOW + timedelta(days=left))
        for port, left in ((1, 40.0), (2, 10.0), (3, 3.0), (4, -2.0))
    ]
    told = Facts(environment="e", router="r", when=NOW, plan=Plan("e", (), hosts=("h",)), served=served)
    assert [told.tone(each) for each in served] == ["ok", "warn", "bad", "bad"]
    page = html.page(told)
    for text in ("40 of 120 days", "10 of 90 days", "3.0 of 83 days", "expired 2.0 days ago"):
        assert text in page
    assert told.first_end == served[3]


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
    assert run(["report", *EXAMPLE, "-o", str(tmp_path / "no" / "x.html")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_line_that_was_taken_out_is_told_from_the_head_of_a_diff() -> None:
    text = "--- as seen\n+++ as desired\n@@ -1,2 +1 @@\n---- a dash\n kept\n++ plus\n"
    assert [symbol for symbol, _ in diff_lines(text)] == ["", "", "", "-", "", "+"]
    assert list(diff_lines("- gone\n+ come")) == [("-", "- gone"), ("+", "+ come")]
