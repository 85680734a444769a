"""Checks as JUnit's XML, the form in which CI servers take results."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from reconciler.verify import INSIDE, Check


def document(environment: str, checks: Sequence[Check]) -> str:
    """One test case for each check (https://github.com/testmoapp/junitxml has the common form)."""
    suite = ET.Element(
        "testsuite",
        name=f"reconcile verify {environment}",
        tests=str(len(checks)),
        failures=str(sum(each.verdict == "wrong" for each in checks)),
        errors=str(sum(each.verdict == "unknown" for each in checks)),
    )
    for each in checks:
        under = INSIDE if each.seen_from == INSIDE else each.asked.name or "without a name"
        name = f"{each.asked.service} on {each.asked.port}, {under}"
        case = ET.SubElement(suite, "testcase", classname=each.asked.host, name=name)
        if each.verdict != "ok":
            ET.SubElement(case, "failure" if each.verdict == "wrong" else "error", message=each.detail)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
