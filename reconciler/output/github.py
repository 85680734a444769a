"""A plan as workflow commands of GitHub Actions: a warning at the line of the YAML that wants
what a host has not. Pure.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import Place, Plan
from reconciler.output.text import summary
from reconciler.printable import printable

MOST = 8
"""Things that one annotation names."""


def lines(plan: Plan) -> Iterable[str]:
    """One warning for each place of the YAML, one for each host that was not seen, one notice."""
    by_place: dict[Place | None, list[str]] = {}
    for action in plan.actions:
        refused = f" (refused: {action.blocked})" if action.blocked else ""
        by_place.setdefault(action.place, []).append(f"{action.verb} {action.ref}{refused}")
    for place, names in by_place.items():
        count = f"{len(names)} action{'' if len(names) == 1 else 's'} pending"
        yield command("warning", f"{plan.environment}: {count}", _list(names), place)
    for host, reason in sorted(plan.unreachable.items()):
        yield command("warning", f"{plan.environment}: {host} could not be looked at", [reason])
    hidden: dict[str, list[str]] = {}
    for ref, reason in sorted(plan.unknown.items()):
        hidden.setdefault(ref.host, []).append(f"{ref.kind} {ref.name}: {reason}")
    for host, reasons in hidden.items():
        yield command("warning", f"{plan.environment}: not all of {host} can be seen", _list(reasons))
    yield command("notice", plan.environment, [summary(plan)])


def _list(names: list[str]) -> list[str]:
    more = [f"and {len(names) - MOST} more"] if len(names) > MOST else []
    return [*names[:MOST], *more]


def command(name: str, title: str, message: Iterable[str], place: Place | None = None) -> str:
    """One workflow command: a line, whatever is in its parts."""
    parts: dict[str, str | int] = {"title": title}
    if place:
        parts = {"file": place.file, "line": place.line, "col": place.column, **parts}
    properties = ",".join(f"{key}={_property(value)}" for key, value in parts.items())
    return f"::{name} {properties}::{'%0A'.join(map(_data, message))}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(value: str | int) -> str:
    return _data(str(value)).replace(":", "%3A").replace(",", "%2C")
