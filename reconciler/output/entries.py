"""What an entry of a folded plan says, whatever it is written in: hosts, values, short diffs, risks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from reconciler.model import Action, Delta, Plan
from reconciler.output.fold import Entry, hosts_text
from reconciler.output.text import diff_lines, many, value_text
from reconciler.printable import printable
from reconciler.subjects import Risk

SHORT_DIFF = 16
"""Lines of a diff that are shown where a text changes; a longer one is counted."""
SHORT_TEXT = 3
"""Lines of a new text that are shown; of a longer one they are counted."""
NAMED = 3
"""Entries that are named for each risk."""
OPEN = 8
"""Entries that are shown unfolded; of more, one reads the list of subjects first."""


def entry_hosts(entry: Entry, plan: Plan) -> str:
    """Which hosts an entry is about; see `hosts_text`."""
    return hosts_text(entry, plan.hosts or entry.hosts)


def risk_lines(entries: Sequence[Entry], plan: Plan) -> Iterable[tuple[str, str]]:
    """What a reader should know first: for each risk a symbol, and a line with what it is about."""
    for risk in Risk:
        found = [each for each in entries if risk in each.risks]
        count = sum(len(each.actions) for each in found)
        if not found:
            continue
        names = [f"{each.shown.ref.kind} {each.shown.ref.name} ({entry_hosts(each, plan)})" for each in found]
        more = f"; and {len(names) - NAMED} more" if len(names) > NAMED else ""
        symbol = "-" if risk in (Risk.REMOVAL, Risk.REFUSED, Risk.STOP) else "!"
        counted = f"{count} refused" if risk is Risk.REFUSED else many(count, risk)
        yield symbol, f"{counted}: {'; '.join(names[:NAMED])}{more}"


def by_thing(entries: Iterable[Entry]) -> Iterable[Entry]:
    """What is done to one thing is one line, also where what it shall be differs from host to host."""

    def thing(each: Entry) -> tuple[str, str, str]:
        return each.shown.verb, each.shown.ref.kind, each.shown.ref.name

    for _, alike in groupby(entries, key=thing):
        first, *rest = alike
        actions = [action for each in (first, *rest) for action in each.actions]
        peers = [named for each in (first, *rest) for named in each.peers]
        if not all(peers):
            peers = [()] * len(actions)
        yield Entry(tuple(actions), first.shown, tuple(peers))


def parted(action: Action) -> tuple[list[Delta], list[Delta]]:
    """The deltas that are short enough to stand in one line, and the others; without what the heading
    says already: that a file which comes is a file."""
    deltas = [each for each in action.deltas if not _repeats_kind(each, action)]
    inline = [each for each in deltas if _is_inline(each, action.verb)]
    return inline, [each for each in deltas if not _is_inline(each, action.verb)]


def _repeats_kind(delta: Delta, action: Action) -> bool:
    return delta.field == "type" and delta.seen is None and delta.want == action.ref.kind


def _is_inline(delta: Delta, verb: str) -> bool:
    """Whether a value stands in one line with others: all of what comes or goes, if it is short."""
    if delta.text is not None:
        return len(_changes(delta.text)) > (SHORT_TEXT if verb == "create" else SHORT_DIFF)
    return delta.seen is None or verb in ("create", "remove")


def value_line(delta: Delta, verb: str) -> str:
    """A delta in one line: its values, or how many lines of a text come and go."""
    field = printable(delta.field)
    if delta.text is not None:
        return f"{field}: {line_counts(delta.text)}"
    return f"{field}: {inline_values(delta, verb)}"


def inline_values(delta: Delta, verb: str) -> str:
    """The values of a delta: of what is removed, only what was seen."""
    return value_text(delta.seen) if verb == "remove" else values(delta)


def line_counts(text: str) -> str:
    """How many lines of a diff come and go: `+196 lines`."""
    symbols = [symbol for symbol, _ in _changes(text)]
    counts = ((symbol, symbols.count(symbol)) for symbol in "+-")
    return " ".join(f"{symbol}{many(count, 'line')}" for symbol, count in counts if count)


def values(delta: Delta) -> str:
    """What was seen, where something was, and what is desired."""
    seen = "" if delta.seen is None else f"{value_text(delta.seen)} → "
    return f"{seen}{value_text(delta.want)}"


def short_diff(text: str) -> Iterable[tuple[str, str]]:
    """The lines of a diff, see `diff_lines`, without the two that name its sides."""
    for symbol, line in diff_lines(text):
        if symbol or not line.startswith(("--- ", "+++ ")):
            yield symbol, line


def notes(entry: Entry, plan: Plan) -> list[str]:
    """What is noted of an entry's resources, each once."""
    return list(dict.fromkeys(note for each in entry.actions for note in plan.notes.get(each.ref, ())))


def _changes(text: str) -> list[tuple[str, str]]:
    """The lines of a diff that come or go."""
    return [(symbol, line) for symbol, line in diff_lines(text) if symbol]
