"""A forecast as text and as Markdown, and what `drift` warns of. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime

from reconciler.forecast.judge import UNKNOWN, Forecast
from reconciler.monitor.findings import Finding
from reconciler.output.markdown import code
from reconciler.output.text import Style, many, utc
from reconciler.printable import printable


def forecast_lines(
    found: Forecast, file: str, looked: datetime | None, now: datetime, style: Style, *, everything: bool
) -> Iterable[str]:
    """What bites and what is not known, in the order of the days; with `everything` also what comes
    later, and what is of no concern. The last lines count them."""
    for each in found.near:
        if each.verdict == UNKNOWN:
            yield style.mark("!", f"{each.day or '          '}  {each.rule.id}  (unknown, look first)")
            yield f"    {each.rule.what}"
            yield f"    not known: {each.here}; `reconcile drift {printable(file)}` looks"
        else:
            yield style.mark("~", f"{each.day}  {each.rule.id}  ({_when(each.day, now)})")
            yield f"    {each.rule.what}"
            yield f"    here: {printable(each.here)}"
            yield f"    do: {each.rule.do}"
        yield style.dim(f"    source: {each.rule.source.url} (read {each.rule.source.read})")
    if everything:
        for each in found.later:
            yield style.dim(f"{each.day}  {each.rule.id}: later: {each.rule.what}")
        for each in found.none:
            day = each.day or "          "
            yield style.dim(f"{day}  {each.rule.id}: does not concern it: {each.rule.what}")
    if found.near or everything:
        yield ""
    yield from summary_lines(found, looked, everything=everything)


def summary_lines(found: Forecast, looked: datetime | None, *, everything: bool) -> Iterable[str]:
    """How many rules bite, are not known, come later, and are of no concern; and what that rests on."""
    count = len(found.bites)
    bites = f"{many(count, 'rule')} {'bites' if count == 1 else 'bite'}"
    unknown = f", {len(found.unknown)} unknown" if found.unknown else ""
    hint = "" if everything else " (--verbose)"
    rest = f"{len(found.later)} later, {len(found.none)} of no concern{hint}"
    yield f"Until {found.until}: {bites}{unknown}; {rest}."
    seen = "no look is recorded here" if looked is None else f"the last look, of {utc(looked)}"
    yield f"By the environment file and {seen}."


def _when(day: date | None, now: datetime) -> str:
    days = ((day or now.date()) - now.date()).days
    return f"in {many(days, 'day')}" if days > 0 else "today" if days == 0 else "already"


def markdown_lines(found: Forecast, name: str, looked: datetime | None) -> Iterable[str]:
    """What bites and what is not known, as a table for a ticket or a merge request."""
    yield f"### reconcile: what is to come for {code(name)}"
    yield ""
    if found.near:
        yield "| from | rule | what | here | to do |"
        yield "|---|---|---|---|---|"
    for each in found.near:
        unknown = each.verdict == UNKNOWN
        here = code(f"unknown: {each.here}" if unknown else each.here)
        link = f"[{each.rule.id}]({each.rule.source.url})"
        do = code("look first: reconcile drift" if unknown else each.rule.do)
        yield f"| {each.day or 'unknown'} | {link} | {code(each.rule.what)} | {here} | {do} |"
    if found.near:
        yield ""
    yield from summary_lines(found, looked, everything=True)


def warning_lines(coming: Sequence[Finding], told: Collection[str], file: str, style: Style) -> Iterable[str]:
    """The dated rules that are near, for `drift`: a line for each that is new, and a count of those that
    an earlier look has told of."""
    for each in coming:
        if each.acknowledged:
            yield style.dim(f"acknowledged, forecast: {each.name}: {printable(each.acknowledged)}")
        elif each.id not in told:
            yield style.mark("~", f"forecast: {each.name}: {printable(each.detail)}")
    older = sum(not each.acknowledged and each.id in told for each in coming)
    if older:
        hint = f"`reconcile forecast {printable(file)}` has them"
        yield f"forecast: {many(older, 'rule')} told of before; {hint}"
    if coming:
        yield ""
