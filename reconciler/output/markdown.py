"""A plan as Markdown, for a comment on a merge request, in layers as in the terminal. Pure.

Whatever came from a host stands in a fence longer than any run of backticks in it, or in
`<code>` with everything but letters and digits as entities: it can neither end the place
where it stands nor mention anybody or load anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from reconciler.model import VERBS, Action, Delta, Plan, Step
from reconciler.output.entries import (
    OPEN,
    entry_hosts,
    notes,
    parted,
    risk_lines,
    short_diff,
    value_line,
)
from reconciler.output.fold import Entry, by_subject, fold
from reconciler.output.text import incomplete_lines, many, summary, value_text
from reconciler.printable import printable

LIMIT = 50_000
"""Characters of a plan that are shown: GitHub refuses comments of more than 65536."""
ROWS = 50


def merge_request_comment(plan: Plan) -> str:
    """The counts and what is risky; the entries by subject; and every action of every host, folded away."""
    entries = fold(plan)
    budget = _Budget()
    return (
        "\n".join(
            [
                *_head(plan, entries),
                *_table(plan),
                *_subjects(plan, entries, budget),
                *_everything(plan, budget),
            ]
        )
        + "\n"
    )


class _Budget:
    """What is left of the characters that a comment may have: the folded entries come first."""

    def __init__(self) -> None:
        self.left = LIMIT

    def cut(self, lines: Sequence[str]) -> tuple[list[str], int]:
        """The lines that still fit, and how many do not."""
        for number, line in enumerate(lines):
            if len(line) + 1 > self.left:
                return list(lines[:number]), len(lines) - number
            self.left -= len(line) + 1
        return list(lines), 0


def _head(plan: Plan, entries: Sequence[Entry]) -> Iterable[str]:
    yield f"### reconcile: {code(plan.environment)}"
    yield ""
    # `summary` holds the environment's name beside our own words.
    yield f"**{entities(summary(plan))}**"
    yield ""
    lines = []
    for _, line in risk_lines(entries, plan):
        counted, _, names = line.partition(": ")
        lines.append(f"**{entities(counted)}**: {code(names)}")
    lines += [f":warning: {code(line.removeprefix('? '))}" for line in incomplete_lines(plan)]
    yield from (f"- {line}" for line in lines[:ROWS])
    if len(lines) > ROWS:
        yield f"- :warning: and {len(lines) - ROWS} more"
    if lines:
        yield ""


def _table(plan: Plan) -> Iterable[str]:
    if not plan.actions:
        return
    yield "| host | create | change | remove | reload |"
    yield "|---|--:|--:|--:|--:|"
    count = Counter((action.ref.host, VERBS[action.verb]) for action in plan.actions)
    hosts = sorted({action.ref.host for action in plan.actions})
    for host in hosts[:ROWS]:
        yield f"| {code(host)} | " + " | ".join(str(count[host, symbol]) for symbol in "+~-!") + " |"
    if len(hosts) > ROWS:
        yield f"| and {len(hosts) - ROWS} more hosts | | | | |"
    yield ""


def _subjects(plan: Plan, entries: Sequence[Entry], budget: _Budget) -> Iterable[str]:
    """What would be done, under the headings of the terminal; equal actions of several hosts are one."""
    opened = " open" if len(entries) <= OPEN else ""
    for subject, group in by_subject(entries):
        count = many(sum(len(each.actions) for each in group), "action")
        title = f"<b>{entities(subject or 'others')}</b>: {count}"
        lines = [line for each in group for line in _entry(each, plan)]
        yield from _folded(title, lines, budget, opened)


def _everything(plan: Plan, budget: _Budget) -> Iterable[str]:
    if plan.actions:
        title = f"{many(len(plan.actions), 'action')}, in order, with commands"
        yield from _folded(title, [line for action in plan.actions for line in _action(action)], budget)


def _folded(title: str, lines: Sequence[str], budget: _Budget, opened: str = "") -> Iterable[str]:
    body, left = budget.cut(lines)
    runs = re.findall("`+", "\n".join(body))
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    yield f"<details{opened}><summary>{title}</summary>"
    yield ""
    yield f"{fence}diff"
    yield from body
    yield fence
    if left:
        yield ""
        yield f"{left} more lines are left out; `reconcile plan` shows them all."
    yield ""
    yield "</details>"
    yield ""


def _heading(action: Action, about: str) -> str:
    """In a diff, `!` is what neither comes nor goes: it changes."""
    symbol = VERBS[action.verb]
    return f"{'!' if symbol == '~' else symbol} {action.verb} {about}"


def _entry(entry: Entry, plan: Plan) -> Iterable[str]:
    shown = entry.shown
    about = printable(f"{shown.ref.kind} {shown.ref.name}  ({entry_hosts(entry, plan)})")
    yield _heading(shown, about)
    inline, others = parted(shown)
    yield from (f"    {value_line(delta, shown.verb)}" for delta in inline)
    for delta in others:
        if delta.text is None:
            yield from _delta(delta)
        else:
            yield f"@@ {printable(delta.field)} @@"
            yield from (printable(line) for _, line in short_diff(delta.text))
    if shown.blocked:
        yield f"#   refused: {printable(shown.blocked)}"
    yield from (f"#   note: {printable(note)}" for note in notes(entry, plan))


def _action(action: Action) -> Iterable[str]:
    place = f"  ({printable(str(action.place))})" if action.place else ""
    yield _heading(action, f"{printable(str(action.ref))}{place}")
    for delta in action.deltas:
        yield from _delta(delta)
    if action.blocked:
        yield f"#   refused: {printable(action.blocked)}"
    for step in action.steps:
        yield from _step("$", step)
    for step in action.rescue:
        yield from _step("if one fails: $", step)
    yield ""


def _delta(delta: Delta) -> Iterable[str]:
    if delta.text is not None:
        yield f"@@ {printable(delta.field)} @@"
        yield from map(printable, delta.text.removesuffix("\n").split("\n"))
        return
    if delta.seen is not None:
        yield f"-   {printable(delta.field)}: {value_text(delta.seen)}"
    if delta.want is not None:
        yield f"+   {printable(delta.field)}: {value_text(delta.want)}"


def _step(prompt: str, step: Step) -> Iterable[str]:
    first, *rest = step.command.split("\n")
    yield f"    {prompt} {printable(first)}  # {printable(step.why)}"
    yield from (f"      {printable(line)}" for line in rest)


def code(text: str) -> str:
    """The text as code that ends where it ends; nobody is mentioned by it."""
    return f"<code>{entities(text)}</code>"


def entities(text: str) -> str:
    """The text with all that Markdown or HTML could take for its own as entities."""
    return re.sub(r"[^\w \-,]|_", lambda found: f"&#{ord(found[0])};", printable(text))
