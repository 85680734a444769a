"""What `doctor` has checked, as text for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from reconciler.diagnosis.checks import OK, PROBLEM, UNCLEAR, WARNING, HealthCheck, count
from reconciler.output.text import Style, many
from reconciler.printable import printable

SYMBOLS = {OK: "+", WARNING: "~", UNCLEAR: "~", PROBLEM: "-"}
WIDEST = 60
"""The width of the second column; a longer subject has no room of its own."""
NAMED = 3
"""How many problems the summary names."""


def health_lines(checks: Sequence[HealthCheck], style: Style) -> Iterable[str]:
    """A line for each check, below the heading of its group; and what to do about those that are not ok."""
    verdicts = max(map(len, SYMBOLS))
    subjects = min(max((len(printable(each.subject)) for each in checks), default=0), WIDEST)
    for group, members in groupby(checks, lambda each: each.group):
        yield style.bold(group)
        for each in members:
            verdict = style.mark(SYMBOLS[each.verdict], each.verdict.ljust(verdicts))
            yield f"  {verdict}  {printable(each.subject).ljust(subjects)}  {printable(each.found)}"
            if each.verdict != OK:
                yield from (f"      {line}" for line in _advice(each))
        yield ""
    yield summary(checks)


def _advice(check: HealthCheck) -> Iterable[str]:
    if check.expected:
        yield f"expected: {printable(check.expected)}"
    if check.owner:
        yield f"whose: {printable(check.owner)}"
    if check.command:
        where = f"on {printable(check.host)}, as root" if check.host else "here"
        yield f"{where}: {printable(check.command)}"


def summary(checks: Sequence[HealthCheck]) -> str:
    """The last line: how many of each verdict, the worst first, and the first problems by name."""
    words = {PROBLEM: "problem", WARNING: "warning"}
    counts = [
        many(number, words[verdict]) if verdict in words else f"{number} {verdict}"
        for verdict, number in count(checks).items()
    ]
    named = [f"{each.group}: {each.subject}" for each in checks if each.verdict == PROBLEM]
    more = f"; and {len(named) - NAMED} more" if len(named) > NAMED else ""
    first = f" First: {printable('; '.join(named[:NAMED]))}{more}." if named else ""
    return f"Summary: {', '.join(counts)}.{first}"
