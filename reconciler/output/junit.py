"""Checks and plans as JUnit's XML, the form in which CI servers take results. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from reconciler.model import Plan
from reconciler.output.text import Style, action_lines, value_text
from reconciler.printable import printable
from reconciler.tls.names import NameCheck
from reconciler.tls.verify import INSIDE, Check

Case = tuple[str, str, str, str, str]
"""Host, name, `ok`, `failure` or `error`, the message, and the text below it."""

VERDICTS = {"ok": "ok", "open": "ok", "wrong": "failure", "unknown": "error"}


def checks_xml(environment: str, checks: Sequence[Check], names: Sequence[NameCheck] = ()) -> str:
    """One test case for each check (https://github.com/testmoapp/junitxml has the common form)."""
    return _suite(f"reconcile verify {environment}", [*map(_check, checks), *map(_name, names)])


def _check(each: Check) -> Case:
    under = INSIDE if each.seen_from == INSIDE else each.endpoint.name or "without a name"
    name = f"{each.endpoint.service} on {each.endpoint.port}, {under}"
    return each.endpoint.host, name, VERDICTS[each.verdict], each.detail, ""


def _name(each: NameCheck) -> Case:
    return each.name, "CAA", VERDICTS[each.verdict], each.detail, each.record or ""


def plan_xml(command: str, plan: Plan) -> str:
    """A failure for each action, an error for what could not be seen, and a test case that
    passes for each host that is as declared."""
    return _suite(f"reconcile {command} {plan.environment}", list(_cases(plan)))


def _cases(plan: Plan) -> Iterable[Case]:
    for host, reason in sorted(plan.unreachable.items()):
        yield host, "look", "error", f"it could not be looked at: {reason}", ""
    for ref, reason in sorted(plan.unknown.items()):
        yield ref.host, f"{ref.kind} {ref.name}", "error", f"it cannot be seen: {reason}", ""
    for action in plan.actions:
        ref = action.ref
        fields = ", ".join(f"{d.field}: {value_text(d.seen)} → {value_text(d.want)}" for d in action.deltas)
        text = "\n".join(action_lines(action, Style(colour=False)))
        yield ref.host, f"{ref.kind} {ref.name}", "failure", f"{action.verb}: {fields}", text
    busy = {action.ref.host for action in plan.actions} | {ref.host for ref in plan.unknown}
    for host in plan.hosts:
        if host not in busy and host not in plan.unreachable:
            yield host, "as declared", "ok", "", ""


def _suite(name: str, cases: Sequence[Case]) -> str:
    count = {result: str(sum(case[2] == result for case in cases)) for result in ("failure", "error")}
    suite = ET.Element(
        "testsuite",
        name=printable(name),
        tests=str(len(cases)),
        failures=count["failure"],
        errors=count["error"],
    )
    for host, title, result, message, text in cases:
        # XML has no control characters at all, not even escaped.
        case = ET.SubElement(suite, "testcase", classname=printable(host), name=printable(title))
        if result != "ok":
            ET.SubElement(case, result, message=printable(message)).text = text or None
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
