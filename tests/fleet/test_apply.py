"""Apply, told by what scripted hosts were asked to do and how the report judges it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from reconciler.approval.binding import Stale
from reconciler.fleet import apply
from reconciler.fleet.events import (
    ActionBegan,
    ActionEnded,
    ActionWaits,
    ApplyBegan,
    ApplyEnded,
    Event,
    HostAnswered,
    HostSwitched,
    LookBegan,
    LookEnded,
    RoundBegan,
    StepBegan,
    StepEnded,
    StillWaiting,
    ignore,
)
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.following import Following
from reconciler.fleet.reply import Hear, Locked, NoAnswer, Refused, Reply, Unresponsive
from reconciler.fleet.report import Report
from reconciler.fleet.rollout import Rollout
from reconciler.model import CannotSee, Change, Outcome, Ref, Seen
from tests.support.scripted import Scripted, Thing


def ref(host: str, label: str) -> Ref:
    return Ref(host, "thing", label)


def thing(label: str, host: str = "a", **more: object) -> Thing:
    return Thing(host=host, label=label, **more)  # type: ignore[arg-type]


def fleet_of(things: list[Thing], *hosts: Scripted, listen: Callable[[Event], None] = ignore) -> Fleet:
    fleet = Fleet("e", things, hosts, listen=listen)
    fleet.look()
    return fleet


def applied(things: list[Thing], *hosts: Scripted) -> tuple[Report, Fleet]:
    with fleet_of(things, *hosts) as fleet:
        return apply.apply(fleet, fleet.plan()), fleet


def results(report: Report) -> dict[str, str]:
    return {f"{each.ref.host}{each.ref.name}": each.result for each in report.outcomes}


def details(report: Report) -> dict[str, str]:
    return {f"{each.ref.host}{each.ref.name}": each.detail for each in report.outcomes}


def test_what_is_ready_on_a_host_is_one_script_and_the_look_comes_with_it() -> None:
    host = Scripted("a")
    report, _ = applied([thing("/1"), thing("/2", folder="/1"), thing("/3")], host)
    assert results(report) == {"a/1": "done", "a/2": "done", "a/3": "done"}
    assert len(host.scripts) == 2


def test_a_step_that_takes_long_is_a_round_of_its_own_with_its_own_time() -> None:
    times: list[float] = []

    class Timed(Scripted):
        def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
            times.append(seconds)
            return super().run(script, seconds, hear)

    report, _ = applied([thing("/1"), thing("/2", slow=True), thing("/3")], Timed("a"))
    assert set(results(report).values()) == {"done"}
    assert times == [32, 30 + 60, 30 + 5 * 60, 30 + 60]


def test_what_waits_for_another_host_comes_in_a_later_round() -> None:
    log: list[tuple[str, str]] = []
    a, b = Scripted("a", log=log), Scripted("b", log=log)
    report, _ = applied([thing("/1", needs=(ref("b", "/2"),)), thing("/2", "b")], a, b)
    assert results(report) == {"b/2": "done", "a/1": "done"}
    assert [host for host, _ in log] == ["b", "b", "a", "a"]


def test_hosts_act_side_by_side() -> None:
    meet = threading.Barrier(2, timeout=10)

    class Meeting(Scripted):
        def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
            meet.wait()
            return super().run(script, seconds, hear)

    report, _ = applied([thing("/1"), thing("/1", "b")], Meeting("a"), Meeting("b"))
    assert set(results(report).values()) == {"done"}


def test_nothing_to_do_is_no_exchange_at_all() -> None:
    host = Scripted("a", {"/1": "new"})
    report, _ = applied([thing("/1")], host)
    assert (report.outcomes, report.partial, len(host.scripts)) == ((), (), 1)


def test_a_failed_step_ends_its_action_and_those_after_it_on_that_host_get_another_try() -> None:
    host = Scripted("a", fails={"check /1"})
    report, _ = applied([thing("/1"), thing("/2"), thing("/3", needs=(ref("a", "/1"),))], host)
    assert results(report) == {"a/1": "failed", "a/2": "done", "a/3": "skipped"}
    assert details(report)["a/3"] == "it waits for a thing /1"
    assert host.ran == ["check /1", "check /2", "set /2 'new'"]


def test_why_something_was_skipped() -> None:
    a = Scripted("a", {"/hidden": "hidden"})
    b = Scripted("b", error=NoAnswer("b", "it is down"))
    things = [
        thing("/1", needs=(ref("a", "/hidden"),)),
        thing("/2", needs=(ref("b", "/far"),)),
        thing("/hidden"),
        thing("/far", "b"),
    ]
    report, _ = applied(things, a, b)
    assert results(report) == {"a/1": "skipped", "a/2": "skipped"}
    assert details(report) == {
        "a/1": "it waits for a thing /hidden, which cannot be observed",
        "a/2": "it waits for b thing /far, and that host cannot be reached",
    }


def test_what_is_refused_is_skipped_with_the_reason() -> None:
    class Stubborn(Thing):
        def refuses(self, change: Change) -> str:
            return "a folder is in the way"

    report, _ = applied([Stubborn(host="a", label="/1")], Scripted("a"))
    assert details(report) == {"a/1": "a folder is in the way"}
    assert report.partial == ()


@pytest.mark.parametrize("steps", [0, 1])
def test_a_line_lost_while_acting_says_during_what_and_that_nothing_is_known(steps: int) -> None:
    a, b = Scripted("a", {"/1": "x", "/2": "x"}, lost_after=steps), Scripted("b")
    report, fleet = applied([thing("/1"), thing("/2"), thing("/1", "b")], a, b)
    assert results(report) == {"a/1": "lost", "a/2": "lost", "b/1": "done"}
    command = ["check /1", "set /1 'new'"][steps]
    assert details(report)["a/1"] == f"the connection was lost, during: {command}"
    assert report.partial == (ref("a", "/1"), ref("a", "/2"))
    assert fleet.sight.unreachable == {"a": "the connection was lost"}


@pytest.mark.parametrize(
    "error", [NoAnswer("a", "gone"), Unresponsive("a", "silent"), Refused("a", "no"), Locked("a", "x")]
)
def test_any_way_in_which_a_host_does_not_do_its_part_is_an_outcome(error: Exception) -> None:
    host = Scripted("a")
    with fleet_of([thing("/1")], host) as fleet:
        plan = fleet.plan()
        host.error = error
        report = apply.apply(fleet, plan)
    assert results(report) == {"a/1": "lost"}
    assert report.left.unreachable == {"a": error.reason}  # type: ignore[attr-defined]


def test_a_round_that_outlasted_its_time_is_looked_at_again() -> None:
    host = Scripted("a")
    with fleet_of([thing("/1"), thing("/2")], host) as fleet:
        plan = fleet.plan()

        def hang(reply: bytes) -> Reply | bytes:
            host.say = lambda reply: reply
            host.things.pop("/2")
            return Reply(reply[: reply.rindex(b"a 1 1 begin\n") + 12], root=True, timed_out=True)

        host.say = hang
        report = apply.apply(fleet, plan)
    assert results(report) == {"a/1": "done", "a/2": "lost"}
    assert details(report)["a/2"] == "it took longer than 90 s and was ended [too-long], during: set /2 'new'"
    assert report.partial == ()
    assert report.left.unreachable == {}


def test_a_round_that_hangs_and_a_host_that_is_gone_then_is_out_of_reach() -> None:
    host = Scripted("a")
    with fleet_of([thing("/1")], host) as fleet:
        plan = fleet.plan()

        def hang(reply: bytes) -> Reply:
            host.error = NoAnswer("a", "gone")
            return Reply(b"", root=True, timed_out=True)

        host.say = hang
        report = apply.apply(fleet, plan)
    assert results(report) == {"a/1": "lost"}
    assert report.left.unreachable == {"a": "gone"}
    assert report.partial == (ref("a", "/1"),)


def test_garbage_in_place_of_a_report_is_lost_and_ends() -> None:
    host = Scripted("a")
    with fleet_of([thing("/1"), thing("/2")], host) as fleet:
        plan = fleet.plan()
        host.say = lambda reply: b"Segmentation fault\n"
        report = apply.apply(fleet, plan)
    assert results(report)["a/1"] == "lost"
    assert "Segmentation fault" in report.left.unreachable["a"]
    assert len(host.scripts) == 2


def test_done_is_what_the_last_look_says() -> None:
    hosts = [Scripted("a", deaf={"/1"}), Scripted("b")]
    report, _ = applied([thing("/1"), thing("/2"), thing("/1", "b")], *hosts)
    assert results(report) == {"a/1": "unsettled", "a/2": "done", "b/1": "done"}
    assert details(report)["a/1"] == "its commands succeeded, but it is not as desired [not-settled]: value"
    assert report.partial == ()


def test_what_was_done_and_cannot_be_seen_any_more_is_unsettled() -> None:
    class Shy(Scripted):
        def _step(self, line: str, out: list[str], frame: str) -> bool:
            done = super()._step(line, out, frame)
            self.things = dict.fromkeys(self.things, "hidden")
            return done

    report, _ = applied([thing("/1")], Shy("a"))
    assert results(report) == {"a/1": "unsettled"}
    assert details(report)["a/1"].endswith("it cannot be observed now")
    assert report.partial == (ref("a", "/1"),)


def test_what_is_neither_as_before_nor_as_wanted_is_named() -> None:
    class Clumsy(Scripted):
        def _step(self, line: str, out: list[str], frame: str) -> bool:
            self.things["/1"] = "broken"
            return super()._step(line, out, frame)

    report, _ = applied([thing("/1")], Clumsy("a", {"/1": "old"}, fails={"check /1"}))
    assert results(report) == {"a/1": "failed"}
    assert report.partial == (ref("a", "/1"),)


def test_what_came_about_on_its_own_is_counted_and_not_done() -> None:
    host = Scripted("a")
    with fleet_of([thing("/1", slow=True), thing("/2")], host) as fleet:
        plan = fleet.plan()
        host.watchers = {"/1": []}
        host.say = lambda reply: host.things.setdefault("/2", "new").encode()[:0] + reply
        fleet.look()
        fleet.look()
        report = apply.apply(fleet, plan)
    assert results(report) == {"a/1": "done"}
    assert report.needless == (ref("a", "/2"),)


def test_a_host_that_could_not_be_looked_at_when_it_was_approved_is_left_alone() -> None:
    a, b = Scripted("a"), Scripted("b", error=NoAnswer("b", "down"))
    with fleet_of([thing("/1", slow=True), thing("/1", "b")], a, b) as fleet:
        plan = fleet.plan()
        b.error = None
        fleet.look()
        report = apply.apply(fleet, plan)
    assert results(report) == {"a/1": "done", "b/1": "skipped"}
    assert details(report)["b/1"] == "it could not be observed when the plan was made; make a new plan"
    assert b.ran == []


def test_a_change_in_the_middle_ends_the_run_and_says_that_something_was_done() -> None:
    host = Scripted("a", {"/2": "new"})
    with fleet_of([thing("/1", slow=True), thing("/2")], host) as fleet:
        plan = fleet.plan()

        class Meddled(dict):
            def __setitem__(self, label: str, value: str) -> None:
                super().__setitem__(label, value)
                super().__setitem__("/2", "meddled")

        host.things = Meddled(host.things)
        with pytest.raises(Stale) as caught:
            apply.apply(fleet, plan)
    assert caught.value.report.outcomes
    assert "a thing /2: change: not in the plan (value: 'meddled' → 'new')" in caught.value.lines


def test_between_rounds_a_host_is_asked_for_what_the_run_is_concerned_with_and_at_the_end_for_all() -> None:
    host = Scripted("a", {"/base": "new", "/1": "old", "/2": "old", "/later": "new", "/other": "new"})
    things = [
        thing("/base"),
        thing("/1", needs=(ref("a", "/base"),), slow=True),
        thing("/2", needs=(ref("a", "/1"),), slow=True),
        thing("/later", needs=(ref("a", "/2"),)),
        thing("/other"),
    ]
    with fleet_of(things, host) as fleet:
        report = apply.apply(fleet, fleet.plan())
    assert results(report) == {"a/1": "done", "a/2": "done"}
    asked = [re.findall(r"ask (\S+)", script) for script in host.scripts]
    everything = {"/base", "/1", "/2", "/later", "/other"}
    assert [set(labels) for labels in asked] == [everything, everything - {"/other"}, everything]


def test_a_change_that_no_round_asks_for_is_told_at_the_end() -> None:
    class Meddling(Scripted):
        def _step(self, line: str, out: list[str], frame: str) -> bool:
            done = super()._step(line, out, frame)
            self.things["/other"] = "meddled"
            return done

    host = Meddling("a", {"/1": "old", "/2": "old", "/other": "new"})
    things = [thing("/1", slow=True), thing("/2", needs=(ref("a", "/1"),), slow=True), thing("/other")]
    with fleet_of(things, host) as fleet, pytest.raises(Stale) as caught:
        apply.apply(fleet, fleet.plan())
    assert results(caught.value.report) == {"a/1": "done", "a/2": "done", "a/other": "skipped"}
    assert "a thing /other: change: not in the plan (value: 'meddled' → 'new')" in caught.value.lines


def test_what_is_wanted_otherwise_meanwhile_is_no_fault_of_what_was_done() -> None:
    class Overtaken(Scripted):
        def _step(self, line: str, out: list[str], frame: str) -> bool:
            done = super()._step(line, out, frame)
            self.things["/source"] = "newer"
            return done

    host = Overtaken("a", {"/source": "new", "/1": "old", "/2": "old"}, deaf={"/2"})
    source = ref("a", "/source")
    anything = thing("/source", copy_of=ref("a", "/nowhere"))
    copies = [thing("/1", copy_of=source), thing("/3", copy_of=source, slow=True)]
    with fleet_of([anything, *copies, thing("/2")], host) as fleet, pytest.raises(Stale) as caught:
        apply.apply(fleet, fleet.plan())
    report = caught.value.report
    assert results(report) == {"a/1": "done", "a/2": "unsettled", "a/3": "skipped"}
    assert report.partial == ()


def switches(**more: object) -> list[Thing]:
    """One host after another, the last after all others."""
    refs = [ref(host, "/s") for host in "abcd"]
    return [
        thing("/s", host, follows=tuple(refs[:number]), undo=True, **more)
        for number, host in enumerate("abcd")
    ]


def olds(**more: object) -> list[Scripted]:
    return [Scripted(host, {"/s": "old"}, **more.get(host, {})) for host in "abcd"]  # type: ignore[call-overload]


FAILS = {"fails": {"set /s 'new'"}}


def test_a_host_that_failed_and_was_put_back_holds_up_nobody_as_often_as_may_be() -> None:
    report, _ = applied(switches(tolerated=1), *olds(a=FAILS))
    assert results(report) == {"a/s": "failed", "b/s": "done", "c/s": "done", "d/s": "done"}
    assert report.partial == ()
    report, _ = applied(switches(tolerated=1), *olds(a=FAILS, b=FAILS))
    assert results(report) == {"a/s": "failed", "b/s": "failed", "c/s": "skipped", "d/s": "skipped"}
    assert details(report)["c/s"] == "the rollout has stopped at a thing /s, which is failed"
    report, _ = applied(switches(), *olds(a=FAILS))
    assert results(report)["b/s"] == "skipped"


def with_canary(*canaries: str, **more: object) -> list[Thing]:
    """The same, where these hosts have to be as desired before any after them."""
    tried = {host: tuple(ref(each, "/s") for each in canaries if each < host) for host in "abcd"}
    return [replace(each, tried_first=tried[each.host]) for each in switches(**more)]


def test_a_canary_that_failed_stops_all_others_and_is_named_and_the_next_run_goes_on() -> None:
    hosts = olds(a=FAILS)
    report, _ = applied(with_canary("a", tolerated=9), *hosts)
    assert results(report) == {"a/s": "failed", "b/s": "skipped", "c/s": "skipped", "d/s": "skipped"}
    assert details(report)["b/s"] == "the rollout has stopped at its canary, a thing /s, which is failed"
    assert report.partial == ()
    hosts[0].fails = set()
    report, _ = applied(with_canary("a", tolerated=9), *hosts)
    assert set(results(report).values()) == {"done"}


def test_a_second_canary_waits_for_the_first_and_the_others_for_both() -> None:
    report, _ = applied(with_canary("a", "b", tolerated=9), *olds(b=FAILS))
    assert results(report) == {"a/s": "done", "b/s": "failed", "c/s": "skipped", "d/s": "skipped"}
    report, _ = applied(with_canary("a", "b", tolerated=9), *olds(a=FAILS))
    assert results(report)["b/s"] == "skipped"


def test_a_canary_that_does_not_even_come_to_its_switch_stops_the_others_but_one_that_is_lost_does_not() -> (
    None
):
    first, *others = with_canary("a", tolerated=9)
    things = [replace(first, folder="/staged"), *others, thing("/staged", undo=True)]
    report, _ = applied(
        things, *halves(a={"things": {"/s": "old", "/staged": "old"}, "fails": {"set /staged 'new'"}})
    )
    found = results(report)
    assert (found["a/staged"], found["a/s"], found["b/s"]) == ("failed", "skipped", "skipped")
    assert details(report)["b/s"] == "it waits for a thing /s"
    report, _ = applied(with_canary("a", tolerated=9), *olds(a={"error": NoAnswer("a", "down")}))
    assert results(report) == {"b/s": "done", "c/s": "done", "d/s": "done"}


def test_a_host_that_was_not_put_back_or_is_lost_in_its_switch_stops_the_others() -> None:
    worse = {"fails": {"set /s 'new'", "set /s 'old'"}}
    report, _ = applied(switches(tolerated=9), *olds(a=worse))
    assert results(report) == {"a/s": "failed", "b/s": "skipped", "c/s": "skipped", "d/s": "skipped"}
    report, _ = applied(switches(tolerated=9), *olds(a={"lost_after": 1}))
    assert results(report) == {"a/s": "lost", "b/s": "skipped", "c/s": "skipped", "d/s": "skipped"}


HALF = {"things": {"/s": "half"}}
MENDED_BY_NOTHING = HALF | {"fails": {"set /s 'new'", "set /s 'half'"}}


def halves(**more: object) -> list[Scripted]:
    given = {host: {"things": {"/s": "old"}} | more.get(host, {}) for host in "abcd"}  # type: ignore[operator]
    return [Scripted(host, **fields) for host, fields in given.items()]


@pytest.mark.parametrize("how", [MENDED_BY_NOTHING, HALF | {"lost_after": 1}], ids=["fails", "is lost"])
def test_a_host_that_an_earlier_run_left_half_way_and_that_nothing_mends_holds_up_nobody(how: object) -> None:
    report, _ = applied(switches(tolerated=1), *halves(a=how))
    found = results(report)
    assert found.pop("a/s") in ("failed", "lost")
    assert found == {"b/s": "done", "c/s": "done", "d/s": "done"}
    report, _ = applied(switches(tolerated=0), *halves(a=how))
    assert results(report)["b/s"] == "skipped"


def test_a_host_that_was_left_half_way_and_cannot_even_be_tried_holds_up_nobody() -> None:
    class Recorded:
        passed: ClassVar[dict[Ref, str]] = {}

        def record_intent(self, actions: object, passed: Mapping[Ref, str], unseen: object) -> None:
            self.passed.update(passed)

        def opening(self, host: str) -> str:
            return ""

        def record_outcomes(self, outcomes: object) -> None:
            pass

    first, *others = switches(tolerated=1)
    staged = thing("/staged", undo=True)
    things = [replace(first, folder="/staged"), *others, staged]
    full = {"things": {"/s": "half", "/staged": "old"}, "fails": {"set /staged 'new'"}}
    with fleet_of(things, *halves(a=full)) as fleet:
        report = apply.apply(fleet, fleet.plan(), Recorded())
    found = results(report)
    assert (found["a/staged"], found["a/s"]) == ("failed", "skipped")
    assert {found[f"{host}/s"] for host in "bcd"} == {"done"}
    assert Recorded.passed == {ref("a", "/s"): "it waits for a thing /staged"}


@pytest.mark.parametrize(
    ("found", "outcome", "as_found"),
    [
        ("half", {"result": "failed"}, True),
        ("half", {"result": "lost"}, True),
        ("half", {"result": "done"}, False),
        ("old", {"result": "failed"}, True),
        ("old", {"result": "failed", "put_back": True}, False),
        ("old", {"result": "lost"}, False),  # its script may go on
    ],
)
def test_which_host_is_no_worse_than_it_was_found(
    found: str, outcome: dict[str, Any], as_found: bool
) -> None:
    class Harmless(Thing):
        def is_worse(self, found: Seen, now: Seen) -> bool:
            return False

    each = Harmless(host="a", label="/s")
    rollout = Rollout({each.ref: each}, {each.ref: {"value": found}}, {}, ())
    (judged,) = rollout.judged([Outcome(each.ref, **outcome)], {})
    assert judged.as_found is as_found


def test_two_hosts_that_were_left_half_way_are_more_than_one_that_may_have_failed() -> None:
    report, _ = applied(switches(tolerated=1), *halves(a=MENDED_BY_NOTHING, b=MENDED_BY_NOTHING))
    assert results(report) == {"a/s": "failed", "b/s": "failed", "c/s": "skipped", "d/s": "skipped"}


def test_a_host_that_was_left_half_way_and_waits_for_its_approval_is_waited_for() -> None:
    with fleet_of(switches(tolerated=9), *halves(a=HALF)) as fleet:
        plan, waiting = fleet.plan(), {ref("a", "/s")}
        approved = replace(plan, actions=tuple(each for each in plan.actions if each.ref not in waiting))
        report = apply.apply(fleet, approved, waiting=waiting)
    assert results(report) == {"b/s": "skipped", "c/s": "skipped", "d/s": "skipped"}
    assert details(report)["b/s"] == "it waits for a thing /s"


def test_a_host_that_is_lost_before_its_switch_is_left_behind() -> None:
    report, _ = applied(switches(), *olds(a={"error": NoAnswer("a", "down")}))
    assert results(report) == {"b/s": "done", "c/s": "done", "d/s": "done"}
    assert report.left.unreachable == {"a": "down"}


def test_a_rollout_costs_each_host_the_same_however_many_take_part() -> None:
    hosts = olds()
    with fleet_of(switches(), *hosts) as fleet:
        apply.apply(fleet, fleet.plan())
    looks = [sum("set /s" not in script for script in host.scripts) for host in hosts]
    assert looks == [1, 3, 3, 3], "to plan, before its turn, and at the end for what others have changed"


class Starting(Scripted):
    """Whatever is set takes three looks to be so."""

    left = 3

    def _execute(self, script: str) -> bytes:
        self.left -= "ask " in script and "starting" in self.things.values()
        if self.left <= 0:
            self.things = {label: "new" if v == "starting" else v for label, v in self.things.items()}
        return super()._execute(script)

    def _step(self, line: str, out: list[str], frame: str) -> bool:
        return super()._step(line.replace("'new'", "'starting'"), out, frame)


def test_what_is_on_its_way_is_waited_for_and_judged_then() -> None:
    host, pauses = Starting("a", {"/1": "old"}), list[float]()
    things = [thing("/1", starts=60), thing("/2", needs=(ref("a", "/1"),), slow=True)]
    with Fleet("e", things, [host], wait=pauses.append) as fleet:
        fleet.look()
        report = apply.apply(fleet, fleet.plan())
    assert results(report) == {"a/1": "done", "a/2": "done"}
    assert pauses == [1.0] * len(pauses) != []


def test_while_something_is_on_its_way_only_that_is_asked_for() -> None:
    host = Starting("a", {"/1": "old", "/2": "new"})
    with Fleet("e", [thing("/1", starts=60), thing("/2")], [host], wait=lambda seconds: None) as fleet:
        fleet.look()
        apply.apply(fleet, fleet.plan())
        assert all(isinstance(seen, dict) for seen in fleet.sight.seen.values())
    narrow = ["ask /2" not in script for script in host.scripts]
    assert narrow[:2] == [False, False]
    assert narrow[2:] == [True] * (len(narrow) - 3) + [False], "all of it again once that has arrived"
    assert len(narrow) > 3


def test_what_never_arrives_is_unsettled_when_its_time_is_over() -> None:
    host, pauses = Starting("a", {"/1": "old"}), list[float]()
    host.left = 999
    with Fleet("e", [thing("/1", starts=5)], [host], wait=pauses.append) as fleet:
        fleet.look()
        report = apply.apply(fleet, fleet.plan())
        assert not report.left.complete
    assert pauses == [1.0] * 5


def test_what_never_changes_is_judged_by_what_it_is_meanwhile() -> None:
    host, pauses = Starting("a", {"/1": "old"}), list[float]()
    host.left = 999
    with Fleet("e", [thing("/1", starts=5, meanwhile={"value": "old"})], [host], wait=pauses.append) as fleet:
        fleet.look()
        report = apply.apply(fleet, fleet.plan())
    assert results(report) == {"a/1": "unsettled"}
    assert report.left.complete
    assert pauses == [1.0] * 5


def test_what_comes_up_because_of_this_run_is_left_for_the_next_plan() -> None:
    host = Scripted("a", {"/1": "old", "/service": "new"}, watchers={"/1": ["/service"]})
    with fleet_of([thing("/1", slow=True), thing("/service", needs=(ref("a", "/1"),))], host) as fleet:
        report = apply.apply(fleet, fleet.plan())
    assert results(report) == {"a/1": "done", "a/service": "skipped"}
    assert "it has come up during this run" in details(report)["a/service"]
    assert report.partial == (ref("a", "/service"),), "it was as desired before"


def told(things: list[Thing], *hosts: Scripted) -> list[Event]:
    """What happened in an apply, without seconds."""
    events: list[Event] = []
    with fleet_of(things, *hosts, listen=events.append) as fleet:
        apply.apply(fleet, fleet.plan())
    return [replace(each, seconds=0) if hasattr(each, "seconds") else each for each in events]


def test_what_happens_is_told_as_it_happens() -> None:
    events = told([thing("/1"), thing("/2")], Scripted("a", fails={"set /2 'new'"}))
    one, two = ref("a", "/1"), ref("a", "/2")
    assert events == [
        LookBegan(("a",)),
        HostAnswered("a", 0, {"Ask": 2}),
        LookEnded(0),
        ApplyBegan(2),
        RoundBegan(1, {"a": 2}),
        ActionBegan(one, "create"),
        StepBegan(one, 1, 2, "check /1"),
        StepEnded(one, 1, 2, 0, 0),
        StepBegan(one, 2, 2, "set /1 'new'"),
        StepEnded(one, 2, 2, 0, 0),
        ActionEnded(one, "done", 0),
        ActionBegan(two, "create"),
        StepBegan(two, 1, 2, "check /2"),
        StepEnded(two, 1, 2, 0, 0),
        StepBegan(two, 2, 2, "set /2 'new'"),
        StepEnded(two, 2, 2, 1, 0),
        ActionEnded(two, "failed", 0, "it says why (status 1 of: set /2 'new')"),
        HostAnswered("a", 0, {"Ask": 2}),
        ApplyEnded(0),
    ]


def test_an_action_is_told_of_while_its_host_still_works() -> None:
    began, events = threading.Event(), []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, ActionBegan):
            assert host.ran == []
            began.set()

    host = Scripted("a")
    with fleet_of([thing("/1")], host, listen=listen) as fleet:
        apply.apply(fleet, fleet.plan())
    assert began.is_set()


def test_why_an_action_waits_is_told_once() -> None:
    a, b = Scripted("a"), Scripted("b")
    things = [thing("/1", needs=(ref("b", "/2"),)), thing("/2", "b", slow=True), thing("/3", "b", slow=True)]
    waits = [each for each in told(things, a, b) if isinstance(each, ActionWaits)]
    assert waits == [ActionWaits(ref("a", "/1"), "it waits for b thing /2")]


def test_a_rollout_is_told_host_by_host() -> None:
    hosts = [Scripted(name) for name in "abc"]
    things = [thing("/x", "a"), thing("/x", "b", follows=(ref("a", "/x"),)),
              thing("/x", "c", follows=(ref("b", "/x"),)), thing("/y", "a")]  # fmt: skip
    switches = [each for each in told(things, *hosts) if isinstance(each, HostSwitched)]
    assert switches == [HostSwitched(ref(name, "/x"), number, 3) for number, name in enumerate("abc", 1)]


def test_who_is_still_waited_for_is_told_in_time() -> None:
    events: list[Event] = []
    slow = threading.Event()
    hosts = [Scripted("a"), Scripted("b", say=lambda said: (slow.wait(5), said)[1])]

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, StillWaiting):
            slow.set()

    things = [thing("/1", "a"), thing("/1", "b")]
    with Fleet("e", things, hosts, listen=listen, patience=0.05) as fleet:
        fleet.look()
    (waiting,) = [each for each in events if isinstance(each, StillWaiting)]
    assert waiting.hosts == ("b",)
    assert 0.05 <= waiting.seconds < 5


def test_a_frame_that_is_not_due_tells_nothing() -> None:
    with fleet_of([thing("/1")], Scripted("a")) as fleet:
        (action,) = fleet.plan().actions
    events: list[Event] = []
    following = Following([action], "00ff", events.append)
    for part in (
        b"\n00ffa 7 0 begin\n",
        b"\n00ffa 0 9 begin\n",
        b"\n00ffa 0 0 be",
        b"gin\n",
        b"\n00ffa 0 0 begin\n",
    ):
        following.hear(part)
    assert events == [ActionBegan(action.ref, "create"), StepBegan(action.ref, 1, 2, "check /1")]


def test_locks_are_taken_in_the_order_of_names_of_hosts_that_answer() -> None:
    asked: list[str] = []

    class Asked(Scripted):
        def lock(self, who: str) -> None:
            asked.append(self.name)
            super().lock(who)

    hosts = [Asked(name) for name in ("c", "a", "b", "d")]
    hosts[2].error = NoAnswer("b", "down")
    hosts[0].held_by = "eve"
    things = [thing("/1", host.name) for host in hosts]
    with fleet_of(things, *hosts) as fleet, pytest.raises(Locked, match="eve"):
        fleet.lock("me")
    assert asked == ["a", "c"]


def test_a_host_that_answers_only_after_the_lock_is_left_alone() -> None:
    hosts = {name: Scripted(name) for name in ("a", "b")}
    things = [thing("/1", name) for name in hosts]
    with Fleet("e", things, list(hosts.values())) as fleet:
        fleet.look()
        approved = fleet.plan()
        hosts["b"].error = NoAnswer("b", "the connection was lost")
        fleet.look()
        fleet.lock("me")
        hosts["b"].error = None
        fleet.settle()
        assert fleet.sight.unreachable == {"b": "the connection was lost"}
        report = apply.apply(fleet, approved)
    assert hosts["b"].locked_by == [] == hosts["b"].ran
    assert results(report) == {"a/1": "done", "b/1": "lost"}


class Refusing(Scripted):
    """A host that lets nobody take its lock."""

    def lock(self, who: str) -> None:
        raise Refused(self.name, "ops may not become root")


def test_nothing_is_done_on_a_host_that_refuses_its_lock_and_the_others_get_theirs() -> None:
    hosts = [Refusing("a"), Scripted("b")]
    things = [thing("/1", "a"), thing("/1", "b"), thing("/2", "b", needs=(Ref("a", "thing", "/1"),))]
    with fleet_of(things, *hosts) as fleet:
        approved = fleet.plan()
        assert fleet.lock("me") == ["b"]
        fleet.settle()
        report = apply.apply(fleet, approved)
    assert hosts[0].ran == []
    assert results(report) == {"a/1": "skipped", "b/1": "done", "b/2": "skipped"}
    assert details(report)["a/1"] == "ops may not become root"


def test_where_every_host_refuses_its_lock_there_is_no_run() -> None:
    hosts = [Refusing("a"), Refusing("b")]
    with (
        fleet_of([thing("/1", "a"), thing("/1", "b")], *hosts) as fleet,
        pytest.raises(Refused, match="ops may not become root"),
    ):
        fleet.lock("me")


def test_every_host_is_closed_at_the_end_also_after_a_mistake() -> None:
    closed: list[str] = []

    class Closing(Scripted):
        def close(self) -> None:
            closed.append(self.name)

    with pytest.raises(RuntimeError), Fleet("e", [], [Closing("a"), Closing("b")]):
        raise RuntimeError
    assert closed == ["a", "b"]


def test_looking_without_root_is_remembered_and_explains_what_cannot_be_seen() -> None:
    with fleet_of([thing("/1"), thing("/2")], Scripted("a", {"/1": "hidden"}, root=False)) as fleet:
        assert fleet.sight.warnings == {"a": "sudo: a password is required"}
        assert fleet.sight.seen[ref("a", "/1")] == CannotSee("hidden (sudo: a password is required)")
        assert fleet.sight.seen[ref("a", "/2")] is None


def test_no_more_hosts_at_a_time_than_asked_for() -> None:
    now, most = [0], [0]
    guard = threading.Lock()

    class Counted(Scripted):
        def run(self, script: str, seconds: float, hear: Hear | None = None) -> Reply:
            with guard:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.02)
            with guard:
                now[0] -= 1
            return super().run(script, seconds, hear)

    hosts = [Counted(str(number)) for number in range(8)]
    with Fleet("e", [thing("/1", host.name) for host in hosts], hosts, parallel=3) as fleet:
        assert fleet.look().unreachable == {}
    assert 1 <= most[0] <= 3
