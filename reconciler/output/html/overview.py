"""The page over several environments: a row for each, which leads to its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.monitor import severity
from reconciler.output.html.facts import Facts, Frame
from reconciler.output.html.frame import aging, as_of, document, heading, stale_banner
from reconciler.output.html.problems import pending_words, problems, verdict
from reconciler.output.html.text import badge, days, esc, meter, section, table
from reconciler.output.text import many


@dataclass(frozen=True, kw_only=True)
class Row:
    """An environment: the facts of its page and where that is, or why there is none."""

    name: str
    page: str = ""
    facts: Facts | None = None
    errors: Sequence[str] = ()

    @property
    def tone(self) -> str:
        """How bad it is."""
        return verdict(self.facts)[0] if self.facts else severity.BAD


def overview(frame: Frame, rows: Sequence[Row]) -> str:
    """The page of all environments, as HTML: the worst first, else in the order given."""
    ordered = sorted(rows, key=lambda each: -severity.TONES.index(each.tone))
    worst = severity.worst(each.tone for each in rows)
    count = sum(each.tone != severity.OK for each in rows)
    words = f"{count} of {many(len(rows), 'environment')} to look at" if count else "all well"
    columns = ("Environment", "State", "Valid until", "Renewal", "Wrong or pending", "Last run")
    cells = [(None, [_cells(each, frame.made) for each in ordered])]
    body = section("environments", "Environments", [table("Environments", columns, cells)])
    title = heading(frame, "Certificates", worst, words)
    head = f"<header>\n{stale_banner(frame)}\n{title}\n{as_of(frame)}\n</header>"
    main = f'<main id="main">\n{aging(frame, body)}\n</main>'
    return document(frame, f"Certificates: {words} ({frame.made:%Y-%m-%d %H:%M} UTC)", f"{head}\n{main}")


def _cells(row: Row, now: datetime) -> list[str]:
    if row.facts is None:
        errors = '<ul class="names">' + "".join(f"<li>{esc(each)}</li>" for each in row.errors) + "</ul>"
        return [f"<strong>{esc(row.name)}</strong>", badge(row.tone, "not known"), "–", "–", errors, "–"]
    facts, status = row.facts, row.facts.status
    times = status.certificate
    valid, renewal = "not known" if status.owns else "not managed", "–"
    if times:
        tone = severity.of_certificate(status, now)
        valid = meter(tone, times.left(now), f"{times.end:%Y-%m-%d}, {_left(row, now)}")
        renewal = (
            f"about {times.renewal:%Y-%m-%d}"
            if times.renewal > now
            else f"due since {times.renewal:%Y-%m-%d}"
        )
    wrong = "".join(f"<li>{esc(each.text)}</li>" for each in problems(facts))
    waiting = (
        "" if severity.worst((verdict(facts)[0],)) == severity.OK else f"<li>{esc(pending_words(facts))}</li>"
    )
    run = f"{status.run.began:%Y-%m-%d %H:%M}: {esc(status.run.result)}" if status.run else "none here"
    return [
        f'<a href="{esc(row.page)}"><strong>{esc(status.environment)}</strong></a>',
        badge(*verdict(facts)),
        valid,
        renewal,
        f'<ul class="names">{wrong}{waiting}</ul>' if wrong or waiting else "nothing",
        run,
    ]


def _left(row: Row, now: datetime) -> str:
    times = row.facts.status.certificate if row.facts else None
    if times is None:
        return ""
    left = times.end - now
    return f"{days(left)} days left" if left.total_seconds() > 0 else f"expired {days(-left)} days ago"
