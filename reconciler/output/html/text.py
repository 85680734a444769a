"""How text becomes HTML: everything from hosts and files passes through `esc`."""

from __future__ import annotations

import html
from collections.abc import Iterable
from datetime import datetime, timedelta

from reconciler.output.text import utc
from reconciler.printable import printable


def esc(text: object) -> str:
    """The text as HTML shows it, in an element or in quotes; control characters are shown too."""
    return html.escape(printable(str(text)), quote=True)


def badge(tone: str, text: str) -> str:
    """A word that stands out; the tone is `ok`, `warn`, `bad` or `note`."""
    return f'<span class="badge {tone}">{esc(text)}</span>'


def code(text: object) -> str:
    """The text, escaped, as code."""
    return f"<code>{esc(text)}</code>"


def clock(moment: datetime) -> str:
    """A time in UTC, for people and machines."""
    return f'<time datetime="{moment:%Y-%m-%dT%H:%MZ}">{utc(moment)}</time>'


def day(moment: datetime) -> str:
    """The same without the time of day."""
    return f'<time datetime="{moment:%Y-%m-%dT%H:%MZ}">{moment:%Y-%m-%d}</time>'


def days(span: timedelta) -> str:
    """Days; short spans with a decimal."""
    number = span / timedelta(days=1)
    return f"{number:.1f}" if abs(number) < 10 else f"{number:.0f}"


def meter(tone: str, fraction: float, text: str) -> str:
    """A text, and a bar that shows the part of a lifetime it is about."""
    width = 100 * max(0.0, min(1.0, fraction))
    return (
        f'<span class="left"><span class="bar {tone}" aria-hidden="true">'
        f'<i style="width:{width:.0f}%"></i></span> {text}</span>'
    )


def section(name: str, title: str, body: Iterable[str], note: str = "") -> str:
    """A part of the page with its heading, which names it for those who cannot see it."""
    aside = f'<p class="note">{note}</p>' if note else ""
    inner = "\n".join(body)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{title}</h2>{aside}\n{inner}\n</section>'
    )


def table(
    label: str, columns: Iterable[str], groups: Iterable[tuple[str | None, Iterable[list[str]]]]
) -> str:
    """A table whose rows become cards on a phone; each group of rows may have a heading.

    The roles are said although they are the elements' own: browsers forget them where CSS
    makes blocks of the rows. Cells are HTML already.
    """
    names = list(columns)
    head = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in names)
    bodies = "".join(_body(names, heading, rows) for heading, rows in groups)
    return (
        f'<table role="table" aria-label="{label}">'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>{bodies}</table>'
    )


def _body(names: list[str], heading: str | None, rows: Iterable[list[str]]) -> str:
    title = (
        f'<tr role="row" class="group"><th role="rowheader" scope="rowgroup" colspan="{len(names)}">'
        f"{heading}</th></tr>"
        if heading
        else ""
    )
    lines = (
        '<tr role="row">'
        + "".join(
            f'<td role="cell" data-name="{name}"><div>{cell}</div></td>'
            for name, cell in zip(names, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<tbody role="rowgroup">{title}{"".join(lines)}</tbody>'
