"""What a first plan comes to, by the rows of the procedure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.blueprint import resources
from reconciler.document import as_json
from reconciler.environment.certificate import Certificate
from reconciler.environment.settings import Environment, Host, Sync
from reconciler.model import CannotSee
from reconciler.output import differences
from reconciler.output.documents.resources import import_document
from reconciler.plan.planner import plan
from tests.discovery.surveys import A, B
from tests.support.schemas import hold


def test_every_difference_is_a_line_with_ref_field_and_row() -> None:
    env = Environment(
        name="e",
        router="cn.example.org",
        hosts=(Host(name=A, primary=True), Host(name=B)),
        sync=Sync(account="sync", home="/srv/sync"),
        certificate=Certificate(manage=False),
        file="e.yaml",
    )
    everything = resources(env)
    seen: dict[Any, Any] = {each.ref: None for each in everything}
    shell = next(ref for ref in seen if ref.kind == "account" and ref.host == A)
    seen[shell] = {"home": "/srv/sync", "shell": "/bin/bash", "password": "disabled"}
    hidden = next(ref for ref in seen if ref.kind == "sudoers" and ref.host == A)
    seen[hidden] = CannotSee("no root")
    made_plan = plan("e", everything, seen, {})
    lines = list(differences.lines(env, made_plan))
    assert f'  {A} account sync shell: "/bin/bash" → "/bin/sh"' in lines
    assert f"  {A} package rsync: is missing (installed)" in lines
    rows = [int(line[1:].partition(":")[0].partition(",")[0]) for line in lines if line.startswith("S")]
    assert rows == sorted(rows)
    assert {2, 15} <= set(rows)
    assert any(line.startswith(f"? {A}: cannot see sudoers") for line in lines)
    count = sum(len(action.deltas) for action in made_plan.actions)
    assert lines[-1].startswith(
        f"e.yaml was written; {count} differences in {len(made_plan.actions)} resources"
    )
    document = as_json(import_document(env, made_plan, {"": ["x"]}))
    hold(document, "import")
    assert len(document["differences"]) == count
    empty = replace(made_plan, actions=(), unknown={})
    assert list(differences.lines(env, empty)) == [
        "The first plan of e is empty: e.yaml describes the hosts."
    ]


def test_rows_come_in_the_order_of_the_procedure() -> None:
    rows = ["S10: b", differences.OWN, "S2: a", "S12 and S16: c"]
    assert sorted(rows, key=differences._number) == ["S2: a", "S10: b", "S12 and S16: c", differences.OWN]
