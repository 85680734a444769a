"""What happened, the newest first."""

from __future__ import annotations

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
        body.append('<ol class="timeline">' + "".join(map(_event, group)) + "</ol>")
    if len(events) > MOST:
        body.append(f'<p class="dim">and {many(len(events) - MOST, "earlier event")}</p>')
    return section("timeline", "Timeline", body, "All times are UTC.")


def _event(event: Event) -> str:
    look = tone(event.result)
    time = f'<time datetime="{event.at:%Y-%m-%dT%H:%MZ}">{event.at:%H:%M}</time>'
    detail = f"<p>{esc(event.detail)}</p>" if event.detail else ""
    return (
        f'<li class="{look}">{time}<div><strong>{esc(event.what)}</strong> {badge(look, event.result)}'
        f"{detail}</div></li>"
    )


def tone(result: str) -> str:
    """`ok`, `warn`, `bad`, or `note`."""
    text = result.lower()
    return next((name for name, words in TONES.items() if text.startswith(words)), "note")
