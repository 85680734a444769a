"""The calendar as RFC 5545 has it: lines, text, and what is in an event."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler.monitor.status import BroughtEnd, CertificateTimes, EnvironmentStatus
from reconciler.output.ics import calendar

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TIMES = CertificateTimes(
    end=NOW + timedelta(days=40), lifetime=timedelta(days=90), renewal=NOW + timedelta(days=10), seen=NOW
)
STAGE = EnvironmentStatus(
    environment="stage", file="s.yaml", state="in sync", reason="", owns=True, certificate=TIMES, router="r"
)


def events(text: str) -> list[dict[str, str]]:
    """The events, as whoever reads the calendar unfolds and unescapes it (sections 3.1 and 3.3.11)."""
    assert text.endswith("\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n)", text)
    lines = text.replace("\r\n ", "").removesuffix("\r\n").split("\r\n")
    assert (lines[0], lines[1], lines[-1]) == ("BEGIN:VCALENDAR", "VERSION:2.0", "END:VCALENDAR")
    found: list[dict[str, str]] = []
    for line in lines:
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            found.append({})
        elif found:
            assert not re.search(r"(?<!\\)(\\\\)*[,;]", value)
            found[-1][name] = re.sub(r"\\(.)", r"\1", value)
    return found


def test_an_end_and_a_renewal() -> None:
    end, renewal = events(calendar([STAGE], NOW))
    assert end["DTSTART"] == "20270102T120000Z"
    assert renewal["DTSTART;VALUE=DATE"] == "20261203"
    assert end["DTSTAMP"] == renewal["DTSTAMP"] == "20261123T120000Z"
    assert end["SUMMARY"] == "stage: the certificate expires"
    assert "stage was in sync at 2026-11-23 12:00 UTC" in end["DESCRIPTION"]


def test_an_event_keeps_its_uid_when_it_moves_and_shares_it_with_no_other() -> None:
    later = replace(STAGE, certificate=replace(TIMES, end=NOW, renewal=NOW), state="drifted")
    other = replace(STAGE, environment="prod")
    elsewhere = replace(STAGE, router="another")
    uids = [
        [each["UID"] for each in events(calendar([one], NOW))] for one in (STAGE, later, other, elsewhere)
    ]
    assert uids[0] == uids[1]
    assert len({uid for each in uids for uid in each}) == 6


def test_what_is_not_known_is_an_event_that_says_so() -> None:
    (unknown,) = events(calendar([replace(STAGE, certificate=None, reason="no look is recorded here")], NOW))
    assert (unknown["DTSTART;VALUE=DATE"], unknown["DESCRIPTION"]) == ("20261123", "no look is recorded here")
    assert unknown["SUMMARY"] == "stage: the certificate's end is not known"
    (unread,) = events(calendar([replace(STAGE, certificate=None, owns=False, unread=True)], NOW))
    assert unread["SUMMARY"] == unknown["SUMMARY"]
    assert events(calendar([replace(STAGE, certificate=None, owns=False)], NOW)) == []


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text_comes_back_as_it_is_printed(text: str) -> None:
    assert all(events(calendar([replace(STAGE, environment=text, state=text)], NOW)))
    plain = text if text.isprintable() else "x"
    assert events(calendar([replace(STAGE, environment=plain)], NOW))[0]["SUMMARY"].startswith(f"{plain}:")


def test_the_end_of_a_brought_certificate_is_an_event() -> None:
    known = BroughtEnd(name="node", end=NOW + timedelta(days=40), warn=timedelta(days=30))
    unknown = replace(known, name="host", end=None)
    (event,) = events(calendar([replace(STAGE, owns=False, certificate=None, brought=[known, unknown])], NOW))
    assert (event["DTSTART"], event["SUMMARY"]) == ("20270102T120000Z", "stage: the certificate node expires")
