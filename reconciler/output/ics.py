"""When certificates end and are renewed, as a calendar (RFC 5545). Pure.

An event keeps its UID as long as it is about the same, so that a calendar that is subscribed to moves it and
makes no second one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_DNS, uuid5

from reconciler.monitor.status import EnvironmentStatus
from reconciler.output.text import utc
from reconciler.printable import printable

OCTETS = 75
"""The longest line without its end (section 3.1)."""


def calendar(found: Sequence[EnvironmentStatus], now: datetime) -> str:
    """The calendar as text; `now` is when it was made (DTSTAMP). What is not known
    is an event of today that says so, for a calendar has at least one (section 3.6)."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//reconcile//status//EN", "METHOD:PUBLISH"]
    for each in found:
        lines += _events(each, now)
    return "".join(f"{folded}\r\n" for line in (*lines, "END:VCALENDAR") for folded in _folded(line))


def _events(each: EnvironmentStatus, now: datetime) -> Iterator[str]:
    for one in each.brought:
        if one.end is not None:
            said = f"{each.label}: the certificate {one.name} expires"
            what = "it is renewed before that" if one.ordered else "nothing renews it: bring another"
            why = f"Valid until {utc(one.end)}; {what}."
            yield from _event(each, f"expiry {one.name}", f":{_moment(one.end)}", said, why, now)
    times = each.certificate
    about = f"{each.label}: the certificate"
    if times is None:
        if each.owns or each.unread:
            said = f"{about}'s end is not known"
            yield from _event(each, "unknown", _day(now), said, each.reason, now)
        return
    state = f"{each.environment} was {each.state} at {utc(now)}"
    seen = f"Valid until {utc(times.end)}, as seen at {utc(times.seen)}; {state}."
    yield from _event(each, "expiry", f":{_moment(times.end)}", f"{about} expires", seen, now)
    yield from _event(each, "renewal", _day(times.renewal), f"{about} is renewed about now", seen, now)


def _event(
    each: EnvironmentStatus, what: str, start: str, summary: str, detail: str, now: datetime
) -> Iterable[str]:
    name = uuid5(NAMESPACE_DNS, f"{what}/{each.label}/{each.router}")
    return (
        "BEGIN:VEVENT",
        f"UID:{name}",
        f"DTSTAMP:{_moment(now)}",
        f"DTSTART{start}",
        f"SUMMARY:{_text(summary)}",
        f"DESCRIPTION:{_text(detail)}",
        "TRANSP:TRANSPARENT",  # nobody is busy because of it
        "END:VEVENT",
    )


def _day(at: datetime) -> str:
    """The value of a property: the whole day (section 3.6.1: without an end it takes that day)."""
    return f";VALUE=DATE:{at.astimezone(UTC):%Y%m%d}"


def _moment(at: datetime) -> str:
    """A time in UTC (section 3.3.5, form 2)."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    """Text as section 3.3.11 escapes it; control characters have been made harmless before."""
    return printable(value).replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> Iterator[str]:
    """The line as lines of at most `OCTETS`, each further one with a space before it; no character is cut."""
    part, size = "", 0
    for char in line:
        octets = len(char.encode())
        if size + octets > OCTETS:
            yield part
            part, size = " ", 1
        part, size = part + char, size + octets
    yield part
