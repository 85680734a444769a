"""The laws, as properties of the planner and of apply, in a world of scripted hosts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.approval.binding import Stale, disallowed
from reconciler.fleet import apply
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.reply import NoAnswer
from reconciler.model import Plan, Ref
from reconciler.plan.order import Cycle, edges, ordered
from reconciler.plan.planner import plan as make_plan
from tests.support.scripted import Scripted, Thing

HOSTS = ("a", "b", "c")


def ref(host: str, label: str) -> Ref:
    return Ref(host, "thing", label)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Thing], dict[str, dict[str, str]]]:
    """Things on three hosts that need, watch and copy earlier ones; and what is there."""
    labels = [f"/t{number}" for number in range(draw(st.integers(1, 6)))]
    things: list[Thing] = []
    for number, label in enumerate(labels):
        for host in HOSTS:
            earlier = [each.ref for each in things if each.label != label]
            pick = st.sampled_from(earlier) if earlier else st.none()
            absent = draw(st.integers(0, 5)) == 0
            copy = None if absent or draw(st.booleans()) else draw(pick)
            things.append(
                Thing(
                    host=host,
                    label=label,
                    value=draw(st.sampled_from(["new", "newer"])),
                    absent=absent,
                    copy_of=None if copy and any(t.ref == copy and t.absent for t in things) else copy,
                    folder=None if absent else draw(st.sampled_from([None, *labels[:number]])),
                    watched=tuple(draw(st.sets(st.sampled_from(labels[:number]))))
                    # No kind does both: what it watches would change what others copy from it,
                    # also where its own source is lost and nothing is planned for it.
                    if number and not absent and copy is None
                    else (),
                    needs=tuple(draw(st.sets(pick, max_size=2)) - {None}) if earlier and not absent else (),
                    slow=draw(st.integers(0, 5)) == 0,
                )
            )
    seen = {
        host: {
            label: draw(st.sampled_from(["new", "newer", "odd"]))
            for label in draw(st.sets(st.sampled_from(labels)))
        }
        for host in HOSTS
    }
    return draw(st.permutations(things)), seen


def watchers(things: Sequence[Thing], host: str) -> dict[str, list[str]]:
    """For each thing of a host, those that are `old` once it has changed."""
    mine = [each for each in things if each.host == host]
    return {each.label: [other.label for other in mine if each.label in other.watched] for each in mine}


def start(things: Sequence[Thing], seen: dict[str, dict[str, str]]) -> tuple[Fleet, dict[str, Scripted]]:
    log: list[tuple[str, str]] = []
    hosts = {
        host: Scripted(host, dict(seen[host]), watchers=watchers(things, host), log=log) for host in HOSTS
    }
    fleet = Fleet("test", things, list(hosts.values()))
    fleet.look()
    return fleet, hosts


def ran(hosts: dict[str, Scripted]) -> list[tuple[str, str]]:
    return [(host.name, line) for host in hosts.values() for line in host.ran]


def commands(plan: Plan) -> set[tuple[str, str]]:
    return {(action.ref.host, step.command) for action in plan.actions for step in action.steps}


@given(worlds())
def test_settled_means_empty_and_applying_twice_does_nothing_twice(world: tuple) -> None:
    fleet, hosts = start(*world)
    with fleet:
        report = apply.apply(fleet, fleet.plan())
        assert {each.result for each in report.outcomes} <= {"done"}
        assert report.left.actions == ()
        before = len(ran(hosts))
        fleet.look()
        assert fleet.plan().actions == ()
        apply.apply(fleet, fleet.plan())
        assert len(ran(hosts)) == before


@given(worlds())
def test_apply_does_a_part_of_the_plan_and_never_anything_else(world: tuple) -> None:
    fleet, hosts = start(*world)
    with fleet:
        approved = fleet.plan()
        apply.apply(fleet, approved)
        planned = commands(approved)
        for host, line in ran(hosts):
            unknowns = any(
                h == host and "(known after apply" in c and c.split()[:2] == line.split()[:2]
                for h, c in planned
            )
            assert (host, line) in planned or unknowns


@given(worlds())
def test_what_runs_runs_after_all_that_it_waits_for(world: tuple) -> None:
    fleet, hosts = start(*world)
    with fleet:
        approved = fleet.plan()
        apply.apply(fleet, approved)
        log = [(host, line.split()[1]) for host, line in hosts["a"].log]
        assert {host.name for host in hosts.values() if host.ran} == {host for host, _ in log}
        for action in approved.actions:
            mine = (action.ref.host, action.ref.name)
            for other in action.after:
                theirs = (other.host, other.name)
                if mine in log and theirs in log:
                    assert max(n for n, each in enumerate(log) if each == theirs) < log.index(mine)


@given(worlds())
def test_everything_comes_after_what_it_needs(world: tuple) -> None:
    things, _ = world
    before = edges(things)
    order = {each: number for number, each in enumerate(ordered(before))}
    assert all(order[other] < order[each] for each, others in before.items() for other in others)
    assert ordered(edges(sorted(things, key=lambda t: t.ref, reverse=True))) == list(order)


@given(worlds(), st.data())
def test_a_failed_step_holds_up_what_waits_for_it_and_nothing_else(world: tuple, data: st.DataObject) -> None:
    things, _ = world
    fleet, hosts = start(*world)
    with fleet:
        approved = fleet.plan()
        if not approved.actions:
            return
        broken = data.draw(st.sampled_from(approved.actions))
        for host in hosts.values():
            if host.name == broken.ref.host:
                host.fails = {f"check {broken.ref.name}"}
        report = apply.apply(fleet, approved)
        results = {each.ref: each.result for each in report.outcomes}
        waits = {broken.ref}
        for action in approved.actions:
            if waits & set(action.after):
                waits.add(action.ref)
        assert results.get(broken.ref, "failed") == "failed"
        for action in approved.actions:
            if action.ref not in waits:
                assert results.get(action.ref, "done") == "done"
            elif action.ref != broken.ref:
                assert results.get(action.ref, "done") in ("skipped", "done")
        # What it watched has changed already: the reload is owed, and the report says so.
        assert set(report.partial) <= {broken.ref}
        assert not report.partial or next(t for t in things if t.ref == broken.ref).watched
        hosts[broken.ref.host].fails = set()
        fleet.look()
        apply.apply(fleet, fleet.plan())
        fleet.look()
        assert fleet.plan().actions == ()


@given(worlds(), st.integers(0, 12), st.sampled_from(HOSTS))
def test_a_line_cut_at_any_step_loses_nothing(world: tuple, after: int, name: str) -> None:
    fleet, hosts = start(*world)
    with fleet:
        hosts[name].lost_after = after
        report = apply.apply(fleet, fleet.plan())
        lost = [each for each in report.outcomes if each.result == "lost"]
        assert all(each.ref.host == name for each in lost)
        if lost:
            assert name in report.left.unreachable
        hosts[name].lost_after = None
        fleet.look()
        apply.apply(fleet, fleet.plan())
        fleet.look()
        assert fleet.plan().actions == ()


@given(worlds(), st.data())
def test_done_is_what_the_host_says_afterwards(world: tuple, data: st.DataObject) -> None:
    fleet, hosts = start(*world)
    with fleet:
        approved = fleet.plan()
        if not approved.actions:
            return
        deaf = data.draw(st.sampled_from(approved.actions)).ref
        hosts[deaf.host].deaf = {deaf.name}
        report = apply.apply(fleet, approved)
        results = {each.ref: each.result for each in report.outcomes}
        # A reload that was foreseen may turn out not to be owed; whatever ran did not settle it.
        assert results.get(deaf, "unsettled") == "unsettled"
        assert deaf not in results or deaf in {action.ref for action in report.left.actions}


@given(worlds())
def test_one_exchange_per_host_per_look(world: tuple) -> None:
    _, hosts = start(*world)
    assert [len(host.scripts) for host in hosts.values()] == [1, 1, 1]


@given(worlds(), st.sampled_from(HOSTS))
def test_a_lost_host_is_left_alone_and_the_others_go_on(world: tuple, name: str) -> None:
    things, seen = world
    fleet, hosts = start(things, seen)
    with fleet:
        hosts[name].error = NoAnswer(name, "it is down")
        fleet.look()
        plan = fleet.plan()
        assert plan.unreachable == {name: "it is down"}
        assert name not in {action.ref.host for action in plan.actions}
        report = apply.apply(fleet, plan)
        assert {each.result for each in report.outcomes} <= {"done", "skipped"}
        for each in report.outcomes:
            if each.result == "skipped":
                assert "cannot be reached" in each.detail or "waits for" in each.detail
        assert hosts[name].ran == []


def test_a_reload_is_owed_to_state_not_to_an_event() -> None:
    things = [Thing(host="a", label="/f"), Thing(host="a", label="unit", watched=("/f",))]
    fleet, hosts = start(things, {"a": {"/f": "odd", "unit": "new"}, "b": {}, "c": {}})
    with fleet:
        plan = fleet.plan()
        assert [(a.ref.name, a.deltas[0].seen) for a in plan.actions] == [("/f", "odd"), ("unit", "old")]
        hosts["a"].fails = {"check unit"}
        hosts["a"].things["unit"] = "old"
        apply.apply(fleet, plan)
        assert hosts["a"].things == {"/f": "new", "unit": "old"}
        hosts["a"].fails = set()
        fleet.look()
        assert [action.ref.name for action in fleet.plan().actions] == ["unit"]


def test_what_is_not_known_yet_says_of_what_and_is_filled_in() -> None:
    things = [Thing(host="a", label="/key"), Thing(host="b", label="/copy", copy_of=ref("a", "/key"))]
    fleet, hosts = start(things, {"a": {}, "b": {}, "c": {}})
    with fleet:
        plan = fleet.plan()
        assert plan.actions[1].deltas[0].want == "(known after apply: value of a thing /key, a word)"
        assert (
            plan.actions[1].steps[1].command
            == "set /copy '(known after apply: value of a thing /key, a word)'"
        )
        apply.apply(fleet, plan)
        assert hosts["b"].things == {"/copy": "new"}


def test_a_cycle_names_its_members() -> None:
    things = [Thing(host="a", label="/x", folder="/y"), Thing(host="a", label="/y", needs=(ref("a", "/x"),))]
    with pytest.raises(Cycle) as caught:
        ordered(edges(things))
    assert set(caught.value.members) == {ref("a", "/x"), ref("a", "/y")}
    assert "a thing /x" in str(caught.value)


def test_removal_goes_from_the_inside_out() -> None:
    things = [
        Thing(host="a", label="/d", absent=True),
        Thing(host="a", label="/d/f", folder="/d", absent=True),
    ]
    seen = {each.ref: {"value": "x"} for each in things}
    assert [action.ref.name for action in make_plan("t", things, seen, {}).actions] == ["/d/f", "/d"]


def test_what_changes_on_the_host_in_the_middle_makes_the_plan_stale() -> None:
    things = [Thing(host="a", label="/x", slow=True), Thing(host="a", label="/y", value="newer")]
    fleet, hosts = start(things, {"a": {"/y": "newer"}, "b": {}, "c": {}})
    with fleet:
        plan = fleet.plan()
        hosts["a"].things["/y"] = "meddled"
        with pytest.raises(Stale) as caught:
            apply.apply(fleet, plan)
        assert [each.result for each in caught.value.report.outcomes] == ["done", "skipped"]
        assert caught.value.lines == ["a thing /y: change: not in the plan (value: 'meddled' → 'newer')"]


def test_what_could_not_be_seen_waits_for_a_plan_of_its_own() -> None:
    things = [Thing(host="a", label="/x"), Thing(host="a", label="/hid")]
    fleet, hosts = start(things, {"a": {"/hid": "hidden"}, "b": {}, "c": {}})
    with fleet:
        plan = fleet.plan()
        assert plan.unknown == {ref("a", "/hid"): "hidden"}
        del hosts["a"].things["/hid"]
        report = apply.apply(fleet, plan)
        assert {each.ref.name: each.result for each in report.outcomes} == {"/x": "done", "/hid": "skipped"}
        assert disallowed(plan, fleet.plan(), ()) == []
