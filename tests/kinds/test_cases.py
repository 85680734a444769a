"""The golden cases of every kind: tests/cases/kinds/KIND.yaml, one document for each.

Their forms are in CONTRIBUTING.md, "Add a kind"; the cases on a host are run by tests/hosts/test_kinds.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds import KINDS
from tools import cases


def _cases(form: str) -> list[Any]:
    return [
        pytest.param(file.stem, case, id=f"{file.stem}: {case['case']}")
        for file in sorted(cases.FOLDER.glob("*.yaml"))
        for case in cases.cases(file)
        if cases.form(case) == form
    ]


def of(kind: str, form: str) -> list[dict[str, Any]]:
    """The cases of one kind and one form."""
    return [case for name, case in (param.values for param in _cases(form)) if name == kind]


@pytest.mark.parametrize(("kind", "case"), _cases("plan"))
def test_what_was_seen_is_planned_for(kind: str, case: dict[str, Any]) -> None:
    assert cases.planned(kind, case) == case["expected"]


@pytest.mark.parametrize(("kind", "case"), _cases("read"))
def test_what_a_host_printed_is_read(kind: str, case: dict[str, Any]) -> None:
    assert cases.asked(kind, case) == case["asks"]
    assert cases.read(kind, case) == case["state"]


def test_every_file_of_cases_is_of_a_kind() -> None:
    assert {file.stem for file in cases.FOLDER.glob("*.yaml")} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind: str) -> None:
    found = of(kind, "read")
    assert found, "no case says what is made of what a host printed"
    asking = [case for case in found if case["asks"]]
    hidden = any("cannot see" in (case["state"] or {}) for case in asking)
    assert hidden or not asking, "no case of what may not be looked at"


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.declarable])
def test_every_kind_is_created_changed_settled_removed_and_not_seen(kind: Any) -> None:
    found = of(kind.kind, "plan")
    expected = [case["expected"] for case in found]
    verbs = {each.get("verb") for each in expected}
    assert verbs >= {"create", *(["remove"] if kind.reversible else [])}
    # What is either there or not has nothing that could change.
    assert verbs & {"change", "reload", "restart"} or all(len(case["seen"] or {}) <= 1 for case in found)
    assert any("settled" in each for each in expected)
    assert any("unknown" in each for each in expected)


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.declarable])
def test_every_kind_is_tried_on_a_host(kind: Any) -> None:
    (case,) = of(kind.kind, "host")
    stages = set(case["host"]) - {"before"}
    assert stages <= {"created", "changed", "removed"}
    assert stages >= {"created", *(["removed"] if kind.reversible else [])}
    assert all(any(kind.kind in item for item in case["host"][stage]["resources"]) for stage in stages), (
        "a stage does not declare the kind"
    )
