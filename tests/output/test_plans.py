"""A plan as text: how long its layers are, what stands where, and lines that are wrapped."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from reconciler.blueprint import resources
from reconciler.environment.load import load
from reconciler.model import Action, Delta, Plan, Ref, Step
from reconciler.output.documents.observation import observation_from, read_observation
from reconciler.output.plans import Layers, PlanText, plan_lines, runbook_lines
from reconciler.output.text import Style, summary
from reconciler.plan.planner import plan as make_plan
from tests import CASES
from tests.support import states


@cache
def bare() -> Plan:
    """The plan for three bare hosts of the lab, by what was observed of them; what is declared since is
    not there."""
    environment = load(CASES / "screens" / "lab.yaml")
    document = read_observation(json.loads((CASES / "screens" / "bare.json").read_text(encoding="utf-8")))
    observed, declared = observation_from(document).seen, resources(environment)
    return make_plan(environment.name, declared, {each.ref: observed.get(each.ref) for each in declared}, {})


@cache
def renewed() -> Plan:
    """The plan once cron has renewed the certificate of three hosts that are as declared."""
    seen = dict(states.as_declared(states.OLD))
    ref = Ref(states.UCSB, "certificate", states.ROUTER)
    lineage = seen[ref]
    assert isinstance(lineage, dict)
    seen[ref] = {**lineage, "release": states.NEW}
    return make_plan("stage", states.resources(), seen, {})


def lines(
    plan: Plan, *, width: int | None = 120, asks: bool = False, held: int = 0, **layers: bool
) -> list[str]:
    style = Style(colour=False)
    return list(
        plan_lines(plan, PlanText(style=style, layers=Layers(**layers), width=width, asks=asks, held=held))
    )


def test_a_plan_of_three_bare_hosts_can_be_read() -> None:
    plan = bare()
    assert len(plan.actions) > 130
    assert len(lines(plan)) <= 200
    assert len(lines(plan, summary=True)) <= 60
    assert len(lines(plan, verbose=True)) > 1500


def test_the_plan_of_a_renewal_is_one_screen() -> None:
    found = lines(renewed())
    assert len(found) <= 40
    assert [line for line in found if line and line[0] not in " P"] == ["distribution", "switch and proof"]


def test_counts_and_what_is_risky_stand_first_and_last() -> None:
    risky = [
        "  1 order at the CA: certificate cn-lab.test.dataone.org (cn-lab-1)",
        "  3 restarts: service tomcat10 (all 3 hosts)",
        "  3 removals: apache_site 000-default (all 3 hosts)",
    ]
    counts = summary(bare())
    for found in (lines(bare()), lines(bare(), summary=True, asks=True)):
        assert found[:4] == [counts, *risky]
        assert found[-4:] == [*risky, counts]
    assert "  3 actions wait for an approval" in lines(bare(), held=3)[:6]


def test_headings_are_those_of_the_procedure_in_its_order() -> None:
    assert [line for line in lines(bare()) if line and line[0] not in " P"] == [
        "programs and clock", "node.properties", "accounts and keys", "challenge", "certificate and renewal",
        "distribution", "services", "switch and proof",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_wrapped_line_keeps_its_indent(width: int) -> None:
    entries = lines(bare(), width=width, commands=True)
    inner = [line for line in entries if line.startswith(" ")]
    assert max(map(len, entries)) <= max(width, 70)
    assert {len(re.match(" *", line)[0]) for line in inner} <= {2, 4, 6, 8, 9, 10, 12, 14}  # type: ignore[index]


def test_commands_are_shown_on_demand_and_all_in_the_runbook() -> None:
    plan = bare()
    assert not any("systemctl restart" in line for line in lines(plan))
    assert any("$ systemctl restart tomcat10" in line for line in lines(plan, commands=True))
    book = "\n".join(runbook_lines(plan))
    commands = [step.command for action in plan.actions for step in (*action.steps, *action.rescue)]
    assert all(command.split("\n")[0] in book for command in commands)
    assert "on cn-lab-3.test.dataone.org: create file /var/lib/reconciler/bin/release" in book


def test_long_texts_are_counted_and_short_ones_shown() -> None:
    def of(count: int, verb: str = "change") -> str:
        text = "--- as seen\n+++ as desired\n@@ -1 +1 @@\n" + "".join(f"+line {n}\n" for n in range(count))
        action = Action(Ref("a", "file", "/x"), verb, (Delta("content", "1", "2", text),), (Step("c", "w"),))
        return "\n".join(lines(Plan("e", (action,), hosts=("a",))))

    assert "content: +196 lines" in of(196)
    assert "+line 15" in of(16)
    assert "+++ as desired" not in of(16)
    assert "content: +4 lines" in of(4, "create")


def test_nothing_that_a_host_says_moves_the_cursor() -> None:
    bad = "x\x1b[2J\n"
    action = Action(Ref(bad, bad, bad), "change", (Delta(bad, bad, bad), Delta(bad, bad, bad, f"+{bad}")),
                    (Step(bad, bad),), blocked=bad)  # fmt: skip
    plan = Plan(bad, (action,), {bad: bad}, {action.ref: bad}, hosts=(bad,))
    for layers in ({}, {"summary": True}, {"verbose": True}, {"commands": True}):
        assert all("\x1b" not in line and "\n" not in line for line in lines(plan, **layers))
    assert all("\x1b" not in line for line in runbook_lines(plan))
