"""Progress as text and as the screen of a terminal: which lines, at which level, in which order."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import get_args

import pytest

from reconciler.document import as_json
from reconciler.fleet import events
from reconciler.fleet.events import (
    ActionBegan,
    ActionEnded,
    ActionWaits,
    ApplyBegan,
    ApplyEnded,
    Event,
    HostAnswered,
    HostLost,
    HostSwitched,
    LookBegan,
    LookEnded,
    OnItsWay,
    RoundBegan,
    StepBegan,
    StepEnded,
    StillWaiting,
)
from reconciler.model import Ref
from reconciler.output.documents.log import event_document
from reconciler.output.progress import ProgressLines, duration
from reconciler.output.screen import HostsScreen
from reconciler.output.text import Style
from tests.support.schemas import hold

PLAIN = Style(colour=False)
REF, OTHER = Ref("a.x", "file", "/e"), Ref("b.x", "file", "/f")
APPLY: tuple[Event, ...] = (
    LookBegan(("a.x", "b.x")),
    HostAnswered("a.x", 0.84, {"StatQuestion": 40, "SumQuestion": 1}),
    HostLost("b.x", "no answer"),
    LookEnded(0.9),
    ApplyBegan(2),
    RoundBegan(1, {"a.x": 1}),
    ActionWaits(OTHER, "it waits for a.x file /e"),
    ActionBegan(REF, "create"),
    StepBegan(REF, 1, 1, "touch /e\nx"),
    StillWaiting(("a.x",), 10),
    StepEnded(REF, 1, 1, 1, 75.2),
    ActionEnded(REF, "failed", 75.2, "full\ndisk \x1b[2J"),
    HostLost("a.x", "gone"),
    HostLost("a.x", "gone"),
    HostSwitched(REF, 1, 2),
    OnItsWay(REF, "it is starting", 60),
    ApplyEnded(80),
)
"""One of each."""


def lines(level: int = 0, *, live: bool = False, style: Style = PLAIN) -> list[str]:
    text = ProgressLines(style, level, live=live)
    return [line for event in APPLY for line in text.lines(event)]


def test_a_log_has_the_beginning_and_the_end_of_each_action_and_what_went_wrong() -> None:
    assert lines() == [
        "a.x file /e: create",
        "after 10 s still waiting for a.x (file /e: create)",
        "a.x file /e: failed after 1 min 15 s (1 of 2): full | disk \\x1b[2J",
        "a.x: left behind: gone",
        "rollout of file /e: 1 of 2 hosts",
        "a.x file /e: it is starting",
    ]


def test_v_adds_what_looks_took_the_rounds_and_why_an_action_waits() -> None:
    assert [line for line in lines(1) if line not in lines()] == [
        "looking at 2 hosts",
        "a.x: 41 questions answered after 0.8 s",
        "b.x: could not be looked at: no answer",
        "round 1: 1 on a.x",
        "b.x file /f: it waits for a.x file /e",
    ]


def test_vv_adds_the_questions_and_the_steps() -> None:
    assert [line for line in lines(2) if line not in lines(1)] == [
        "a.x: 41 questions answered after 0.8 s: Stat 40, Sum 1",
        "a.x file /e: step 1 of 1: $ touch /e",
        "a.x file /e: step 1 of 1: status 1 after 1 min 15 s",
    ]


def test_on_a_terminal_what_stands_on_its_screen_is_not_printed_too() -> None:
    assert set(lines()) - set(lines(live=True)) == {
        "a.x file /e: create",
        "after 10 s still waiting for a.x (file /e: create)",
    }
    coloured = lines(style=Style(colour=True), live=True)
    assert coloured[0].startswith("\x1b[31ma.x file /e: failed after 1 min 15 s\x1b[0m")
    assert "\\x1b[2J" in coloured[0]


def test_every_event_is_a_line_of_the_log_by_its_schema() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert {type(each) for each in APPLY} == set(get_args(Event))
    assert {type(each).__name__ for each in APPLY} == {
        name for name, each in vars(events).items() if dataclasses.is_dataclass(each) and each is not Ref
    }
    documents = [as_json(event_document(each, now)) for each in APPLY]
    for each in documents:
        hold(each, "log")
    assert documents[11] == {
        "version": 1,
        "document": "log",
        "time": "2026-01-01T00:00:00.000+00:00",
        "event": "action-ended",
        "level": "error",
        "host": "a.x",
        "ref": "a.x file /e",
        "result": "failed",
        "detail": "full\ndisk \x1b[2J",
        "seconds": 75.2,
    }
    assert json.loads(json.dumps(documents)) == documents


def test_a_screen_shows_what_each_host_does_and_since_when() -> None:
    screen = HostsScreen(PLAIN)
    shown = []
    for number, event in enumerate(APPLY):
        screen.hear(event, float(number))
        shown.append(list(screen.lines(number + 0.5, 24)))
    assert shown[1] == [
        "looking: 1 of 2 hosts, 1.5 s",
        "  a              answered after 0.8 s",
        "  b       1.5 s  is asked",
    ]
    assert shown[7] == [
        "round 1: 0 of 2 actions, 3.5 s",
        "  a    0/1       0.5 s  create file /e",
        "  b                     no answer: no answer",
    ]
    assert shown[13][1] == "  a    1/1              left behind: gone"
    assert shown[14][0] == "round 1: 1 of 2 actions, 1 failed, 10 s; rollout: 1 of 2 hosts"
    assert shown[15][1] == "  a    1/1       0.5 s  waits for file /e: it is starting"


def test_it_is_there_only_while_there_is_something_to_wait_for() -> None:
    screen = HostsScreen(PLAIN)
    shown = []
    for event in APPLY:
        screen.hear(event, 0)
        shown.append(screen.is_shown)
    assert shown == [True] * 3 + [False] + [True] * 12 + [False]


def test_of_many_hosts_the_busy_ones_are_shown() -> None:
    screen = HostsScreen(PLAIN)
    hosts = tuple(f"h{number:02}.x" for number in range(40))
    screen.hear(LookBegan(hosts), 0)
    for host in hosts[:38]:
        screen.hear(HostAnswered(host, 1), 1)
    found = list(screen.lines(2, 10))
    assert len(found) == 8
    assert found[1].split() == ["h38", "2.0", "s", "is", "asked"]
    assert found[-1] == "  ... and 34 more hosts"


def test_hosts_of_the_same_first_label_keep_their_names() -> None:
    screen = HostsScreen(PLAIN)
    screen.hear(LookBegan(("a.x", "a.y\x1b[2J")), 0)
    assert [line.split()[0] for line in list(screen.lines(0, 9))[1:]] == ["a.x", "a.y\\x1b[2J"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (3725, "62 min 05 s")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
