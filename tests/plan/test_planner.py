"""Golden plans: whole environments over several hosts, and the actions expected, in order.

One file in `cases/plans` per subject, one document in it per case. A case declares resources
as the YAML of an environment does (`at` names their host; otherwise they are on every one),
says what is seen of them (`null` where nothing is said), and which hosts are unreachable.
Adding a case is adding a document.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from reconciler.kinds import KINDS
from reconciler.kinds.file import File
from reconciler.kinds.package import Package
from reconciler.kinds.service import Service
from reconciler.model import CannotSee, Plan, Ref, Resource, Seen
from reconciler.plan.order import Cycle
from reconciler.plan.planner import plan
from reconciler.plan.prospects import waits_for
from tests import CASES
from tests.support.scripted import Thing

CASES = CASES / "plans"


def _cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{file.stem}: {case['case']}")
        for file in sorted(CASES.glob("*.yaml"))
        for case in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    ]


def ref(text: str) -> Ref:
    host, kind, name = text.split(" ", 2)
    return Ref(host, kind, name)


def resources(case: Mapping[str, Any]) -> list[Resource]:
    return [
        _resource(dict(item), host)
        for item in case["declared"]
        for host in ([item["at"]] if "at" in item else case["hosts"])
    ]


def _resource(item: dict[str, Any], host: str) -> Resource:
    item.pop("at", None)
    kinds: dict[str, type[Resource]] = {**KINDS, "thing": Thing}
    kind = next(kinds[key] for key in item if key in kinds)
    title = kind.title
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in item.items() if k != kind.kind}
    options[title] = item[kind.kind]
    options["needs"] = tuple(ref(text) for text in item.get("needs", ()))
    options["follows"] = tuple(ref(text) for text in item.get("follows", ()))
    if "copy_of" in item:
        options["copy_of"] = ref(item["copy_of"])
    if "keys_of" in item:
        options["keys_of"] = tuple((name, ref(text)) for name, text in item["keys_of"].items())
    return kind(**options, host=host)


def sight(case: Mapping[str, Any], everything: list[Resource]) -> dict[Ref, Seen]:
    said = {ref(text): state for text, state in (case.get("seen") or {}).items()}
    assert set(said) <= {each.ref for each in everything}, "a case speaks of what it does not declare"
    states = {each.ref: said.get(each.ref) for each in everything if each.host not in unreachable(case)}
    return {
        each: CannotSee(state["cannot see"]) if state and "cannot see" in state else state
        for each, state in states.items()
    }


def unreachable(case: Mapping[str, Any]) -> dict[str, str]:
    return case.get("unreachable") or {}


def shown(made: Plan) -> dict[str, Any]:
    """A plan in the form in which cases are written: what is empty is left out."""
    actions, waits = [], waits_for(made)
    for action in made.actions:
        each: dict[str, Any] = {action.verb: str(action.ref)}
        each["deltas"] = {d.field: [d.seen, d.want] for d in action.deltas}
        if action.after:
            each["after"] = [str(other) for other in action.after]
        if first := [str(other) for other in waits[action.ref] if other not in action.after]:
            each["first"] = first
        if action.blocked:
            each["refused"] = action.blocked
        if action.has_unknowns:
            each["unknowns"] = True
        actions.append(each)
    unknown = {str(each): reason for each, reason in made.unknown.items()}
    return {"actions": actions} | ({"unknown": unknown} if unknown else {})


@pytest.mark.parametrize("case", _cases())
def test_case(case: dict[str, Any]) -> None:
    everything = resources(case)
    seen = sight(case, everything)
    if "cycle" in case:
        with pytest.raises(Cycle) as caught:
            plan("e", everything, seen, unreachable(case))
        assert {str(each) for each in caught.value.members} == set(case["cycle"])
        return
    made = plan("e", everything, seen, unreachable(case))
    assert shown(made) == case["expected"]
    assert made.unreachable == unreachable(case)
    assert made.complete == (not made.unreachable and not made.unknown)
    assert made.resources == len(everything)


@pytest.mark.parametrize("case", [case for case in _cases() if "cycle" not in case.values[0]])
def test_the_order_of_the_yaml_does_not_matter(case: dict[str, Any]) -> None:
    everything = resources(case)
    seen = sight(case, everything)
    expected = plan("e", everything, seen, unreachable(case))
    for seed in range(4):
        random.Random(seed).shuffle(everything)
        assert plan("e", everything, seen, unreachable(case)) == expected


def test_which_host_failed_first_does_not_matter() -> None:
    made = [plan("e", [], {}, dict.fromkeys(hosts, "it is down")) for hosts in ("ab", "ba")]
    assert [list(each.unreachable) for each in made] == [["a", "b"]] * 2


@pytest.mark.parametrize("case", [case for case in _cases() if "cycle" not in case.values[0]])
def test_nothing_is_planned_for_what_is_unknown_or_out_of_reach(case: dict[str, Any]) -> None:
    everything = resources(case)
    made = plan("e", everything, sight(case, everything), unreachable(case))
    touched = {action.ref for action in made.actions}
    assert not touched & set(made.unknown)
    assert not {each.host for each in touched} & set(made.unreachable)


def test_a_resource_nobody_looked_at_is_unknown() -> None:
    thing = Thing(host="a", label="/x")
    assert plan("e", [thing], {}, {}).unknown == {thing.ref: "it was not looked at"}


def test_nothing_is_settled_whose_desired_state_hangs_on_what_was_not_looked_at() -> None:
    away = Ref("b", "thing", "/y")
    copy = Thing(host="a", label="/x", copy_of=away)
    later = Thing(host="a", label="/z", value="new", needs=(copy.ref,))
    made = plan("e", [copy, later], {copy.ref: {"value": "old"}, later.ref: {"value": "old"}}, {})
    assert made.unknown == {copy.ref: "what is desired depends on what was not looked at: b thing /y"}
    assert not made.complete
    # It was seen all the same, so what comes after it waits for nothing.
    assert [(action.ref, action.after) for action in made.actions] == [(later.ref, ())]
    # A host that cannot be reached is told of already.
    assert plan("e", [copy], {copy.ref: {"value": "old"}}, {"b": "away"}).unknown == {}


UNIT = Service(host="a", unit="haproxy")


@pytest.mark.parametrize(
    ("brings", "is_refused"),
    [
        ((), True),
        ((Package(host="b", package="haproxy"),), True),
        ((Package(host="a", package="haproxy"),), False),
        ((File(host="a", path="/etc/systemd/system/haproxy.service", content=""),), False),
        ((File(host="a", path="/etc/haproxy.cfg", content=""),), True),
    ],
)
def test_a_unit_that_nothing_brings_is_refused(brings: tuple[Resource, ...], is_refused: bool) -> None:
    found = plan("e", (UNIT, *brings), dict.fromkeys((UNIT.ref, *(each.ref for each in brings))), {})
    (action,) = (each for each in found.actions if each.ref == UNIT.ref)
    assert action.verb == "create"
    assert (action.steps == ()) == is_refused
    assert (action.blocked or "").startswith("there is no unit haproxy: install" if is_refused else "")
