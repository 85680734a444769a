"""What is known of environments, as lines of a Checkmk local check. Pure.

A line is STATE "SERVICE" METRICS TEXT, each separated by one space (docs.checkmk.com, "Local checks"; the
parser is cmk/plugins/collection/agent_based/local.py). A service's name holds no quote of either sort, and
`\\n` in the text would begin its details.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from reconciler.monitor.status import BroughtEnd, EnvironmentStatus
from reconciler.output.overview import age, brought_words
from reconciler.output.prometheus import number
from reconciler.output.text import utc
from reconciler.printable import printable

OK, WARN, CRIT, UNKNOWN = range(4)
STATES = {"in sync": OK, "drifted": WARN, "pending": WARN, "unknown": UNKNOWN}
URGENCIES = {"ok": OK, "warn": WARN, "bad": CRIT, "unknown": UNKNOWN}


def local_check_lines(found: Sequence[EnvironmentStatus], now: datetime) -> Iterable[str]:
    """For each environment a service of its state, and one of each of its certificates. Those are critical
    where the page shows it in red; drift alone is a warning."""
    for each in found:
        metrics = {}
        text = each.state
        if each.look is not None:
            metrics = {**each.look.counts, "look_age": max(0.0, (now - each.look.at).total_seconds())}
            text = f"{text}, looked at {age(now - each.look.at)} ago"
        because = "; ".join(part for part in (each.reason, *each.problems) if part)
        yield _line(STATES[each.state], each.label, metrics, f"{text}: {because}" if because else text)
        if each.owns:
            yield _certificate(each, now)
        yield from (_brought(each, one, now) for one in each.brought)


def _certificate(each: EnvironmentStatus, now: datetime) -> str:
    name, state, times = f"{each.label} certificate", URGENCIES[each.urgency(now)], each.certificate
    if times is None:
        return _line(state, name, {}, "until when it is valid is not known")
    days = (times.end - now) / timedelta(days=1)
    text = f"valid until {utc(times.end)}, renewal about {times.renewal:%Y-%m-%d}"
    seen = f"seen {age(now - times.seen)} ago"
    return _line(state, name, {"days_left": round(days, 2)}, f"{text}, {seen}")


def _brought(each: EnvironmentStatus, one: BroughtEnd, now: datetime) -> str:
    state, metrics = URGENCIES[one.urgency(now)], {}
    if one.end is not None:
        metrics = {"days_left": round((one.end - now) / timedelta(days=1), 2)}
    return _line(state, f"{each.label} certificate {one.name}", metrics, brought_words(one, now))


def _line(state: int, name: str, metrics: dict[str, float], text: str) -> str:
    values = "|".join(f"{key}={number(value)}" for key, value in metrics.items()) or "-"
    service = printable(f"reconcile {name}").replace("\\", "/").replace('"', "").replace("'", "")
    return f'{state} "{service}" {values} {printable(text).replace(chr(92), "/")}'
