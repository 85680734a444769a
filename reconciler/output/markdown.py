"""A plan as Markdown, for a comment on a merge request. Pure.

Whatever came from a host stands in a fence longer than any run of backticks in it, or in
`<code>` with everything but letters and digits as entities: it can neither end the place
where it stands nor mention anybody or load anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from reconciler.model import VERBS, Action, Delta, Plan, Step
from reconciler.output.text import incomplete_lines, summary, value_text
from reconciler.printable import printable

LIMIT = 50_000
"""Characters of a plan that are shown: GitHub refuses comments of more than 65536."""
ROWS = 50


def merge_request_comment(plan: Plan) -> str:
    """The summary, a table by host, and the plan folded away."""
    return "\n".join([*_head(plan), *_table(plan), *_details(plan)]) + "\n"


def _head(plan: Plan) -> Iterable[str]:
    yield f"### reconcile: {code(plan.environment)}"
    yield ""
    # `summary` holds the environment's name beside our own words.
    yield f"**{entities(summary(plan))}**"
    yield ""
    incomplete = [code(line.removeprefix("? ")) for line in incomplete_lines(plan)]
    yield from (f"- :warning: {line}" for line in incomplete[:ROWS])
    if len(incomplete) > ROWS:
        yield f"- :warning: and {len(incomplete) - ROWS} more"
    if incomplete:
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


def _details(plan: Plan) -> Iterable[str]:
    if not plan.actions:
        return
    body, left = _cut([line for action in plan.actions for line in _action(action)])
    runs = re.findall("`+", "\n".join(body))
    fence = "`" * max(3, 1 + max(map(len, runs), default=0))
    number = len(plan.actions)
    yield f"<details><summary>{number} action{'' if number == 1 else 's'}, in order</summary>"
    yield ""
    yield f"{fence}diff"
    yield from body
    yield fence
    if left:
        yield ""
        yield f"{left} more lines are left out; `reconcile plan` shows them all."
    yield ""
    yield "</details>"


def _cut(lines: list[str]) -> tuple[list[str], int]:
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > LIMIT:
            return lines[:number], len(lines) - number
    return lines, 0


def _action(action: Action) -> Iterable[str]:
    """In a diff, `!` is what neither comes nor goes: it changes."""
    symbol = VERBS[action.verb]
    place = f"  ({printable(str(action.place))})" if action.place else ""
    yield f"{'!' if symbol == '~' else symbol} {action.verb} {printable(str(action.ref))}{place}"
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
