"""Golden cases: one YAML file per kind, one document in it per case.

A case says what is declared, what is seen, and the action expected, command by command.
Adding a case is adding a document; `null` for `seen` is "absent".
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from reconciler.kinds import KINDS
from reconciler.model import CannotSee, Ref
from reconciler.plan.planner import plan
from tests import CASES

CASES = CASES / "kinds"


def _cases() -> list[Any]:
    return [
        pytest.param(file.stem, case, id=f"{file.stem}: {case['case']}")
        for file in sorted(CASES.glob("*.yaml"))
        for case in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    ]


def outcome(kind: str, case: dict[str, Any]) -> dict[str, Any]:
    """What the planner makes of a case, in the form in which cases are written."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in case["declared"].items()}
    if "keys_of" in options:
        options["keys_of"] = tuple((name, Ref("h", *ref)) for name, *ref in options["keys_of"])
    resource = KINDS[kind](host="h", **options)
    seen: Any = case["seen"]
    if isinstance(seen, dict) and "cannot see" in seen:
        seen = CannotSee(seen["cannot see"])
    result = plan("test", [resource], {resource.ref: seen}, {})
    if result.unknown:
        return {"unknown": result.unknown[resource.ref]}
    if not result.actions:
        return {"settled": True}
    (action,) = result.actions
    shown: dict[str, Any] = {
        "verb": action.verb,
        "deltas": {d.field: [d.seen, d.want] for d in action.deltas},
    }
    if action.blocked:
        shown["refused"] = action.blocked
    shown["steps"] = [step.command for step in action.steps]
    return shown


@pytest.mark.parametrize(("kind", "case"), _cases())
def test_case(kind: str, case: dict[str, Any]) -> None:
    assert outcome(kind, case) == case["expected"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "host_key"])
def test_every_kind_is_created_changed_settled_removed_and_not_seen(kind: str) -> None:
    expected = [case["expected"] for one, case in (param.values for param in _cases()) if one == kind]
    verbs = {each.get("verb") for each in expected}
    assert {"create", "remove"} <= verbs
    assert verbs & {"change", "reload", "restart"} or kind in ("apache_module", "apache_site", "ssh_access")
    assert any("settled" in each for each in expected)
    assert any("unknown" in each for each in expected)
