"""What is known of environments, as a table for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from reconciler.monitor import severity
from reconciler.monitor.status import BroughtEnd, EnvironmentStatus
from reconciler.output.elsewhere import result
from reconciler.output.text import Style, many
from reconciler.printable import printable

HEADS = ("environment", "state", "looked", "valid until", "renewal", "last run", "lock")
SYMBOLS = {severity.OK: "+", severity.WARN: "~", severity.BAD: "-"}


def table_lines(found: Sequence[EnvironmentStatus], now: datetime, style: Style) -> Iterable[str]:
    """A line for each environment, and below it why it is not in sync."""
    rows = [tuple(map(printable, _cells(each, now))) for each in found]
    widths = [max(map(len, column)) for column in zip(HEADS, *rows, strict=True)]
    yield style.dim(_row(HEADS, widths))
    for each, row in zip(found, rows, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[1] = style.mark(SYMBOLS[severity.STATES[each.state]], cells[1])
        if (tone := severity.of_certificate(each, now)) != severity.OK:
            cells[3] = style.mark(SYMBOLS[tone], cells[3])
        yield "  ".join(cells).rstrip()
        for line in (each.reason, *each.problems):
            if line:
                yield f"    {printable(line)}"
        for brought in each.brought:
            symbol = SYMBOLS[severity.of_certificate(brought, now)]
            line = f"{printable(brought.name)}: {brought_words(brought, now)}"
            yield f"    {style.mark(symbol, line) if symbol != '+' else line}"


def _row(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cells(each: EnvironmentStatus, now: datetime) -> tuple[str, ...]:
    if each.unread:
        return (each.label, each.state, *(["unknown"] * (len(HEADS) - 2)))
    looked = f"{age(now - each.look.at)} ago" if each.look else "never"
    run = "none here"
    if each.run is not None:
        run = f"run {each.run.number}, {age(now - each.run.began)} ago: {each.run.result}"
    if (other := each.elsewhere) and (each.run is None or each.run.began < other.began):
        run = f"{age(now - other.began)} ago by {other.machine}: {result(other)}"
    return (each.label, each.state, looked, *certificate_words(each, now), run, each.lock or "none here")


def certificate_words(each: EnvironmentStatus, now: datetime) -> tuple[str, str]:
    """Until when the certificate is valid, and about when it is renewed."""
    times = each.certificate
    if times is None:
        return ("unknown", "unknown") if each.owns else ("no certificate", "-")
    left = times.end - now
    valid = f"{times.end:%Y-%m-%d} ({f'in {age(left)}' if left > timedelta() else 'expired'})"
    if each.look is None or times.seen < each.look.at - timedelta(minutes=1):  # it could not be seen lately
        valid = f"{valid}, seen {age(now - times.seen)} ago"
    renewal = f"{times.renewal:%Y-%m-%d}"
    return valid, f"about {renewal}" if times.renewal > now else f"due since {renewal}"


def brought_words(each: BroughtEnd, now: datetime) -> str:
    """Until when a brought certificate is valid."""
    if each.end is None:
        return "until when it is valid is not known"
    left = each.end - now
    return f"valid until {each.end:%Y-%m-%d} ({f'in {age(left)}' if left > timedelta() else 'expired'})"


def age(span: timedelta) -> str:
    """A time span in its largest unit: `45 s`, `12 min`, `3 h`, `68 days`."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 2 * 86400 else many(seconds // 86400, "day")
