"""Many questions as one script, and a reply that may be anything cut back into answers."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.fleet import probe
from reconciler.fleet.fleet import Fleet
from reconciler.fleet.reply import Reply
from reconciler.kinds import KINDS
from reconciler.model import CannotSee, Ref, Resource, Seen
from reconciler.output import plans
from reconciler.output.text import Style
from reconciler.questions.system import InstalledQuestion
from tests.support.scripted import Ask, Scripted, Thing
from tools import cases

BOUNDARY = "0123456789abcdef"


@dataclass(frozen=True)
class Echo:
    """Asks a real shell to say a word."""

    word: str

    @classmethod
    def script(cls, questions: list[Echo]) -> str:
        return "\n".join(f"echo {q.word}; cat" for q in questions)

    @classmethod
    def parse(cls, output: bytes, questions: list[Echo]) -> list[Any]:
        return output.decode().split()


def asked(*questions: Any) -> bytes:
    script = probe.compose(questions, BOUNDARY)
    return subprocess.run(
        ["sh", "-s"], input=script.encode(), capture_output=True, check=True, timeout=20
    ).stdout


def test_equal_questions_are_asked_once_and_answered_everywhere() -> None:
    questions = [Echo("one"), Echo("two"), Echo("one")]
    assert probe.compose(questions, BOUNDARY).count("echo one") == 1
    assert dict(probe.parse(asked(*questions), questions, BOUNDARY)) == {
        Echo("one"): "one",
        Echo("two"): "two",
    }


def test_a_question_cannot_eat_the_rest_of_the_script() -> None:
    assert probe.parse(asked(Echo("x"), Ask("y")), [Echo("x")], BOUNDARY) == {Echo("x"): "x"}


@pytest.mark.parametrize("number", [1, probe.MERGED, probe.MERGED + 1, 2 * probe.MERGED + 1])
def test_many_questions_are_few_commands_and_every_answer_finds_its_question(number: int) -> None:
    questions = [Echo(f"w{each}") for each in range(number)]
    script = probe.compose(questions, BOUNDARY)
    assert script.count(f"printf '\\n{BOUNDARY} ") == -(-number // probe.MERGED) + 2  # and `cut`, `end`
    answers = probe.parse(asked(*questions), questions, BOUNDARY)
    assert {question: question.word for question in questions} == answers


def test_what_a_login_prints_first_is_passed_over() -> None:
    noise = b"Welcome!\n0123 0\n>" + BOUNDARY.encode() + b" 0\nnot yet\n"
    reply = noise + f"\n{BOUNDARY} 0\nnew\n\n{BOUNDARY} end\n".encode()
    assert probe.parse(reply, [Ask("x")], BOUNDARY) == {Ask("x"): "new"}


def test_sections_out_of_their_order_are_not_believed() -> None:
    reply = f"\n{BOUNDARY} 1\none\n\n{BOUNDARY} 0\ntwo\n\n{BOUNDARY} end\n".encode()
    answers = probe.parse(reply, [Ask("a"), Echo("b")], BOUNDARY)
    assert {type(answer) for answer in answers.values()} == {CannotSee}


def test_another_boundary_is_no_answer() -> None:
    reply = asked(Echo("x")).replace(BOUNDARY.encode(), b"f" * 16)
    assert probe.parse(reply, [Echo("x")], BOUNDARY) == {
        Echo("x"): CannotSee("the host's reply was cut short")
    }


@dataclass(frozen=True)
class Sleep:
    """Asks a real shell to sleep first, and then for a NUL byte and more than a pipe holds."""

    seconds: int

    @classmethod
    def script(cls, questions: list[Sleep]) -> str:
        big = "head -c 100000 /dev/zero"
        return "\n".join(f"sleep {q.seconds}; {big}; echo {q.seconds}" for q in questions)

    @classmethod
    def parse(cls, output: bytes, questions: list[Sleep]) -> list[Any]:
        return [int(each) for each in output.replace(b"\0", b"").split()]


class Beside(Echo):
    """Is asked beside the others."""

    limit = 2

    @classmethod
    def script(cls, questions: list[Echo]) -> str:
        return (
            "\n".join(f"{{ sleep 1; head -c 100000 /dev/zero; echo {q.word}; }} &" for q in questions)
            + "\nwait"
        )

    @classmethod
    def parse(cls, output: bytes, questions: list[Echo]) -> list[Any]:
        return output.decode().replace("\0", "").split()


class Shell:
    """A host that is this machine."""

    name = "a"

    def run(self, script: str, seconds: float) -> Reply:
        done = subprocess.run(
            ["sh", "-s"], input=script.encode(), capture_output=True, check=True, timeout=seconds
        )
        return Reply(done.stdout, root=True)

    def lock(self, who: str) -> None:
        """Nobody else is here."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, kw_only=True)
class Asking(Thing):
    question: Any = None

    def ask(self) -> Mapping[str, Any]:
        return {"value": self.question}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        value = answers["value"]
        return value if isinstance(value, CannotSee) else {"value": str(value)}


def test_what_hangs_hides_nothing_but_itself_and_the_limits_nest() -> None:
    asked = [Echo("one"), Sleep(0), Sleep(1009), Echo("two"), Beside("three"), InstalledQuestion("no-such")]
    things = [Asking(host="a", label=f"/{number}", question=each) for number, each in enumerate(asked)]
    began = time.monotonic()
    with Fleet("e", things, [Shell()], seconds=6) as fleet:
        seen = fleet.look().seen
    assert time.monotonic() - began < 6.5
    assert fleet.sight.unreachable == {}
    hidden = CannotSee("the host gave no answer within 2 s when asked for: sleep 1009 [too-long]")
    values = ["one", "0", hidden, "two", "three", "None"]
    assert [seen[each.ref] for each in things] == [
        value if isinstance(value, CannotSee) else {"value": value} for value in values
    ]


def looked(resources: list[Resource], say: Any) -> Fleet:
    """A fleet that has looked at one host, whose true reply `say` replaces."""
    with Fleet("e", resources, [Scripted("a", {"/x": "new", "/y": "old"}, say=say)]) as fleet:
        fleet.look()
        return fleet


THINGS = [Thing(host="a", label="/x"), Thing(host="a", label="/y")]


def test_a_reply_cut_at_any_byte_is_no_state_at_all() -> None:
    whole = b""

    def keep(reply: bytes) -> bytes:
        nonlocal whole
        whole = reply
        return reply

    assert looked(THINGS, keep).sight.unreachable == {}
    for end in range(len(whole)):
        sight = looked(THINGS, lambda reply, end=end: reply[:end]).sight
        assert (sight.seen, list(sight.unreachable)) == ({}, ["a"]), f"cut after {end} bytes"


@given(st.binary(max_size=200), st.integers(0, 400))
def test_garbage_in_the_middle_of_a_reply_is_told_or_read_but_never_breaks_us(
    garbage: bytes, at: int
) -> None:
    sight = looked(THINGS, lambda reply: reply[:at] + garbage + reply[at:]).sight
    assert set(sight.unreachable) in ({"a"}, set())
    for seen in sight.seen.values():
        assert seen is None or isinstance(seen, dict | CannotSee)


@cache
def everything() -> list[Resource]:
    """Every resource that a case of some kind declares, but those whose questions go over the network."""
    made = {}
    for kind in KINDS:
        for case in cases.cases(cases.FOLDER / f"{kind}.yaml"):
            if cases.form(case) != "host" and kind != "ssh_access":
                each = cases.resource(kind, case["declared"])
                made[each.ref] = replace(each, host="a")
    return list(made.values())


@pytest.fixture(scope="module")
def true_sections() -> list[bytes]:
    """What this machine answers to every question."""
    questions = [question for each in everything() for question in each.ask().values()]
    parts = re.split(rb"\n" + BOUNDARY.encode() + rb" (\w+)\n", asked(*questions))
    return [body for label, body in zip(parts[1::2], parts[2::2], strict=True) if label.isdigit()]


DAMAGE = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"", b"\0", b"\0\0", b"\n", b"\n\n", b" ", b"=", b":", b"-1", b"9" * 5000, b"done\n"]),
)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 500), st.integers(0, 200), DAMAGE), max_size=6))
def test_damage_within_sections_never_breaks_us(true_sections: list[bytes], damage: list[Any]) -> None:
    sections = list(true_sections)
    for number, start, length, words in damage:
        body = sections[number % len(sections)]
        at = start % (len(body) + 1)
        sections[number % len(sections)] = body[:at] + words + body[at + length :]

    def damaged(_: bytes) -> bytes:
        boundary = host.scripts[0].rsplit("\\n", 2)[-2].split()[0].encode()
        fenced = [b"\n%s %d\n%s" % (boundary, number, body) for number, body in enumerate(sections)]
        return b"".join(fenced) + b"\n" + boundary + b" end\n"

    host = Scripted("a", say=damaged)
    with Fleet("e", everything(), [host]) as fleet:
        fleet.look()
        plan = fleet.plan()
    if not damage:
        assert plan.unreachable == {}
    assert all(each.reason for each in fleet.sight.seen.values() if isinstance(each, CannotSee))
    list(plans.plan_lines(plan, plans.PlanText(style=Style(colour=False))))


@dataclass(frozen=True, kw_only=True)
class Deep(Thing):
    """A thing that reads JSON."""

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        return {"value": str(json.loads("[" * 20_000 if self.label == "/deep" else "1"))}


def test_an_answer_that_one_resource_cannot_read_leaves_the_others_seen() -> None:
    fleet = looked([Deep(host="a", label="/deep"), Deep(host="a", label="/flat")], lambda reply: reply)
    assert fleet.sight.unreachable == {}
    deep, flat = (fleet.sight.seen[Ref("a", "thing", label)] for label in ("/deep", "/flat"))
    assert isinstance(deep, CannotSee)
    assert "cannot be interpreted" in deep.reason
    assert flat == {"value": "1"}


def test_megabytes_of_nonsense_are_told_in_a_line() -> None:
    (reason,) = looked(THINGS, lambda reply: b"\xff\x00\x1b" * 4_000_000).sight.unreachable.values()
    assert "does not have the expected form" in reason
    assert len(reason) < 2000


def test_a_look_that_took_too_long_says_so() -> None:
    sight = looked(THINGS, lambda reply: Reply(reply, root=True, timed_out=True)).sight
    assert sight.unreachable == {"a": "a command hung there for 30 s and was ended [too-long]"}
    assert sight.seen == {}
