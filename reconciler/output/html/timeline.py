"""What happened, the newest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from reconciler.output.html.facts import Event, Facts
from reconciler.output.html.text import badge, esc, section
from reconciler.output.text import many

MOST = 100
"""Events that are shown."""

TONES = {
    "ok": ("ok", "done", "in sync", "settled", "proven", "renewed", "recovered", "as declared"),
    "warn": ("drift", "changes", "unsettled", "skipped", "incomplete", "stale", "locked", "not approved"),
    "bad": ("failed", "lost", "neither", "wrong", "stopped", "expired"),
}
"""How the first words of a result look; what is not listed looks neutral."""


def timeline(facts: Facts) -> str:
    """The section of the events."""
    if not facts.events:
        return section("timeline", "Timeline", ['<p class="empty">No runs are recorded here.</p>'])
    events = sorted(facts.events, key=lambda event: event.at, reverse=True)
    body = []
    for date, group in groupby(events[:MOST], key=lambda event: f"{event.at:%Y-%m-%d}"):
        body.append(f"<h3>{date}</h3>")
        body.append('<ol class="timeline">' + "".join(_events(group)) + "</ol>")
    if len(events) > MOST:
        body.append(f'<p class="dim">and {many(len(events) - MOST, "earlier event")}</p>')
    return section("timeline", "Timeline", body, "All times are UTC.")


def _events(events: Iterable[Event]) -> Iterable[str]:
    """Attempts that changed nothing, one after the other, are folded away."""
    for idle, group in groupby(events, key=lambda event: event.idle):
        found = list(group)
        if not idle or len(found) == 1:
            yield from map(_event, found)
            continue
        counts = Counter(each.result for each in found)
        words = ", ".join(f"{number} {result}" for result, number in counts.items())
        rows = "".join(map(_event, found))
        summary = f'{len(found)} attempts that did nothing <span class="dim">({esc(words)})</span>'
        folded = f'<details><summary>{summary}</summary><ol class="timeline">{rows}</ol></details>'
        yield f'<li class="note">{_time(found[0])}<div>{folded}</div></li>'


def _time(event: Event) -> str:
    return f'<time datetime="{event.at:%Y-%m-%dT%H:%MZ}">{event.at:%H:%M}</time>'


def _event(event: Event) -> str:
    look = tone(event.result)
    detail = f"<p>{esc(event.detail)}</p>" if event.detail else ""
    what = f"<strong>{esc(event.what)}</strong> {badge(look, event.result)}"
    return f'<li class="{look}">{_time(event)}<div>{what}{detail}</div></li>'


def tone(result: str) -> str:
    """`ok`, `warn`, `bad`, or `note`."""
    text = result.lower()
    return next((name for name, words in TONES.items() if text.startswith(words)), "note")
