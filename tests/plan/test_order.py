"""The order of resources: what stands before what, and cycles by name."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import Ref
from reconciler.plan.order import Cycle, edges, is_below, ordered
from tests.support.scripted import Thing

LETTERS = [Ref("h", "thing", letter) for letter in "abcdef"]


@st.composite
def graphs(draw: st.DrawFn) -> dict[Ref, set[Ref]]:
    return {each: draw(st.sets(st.sampled_from(LETTERS), max_size=3)) - {each} for each in LETTERS}


@given(graphs())
def test_everything_comes_after_what_it_needs_or_the_cycle_is_named(before: dict[Ref, set[Ref]]) -> None:
    try:
        order = ordered(before)
    except Cycle as cycle:
        members = cycle.members
    else:
        members = None
    if members:
        for member, following in pairwise(members):
            assert following in before[member] or member in before[following]
        assert members[0] == members[-1]
        return
    assert sorted(order) == LETTERS
    for number, each in enumerate(order):
        assert before[each] <= set(order[:number])
        # Ties: nothing smaller was ready and passed over.
        ready = [other for other in order[number:] if before[other] <= set(order[:number])]
        assert each == min(ready)


def test_a_thing_that_needs_itself_is_no_cycle() -> None:
    thing = Thing(host="a", label="/x", needs=(Ref("a", "thing", "/x"),))
    assert edges([thing]) == {thing.ref: set()}


def test_what_nobody_declares_is_taken_to_be_there() -> None:
    thing = Thing(host="a", label="/x", folder="/srv", needs=(Ref("b", "thing", "/y"),))
    assert edges([thing]) == {thing.ref: set()}


def test_a_path_is_only_that_of_its_own_host() -> None:
    things = [Thing(host="b", label="/d"), Thing(host="a", label="/d/x", folder="/d", watched=("/d",))]
    assert edges(things)[things[1].ref] == set()


def test_what_is_made_in_the_place_of_something_removed_comes_after() -> None:
    gone = Thing(host="a", label="/d", absent=True)
    made = Thing(host="a", label="/d/x", folder="/d")
    assert edges([gone, made])[made.ref] == {gone.ref}


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/a", "/a", True),
        ("/a/b", "/a", True),
        ("/a/b", "/a/", True),
        ("/ab", "/a", False),
        ("/a", "/a/b", False),
        ("/a", "/", True),
    ],
)
def test_below(path: str, root: str, expected: bool) -> None:
    assert is_below(path, root) == expected


def test_a_cycle_is_told_from_what_waits_to_what_it_waits_for() -> None:
    a, b, c = LETTERS[:3]
    with pytest.raises(Cycle, match="these wait for each other: ") as caught:
        ordered({a: {b}, b: {c}, c: {a}})
    told = str(caught.value).removeprefix("these wait for each other: ").split(" → ")
    waits = {str(a): str(b), str(b): str(c), str(c): str(a)}
    assert [waits[each] for each in told[:-1]] == told[1:]
