"""What every page has around its content: what it may load, and how old it is.

The words for its age change by themselves: each is revealed by an animation of CSS. Without a script CSS
knows no clock and can only count from when the page was loaded, so the words say `more than`, which holds
then too. One line of script tells CSS how old the page was by then; the policy lets a browser run that
line, by its hash, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from functools import cache
from importlib.resources import files

from reconciler.output.html.facts import Frame
from reconciler.output.html.text import clock, esc
from reconciler.output.text import many

_MINUTES = (15, 30)
_HOURS = (1, 2, 3, 6, 12)
_DAYS = (1, 2, 3, 7, 14, 30, 90, 180, 365)
AGES = (
    *((timedelta(minutes=number), f"more than {number} minutes ago") for number in _MINUTES),
    *((timedelta(hours=number), f"more than {many(number, 'hour')} ago") for number in _HOURS),
    *((timedelta(days=number), f"more than {many(number, 'day')} ago") for number in _DAYS),
)
"""The words for an age, and from which age on they hold."""
FOREVER = timedelta(days=36500)


@cache
def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()


def document(frame: Frame, title: str, body: str) -> str:
    """The whole page, as HTML, around its body."""
    script = _part("age.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    refresh = frame.refresh and f'\n<meta http-equiv="refresh" content="{_seconds(frame.refresh)}">'
    return f"""<!DOCTYPE html>
<html lang="en" data-made="{frame.made:%Y-%m-%dT%H:%M:%SZ}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">{refresh or ""}
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{_part("style.css")}</style>
<script>{script}</script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
{body}
<footer><p>Made by <code>reconcile report</code>. It holds no secret and loads nothing.</p></footer>
</body>
</html>
"""


def stale_banner(frame: Frame) -> str:
    """What is revealed once the page is too old; in red, as whatever it says may be so no more."""
    words = f"This page is more than {_span(frame.max_age)} old: it says nothing of today. Make it anew:"
    return (
        f'<p class="stale" role="status" style="{_from(frame)}"'
        f' data-words="{esc(words)} {esc(frame.again)}"></p>'
    )


def as_of(frame: Frame, source: str | None = None) -> str:
    """The moment that a page tells of, its age in words, and from when on it says nothing."""
    until = frame.made + frame.max_age
    ends = (*(begin for begin, _ in AGES[1:]), FOREVER)
    ages = [_between(begin, end, f", {words}") for (begin, words), end in zip(AGES, ends, strict=True)]
    made_of = f", from {esc(source)}" if source else ""
    return (
        f'<p class="asof"><strong>As of {clock(frame.made)}</strong>{"".join(ages)}{made_of}.'
        f" From {clock(until)} on, this page says nothing of today.</p>"
    )


def heading(frame: Frame, text: str, tone: str, words: str) -> str:
    """The page's heading and its verdict, which is one of then once the page is too old."""
    then = _between(frame.max_age, FOREVER, "then: ")
    shown = f'<span class="badge {tone} aging" style="{_from(frame)}">{then}{esc(words)}</span>'
    return f"<h1>{esc(text)} {shown}</h1>"


def aging(frame: Frame, body: str) -> str:
    """What loses its colours once the page is too old."""
    return f'<div class="aging" style="{_from(frame)}">{body}</div>'


def _from(frame: Frame) -> str:
    return f"--from:{_seconds(frame.max_age)}s"


def _between(begin: timedelta, end: timedelta, words: str) -> str:
    """Words that are there while a page is between two ages."""
    span = f"--from:{_seconds(begin)}s;--for:{_seconds(end - begin)}s"
    return f'<i class="age" style="{span}" data-words="{words}"></i>'


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def _span(span: timedelta) -> str:
    hours = _seconds(span) // 3600
    return many(hours // 24, "day") if hours % 24 == 0 and hours > 24 else many(hours, "hour")
