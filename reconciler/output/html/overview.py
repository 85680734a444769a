"""The page over several environments: a row for each, which leads to its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.monitor import severity
from reconciler.output.html.facts import Facts, Frame
from reconciler.output.html.frame import aging, as_of, document, heading, stale_banner
from reconciler.output.html.problems import no_certificate, pending_words, problems, renewal_words, verdict
from reconciler.output.html.text import badge, day, days, esc, meter, section, table
from reconciler.output.text import many, utc


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
        return verdict(self.facts)[0] if self.facts else severity.STATES["unknown"]


def overview(frame: Frame, rows: Sequence[Row]) -> str:
    """The page of all environments, as HTML: the worst first, else in the order given."""
    ordered = sorted(rows, key=lambda each: -severity.TONES.index(each.tone))
    worst = severity.worst(each.tone for each in rows)
    count = sum(each.tone != severity.OK for each in rows)
    words = f"{count} of {many(len(rows), 'environment')} to look at" if count else "all well"
    columns = ("Environment", "State", "Valid until", "Wrong or pending", "Last run")
    cells = [(None, [_cells(each, frame.made) for each in ordered])]
    body = section("environments", "Environments", [table("Environments", columns, cells)])
    title = heading(frame, "Certificates", worst, words)
    head = f"<header>\n{stale_banner(frame)}\n{title}\n{as_of(frame)}\n</header>"
    main = f'<main id="main">\n{aging(frame, body)}\n</main>'
    return document(frame, f"Certificates: {words} ({utc(frame.made)})", f"{head}\n{main}")


def _cells(row: Row, now: datetime) -> list[str]:
    if row.facts is None:
        errors = "".join(f"<li>{esc(each)}</li>" for each in row.errors)
        badged = badge(row.tone, "not known")
        return [f"<strong>{esc(row.name)}</strong>", badged, "–", f'<ul class="names">{errors}</ul>', "–"]
    facts, status = row.facts, row.facts.status
    lines = [f"<li>{esc(each.text)}</li>" for each in problems(facts)]
    if facts.waiting:
        lines.append(f"<li>{esc(pending_words(facts))}</li>")
    run = f"{status.run.began:%Y-%m-%d %H:%M}: {esc(status.run.result)}" if status.run else "none here"
    return [
        f'<a href="{esc(row.page)}"><strong>{esc(status.environment)}</strong></a>',
        badge(*verdict(facts)),
        _valid(facts, now),
        f'<ul class="names">{"".join(lines)}</ul>' if lines else "nothing",
        run,
    ]


def _valid(facts: Facts, now: datetime) -> str:
    status, times = facts.status, facts.status.certificate
    if times is None:
        return no_certificate(facts)
    left = times.end - now
    text = f"{days(left)} days left" if left.total_seconds() > 0 else f"expired {days(-left)} days ago"
    bar = meter(severity.of_certificate(status, now), times.left(now), text)
    renewed = f'<div class="dim">{renewal_words(times, now)}</div>'
    return f"<div>{day(times.end)}</div><div>{bar}</div>{renewed}"
