"""The differences between live hosts and the file that `import` wrote, by rows of the procedure. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.environment.settings import Environment
from reconciler.model import Action, Delta, Plan
from reconciler.output.explanation import procedure
from reconciler.output.text import incomplete_lines, value_text
from reconciler.printable import printable

OWN = "resources of the file itself"


def lines(environment: Environment, plan: Plan) -> Iterable[str]:
    """The differences by the rows of the procedure, the number of them last."""
    rows = procedure(environment)
    by_row: dict[str, list[Action]] = {}
    for action in plan.actions:
        by_row.setdefault(rows.get(action.ref, OWN), []).append(action)
    for row in sorted(by_row, key=_number):
        yield printable(row)
        for action in sorted(by_row[row], key=lambda each: each.ref):
            yield from _action(action)
    yield from incomplete_lines(plan)
    yield _summary(environment, plan)


def _number(row: str) -> tuple[int, str]:
    """Rows in the order of the procedure: S2 before S10."""
    found = re.match(r"S(\d+)", row)
    return int(found[1]) if found else 99, row


def _action(action: Action) -> Iterable[str]:
    ref = printable(str(action.ref))
    fields = ", ".join(printable(delta.field) for delta in action.deltas)
    if action.verb == "create":
        yield f"  {ref}: is missing ({fields})"
    elif action.verb == "remove":
        yield f"  {ref}: exists, but is declared absent"
    else:
        yield from (f"  {ref} {printable(delta.field)}: {_values(delta)}" for delta in action.deltas)


def _values(delta: Delta) -> str:
    if delta.text is not None:
        return "the text differs; `reconcile plan` shows how"
    return f"{value_text(delta.seen)} → {value_text(delta.want)}"


def _summary(environment: Environment, plan: Plan) -> str:
    if not plan.actions:
        partly = "" if plan.complete else ", as far as could be seen"
        return (
            f"The first plan of {environment.name} is empty: {environment.file} describes the hosts{partly}."
        )
    count = sum(len(action.deltas) for action in plan.actions)
    hosts = len({action.ref.host for action in plan.actions})
    return (
        f"{environment.file} was written; {count} differences in {len(plan.actions)} resources on {hosts} of"
        f" {len(environment.hosts)} hosts. `reconcile plan {environment.file}` shows what would fix them."
    )
