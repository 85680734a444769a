"""Environments of many hosts: what is said once for all of them, and what is judged once for many looks."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import pytest

from reconciler.blueprint import resources
from reconciler.environment.services import Services
from reconciler.environment.settings import Environment, Host, Sync
from reconciler.model import CannotSee, Change, Joint, Ref, Resource, Seen, State, Step, View
from reconciler.plan.order import Graph
from reconciler.plan.planner import Planner, plan
from reconciler.refs import flat

OLD, NEW = "3b9d0c4471fe6a25" * 2, "9f3c5a7d1e2b4c60" * 2


def environment(hosts: int, all_pairs: int = 8) -> Environment:
    return Environment(
        name="large",
        router="cn.example.org",
        hosts=tuple(Host(name=f"h{number}.example.org", primary=number == 3) for number in range(hosts)),
        sync=Sync(all_pairs=all_pairs),
        services=Services(postgresql="15"),
    )


@cache
def declared(hosts: int, all_pairs: int = 8) -> tuple[Resource, ...]:
    return tuple(resources(environment(hosts, all_pairs)))


@cache
def created(hosts: int, all_pairs: int) -> Mapping[Ref, Mapping[str, Any]]:
    """What is seen of each resource once it has been made on an empty host."""
    bare = plan(
        "large", declared(hosts, all_pairs), {each.ref: None for each in declared(hosts, all_pairs)}, {}
    )
    return {action.ref: {delta.field: delta.want for delta in action.deltas} for action in bare.actions}


def drawn(rnd: random.Random, hosts: int, all_pairs: int) -> tuple[dict[Ref, Seen], dict[str, str]]:
    """A fleet some of which is set up, with a rollout that was interrupted, and with hosts that are down."""
    made, seen = created(hosts, all_pairs), dict[Ref, Seen]()
    share = rnd.choice([0.1, 0.7, 1.0])
    for each in declared(hosts, all_pairs):
        state: Seen = dict(made[each.ref]) if each.ref in made and rnd.random() < share else None
        if each.kind == "serving":
            current, proven = rnd.choice([(OLD, OLD), (NEW, NEW), (NEW, OLD)])
            state = {
                "current": current,
                "proven": proven,
                "apache on 443": current,
                "postgresql on 5432": current,
            }
        if each.kind == "certificate" and not each.absent:
            state = (
                {**(state or {}), "lineage": "present", "release": NEW} if isinstance(state, dict) else state
            )
        if rnd.random() < 0.03:
            state = rnd.choice([CannotSee("no rights"), None])
        seen[each.ref] = state
    down = {f"h{number}.example.org": "down" for number in range(hosts) if rnd.random() < 0.05}
    return {ref: state for ref, state in seen.items() if ref.host not in down}, down


@pytest.mark.parametrize("seed", range(6))
def test_a_joint_is_planned_as_its_members_are(seed: int) -> None:
    rnd = random.Random(seed)
    seen, down = drawn(rnd, 9, 4)
    joined = declared(9, 4)
    assert any(isinstance(other, Joint) for each in joined for other in each.follows)
    apart = [
        replace(each, follows=tuple(ref for ref in flat(each.follows) if ref != each.ref)) for each in joined
    ]
    assert plan("large", joined, seen, down) == plan("large", apart, seen, down)
    waits = [[each.follows for each in plan("large", some, seen, down).actions] for some in (joined, apart)]
    assert waits[0] == waits[1]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_planned_again_is_what_is_planned_anew(seed: int) -> None:
    rnd = random.Random(seed)
    seen, down = drawn(rnd, 4, 8)
    planner = Planner("large", declared(4, 8))
    for _ in range(5):
        again, anew = planner.plan(seen, down), plan("large", declared(4, 8), seen, down)
        assert again == anew
        assert (again.wants, again.notes, list(again.unknown)) == (anew.wants, anew.notes, list(anew.unknown))
        other, down = drawn(rnd, 4, 8)
        refs = rnd.sample(sorted(other), min(len(other), rnd.choice([1, 5, 40])))
        seen |= {ref: other[ref] for ref in refs}


@dataclass(frozen=True, kw_only=True)
class Echo(Resource):
    """Wants what is seen of another, and does not wait for it."""

    kind: ClassVar[str] = "echo"
    title: ClassVar[str] = "word"

    word: str
    of: Ref

    def want(self, look: View) -> State | None:
        return {"text": look.value(self.of, "text"), "alone": look.is_unreachable("b")}

    def steps(self, change: Change) -> Iterable[Step]:
        return ()


def test_what_goes_by_another_without_waiting_for_it_is_judged_again_with_it() -> None:
    one, other = Ref("a", "echo", "one"), Ref("b", "echo", "other")
    planner = Planner("large", [Echo(host="a", word="one", of=other), Echo(host="b", word="other", of=other)])
    seen: dict[Ref, Seen] = {each: {"text": "old", "alone": False} for each in (one, other)}
    assert not planner.plan(seen, {}).actions
    seen[other] = {"text": "new", "alone": False}
    (action,) = planner.plan(seen, {}).actions
    assert [(each.seen, each.want) for each in action.deltas] == [("old", "new")]
    (action,) = planner.plan(seen, {"b": "down"}).actions
    assert [each.field for each in action.deltas] == ["text", "alone"]


def test_only_what_is_seen_anew_is_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[Ref] = []
    seen, _ = drawn(random.Random(1), 4, 8)
    planner = Planner("large", declared(4, 8))
    planner.plan(seen, {})
    kinds = {type(each) for each in declared(4, 8)}
    for kind in kinds:

        def want(self: Resource, look: Any, kind: Any = kind, asked: Any = kind.want) -> Any:
            judged.append(self.ref)
            return asked(self, look)

        monkeypatch.setattr(kind, "want", want)
    planner.plan(seen, {})
    assert not judged
    changed = Ref("h1.example.org", "package", "curl")
    planner.plan({**seen, changed: {"installed": False}}, {})
    assert changed in judged
    assert len(set(judged)) < 8


def test_the_resources_of_a_host_are_as_many_however_many_hosts_there_are() -> None:
    def of(hosts: int) -> int:
        return sum(each.host == "h1.example.org" for each in declared(hosts))

    assert of(9) == of(12) == of(30)


def test_edges_grow_with_the_hosts_and_not_with_their_pairs() -> None:
    kinds = {"serving", "former", "ssh_access", "login"}

    def edges(hosts: int) -> float:
        graph = Graph(declared(hosts))
        return sum(
            len(before) for ref, before in zip(graph.refs, graph.before, strict=False) if ref.kind in kinds
        )

    assert edges(40) / edges(20) < 2.1
