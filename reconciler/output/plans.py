"""A plan as text, in layers: what changes, folded; one line an entry; or everything, host by host. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.model import VERBS, Delta, Plan, Step
from reconciler.output.entries import (
    by_thing,
    entry_hosts,
    notes,
    parted,
    risk_lines,
    short_diff,
    value_line,
    values,
)
from reconciler.output.fold import Entry, by_subject, fold
from reconciler.output.text import (
    Style,
    action_lines,
    incomplete_lines,
    many,
    step_lines,
    summary,
)
from reconciler.printable import printable


@dataclass(frozen=True, kw_only=True)
class Layers:
    """How much of a plan is shown: one line an entry, or everything of every host; and the commands."""

    summary: bool = False
    verbose: bool = False
    commands: bool = False


@dataclass(frozen=True, kw_only=True)
class PlanText:
    """How a plan is printed.

    scope   the flags that have narrowed it
    held    how many of its actions wait for an approval
    width   columns of the terminal; None where lines are not wrapped
    asks    whether a question follows, above which the counts stand again in any case
    """

    style: Style
    layers: Layers = Layers()
    scope: str = ""
    held: int = 0
    width: int | None = None
    asks: bool = False


def plan_lines(plan: Plan, text: PlanText) -> Iterable[str]:
    """The plan: its counts and what is risky, what would be done, and the counts once more."""
    if not plan.actions:
        yield from incomplete_lines(plan)
        yield _nothing(plan, text.scope)
        return
    folded = fold(plan)
    head = list(_head(folded, plan, text))
    yield summary(plan)
    yield from head
    yield ""
    if text.layers.verbose:
        for action in plan.actions:
            yield from _wrapped_again(action_lines(action, text.style), text)
            yield ""
    elif text.layers.summary:
        yield from _one_line_each(folded, plan, text)
    else:
        for subject, entries in by_subject(folded):
            yield text.style.bold(printable(subject or "others"))
            for entry in entries:
                yield from _entry_lines(entry, plan, text)
            yield ""
    yield from incomplete_lines(plan)
    if text.asks or not text.layers.summary:
        yield from head
        yield summary(plan)
    if text.scope:
        yield f"Only a part of {plan.environment} was looked at ({printable(text.scope)})."


def brief_lines(plan: Plan, text: PlanText) -> Iterable[str]:
    """Only the counts of a plan, and what is wrong with it."""
    yield from wrong_lines(plan, text)
    yield summary(plan)


def wrong_lines(plan: Plan, text: PlanText) -> Iterable[str]:
    """What is refused, what could not be judged, and what was not looked at."""
    for action in plan.actions:
        if action.blocked:
            yield text.style.mark("-", printable(f"refused: {action.ref}: {action.blocked}"))
    yield from incomplete_lines(plan)
    if text.scope:
        yield f"Only a part of {plan.environment} was looked at ({printable(text.scope)})."


def _nothing(plan: Plan, scope: str) -> str:
    if scope:
        part = f"what was looked at ({printable(scope)})"
        return f"Nothing to do in {part}; the rest of {plan.environment} was not."
    return summary(plan)


def _head(entries: Sequence[Entry], plan: Plan, text: PlanText) -> Iterable[str]:
    """What a reader should know first: a line for each risk, with what it is about."""
    for symbol, line in risk_lines(entries, plan):
        yield from _wrapped(printable(line), 2, 4, text, lambda part, s=symbol: text.style.mark(s, part))
    if text.held:
        yield "  " + text.style.mark("!", f"{many(text.held, 'action')} wait for an approval")


def _one_line_each(folded: Sequence[Entry], plan: Plan, text: PlanText) -> Iterable[str]:
    for subject, entries in by_subject(folded):
        for entry in by_thing(entries):
            symbol = VERBS[entry.shown.verb]
            ref = entry.shown.ref
            what = printable(f"{symbol} {ref.kind} {ref.name}")
            about = printable(f"  {entry_hosts(entry, plan)} · {subject or 'others'}")
            if text.width and len(what) + len(about) > text.width:
                about = printable(f"  {entry_hosts(entry, plan)}")
            yield text.style.mark(symbol, what) + text.style.dim(about)


def _entry_lines(entry: Entry, plan: Plan, text: PlanText) -> Iterable[str]:
    style, shown = text.style, entry.shown
    symbol = VERBS[shown.verb]
    verb = f"{shown.verb} " if symbol == "!" else ""
    head = printable(f"{symbol} {verb}{shown.ref.kind} {shown.ref.name}")
    hosts = printable(f"  ({entry_hosts(entry, plan)})")
    *above, last = _wrapped(head, 2, 4, text)
    yield from (style.mark(symbol, line) for line in above)
    if text.width is None or len(last) + len(hosts) <= text.width:
        yield style.mark(symbol, last) + style.dim(hosts)
    else:
        yield style.mark(symbol, last)
        yield from _wrapped(hosts.strip(), 4, 6, text, style.dim)
    inline, others = parted(shown)
    yield from _packed([value_line(delta, shown.verb) for delta in inline], text)
    for delta in others:
        yield from _delta_lines(delta, text)
    if shown.blocked:
        yield from _wrapped(f"refused: {printable(shown.blocked)}", 6, 8, text, lambda p: style.mark("-", p))
    for note in notes(entry, plan):
        yield from _wrapped(f"note: {printable(note)}", 6, 8, text, style.dim)
    if text.layers.commands:
        yield from _commands("", shown.steps, text)
        yield from _commands("if one fails: ", shown.rescue, text)


def _commands(when: str, steps: Iterable[Step], text: PlanText) -> Iterable[str]:
    for step in steps:
        for line in step_lines(when, step):
            yield from _wrapped(line.strip(), 6, 8, text, text.style.dim)


def _packed(values: Iterable[str], text: PlanText) -> Iterable[str]:
    """Values in as few lines as they fit in; one that is longer than a line is wrapped by itself."""
    line = ""
    for value in values:
        joined = f"{line} · {value}" if line else value
        if line and text.width is not None and len(joined) + 6 > text.width:
            yield from _wrapped(line, 6, 8, text)
            joined = value
        line = joined
    if line:
        yield from _wrapped(line, 6, 8, text)


def _delta_lines(delta: Delta, text: PlanText) -> Iterable[str]:
    if delta.text is None:
        yield from _wrapped(f"{printable(delta.field)}: {values(delta)}", 6, 8, text)
        return
    yield f"      {printable(delta.field)}:"
    for symbol, line in short_diff(delta.text):
        yield from _wrapped(printable(line), 8, 10, text, lambda p, s=symbol: text.style.mark(s, p))


def _wrapped(line: str, first: int, more: int, text: PlanText, mark: object = None) -> Iterable[str]:
    """The line with its indent, and `more` of it where it goes on; `mark` colours each part."""
    render = mark if callable(mark) else str
    if text.width is None or len(line) + first <= text.width:
        yield " " * first + render(line)
        return
    width = max(20, text.width - more)
    parts = textwrap.wrap(line, width, break_on_hyphens=False, replace_whitespace=False)
    for number, part in enumerate(parts):
        yield " " * (more if number else first) + render(part)


def _wrapped_again(lines: Iterable[str], text: PlanText) -> Iterable[str]:
    """Lines that are whole, wrapped where they are not coloured and too long."""
    for line in lines:
        if text.width is None or "\x1b" in line or len(line) <= text.width:
            yield line
        else:
            indent = len(line) - len(line.lstrip())
            yield from _wrapped(line.lstrip(), indent, indent + 2, text)


def runbook_lines(plan: Plan) -> Iterable[str]:
    """Every command of the plan in order, as an administrator would run them by hand, host by host."""
    yield f"# {printable(plan.environment)}: {printable(summary(plan))}"
    for number, action in enumerate(plan.actions, 1):
        yield ""
        what = f"{action.verb} {action.ref.kind} {action.ref.name}"
        yield printable(f"# {number}. on {action.ref.host}: {what}")
        if action.blocked:
            yield f"# refused: {printable(action.blocked)}"
        for step in action.steps:
            yield from _step(step)
        if action.rescue:
            yield "# only if one of these has failed:"
            for step in action.rescue:
                yield from (f"#   {line}" for line in _step(step))


def _step(step: Step) -> Iterable[str]:
    fed = f"; it is fed {step.fed} bytes, which are not shown" if step.fed else ""
    yield f"# {printable(step.why)}{fed}"
    yield from map(printable, step.command.split("\n"))
