"""A saved observation may say anything of a resource: the planner says so, of that one alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds import KINDS
from reconciler.model import Resource
from reconciler.output import plans
from reconciler.output.text import Style
from reconciler.plan.planner import plan
from tools import cases

SEEN: list[tuple[Resource, Mapping[str, Any]]] = [
    (cases.resource(kind, case["declared"]), case["seen"])
    for kind in KINDS
    for case in cases.cases(cases.FOLDER / f"{kind}.yaml")
    if cases.form(case) == "plan" and isinstance(case["seen"], dict) and "cannot see" not in case["seen"]
]
ODD = st.sampled_from(
    [None, True, 0, -1, 10**400, "", "x", "\0", "\udcff", "(known after apply: x)", "none, an older copy"]
)


@given(st.sampled_from(SEEN), st.data())
def test_an_odd_state_costs_no_more_than_its_resource(
    one: tuple[Resource, Mapping[str, Any]], data: Any
) -> None:
    resource, seen = one
    odd = dict(seen)
    for name in data.draw(st.lists(st.sampled_from([*seen, "no such field"]), max_size=3)):
        if data.draw(st.booleans()):
            odd.pop(name, None)
        else:
            odd[name] = data.draw(ODD)
    made = plan("e", [resource], {resource.ref: odd}, {})
    assert list(plans.plan_lines(made, plans.PlanText(style=Style(colour=False))))
