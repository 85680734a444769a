"""The table of environments: its columns, its words for ages, its colours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.monitor.status import BroughtEnd, CertificateTimes, EnvironmentStatus, LastRun, Look
from reconciler.output.overview import age, table_lines
from reconciler.output.text import Style

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
COUNTS = {"drifted": 0, "pending": 0, "unseen": 0, "acknowledged": 0}
TIMES = CertificateTimes(
    end=NOW + timedelta(days=60), lifetime=timedelta(days=90), renewal=NOW + timedelta(days=30), seen=NOW
)
WELL = EnvironmentStatus(
    environment="stage",
    file="s.yaml",
    state="in sync",
    reason="",
    owns=True,
    look=Look(at=NOW - timedelta(hours=5), entry=1, counts=COUNTS, digests={}, certificate=TIMES),
    certificate=TIMES,
    run=LastRun(
        number=7, command="apply", who="ada", began=NOW - timedelta(days=3), ended=NOW, code=0, alive=False
    ),
)
UNREAD = EnvironmentStatus(
    environment="a-long-name", file="p", state="unknown", reason="why\x1b[2J", problems=("p:1:1: so",), unread=True
)  # fmt: skip


def test_the_table() -> None:
    assert list(table_lines([WELL, UNREAD], NOW, Style(colour=False))) == [
        "environment  state    looked   valid until              renewal           last run                 lock",
        "stage        in sync  5 h ago  2027-01-22 (in 60 days)  about 2026-12-23  run 7, 3 days ago: done  none here",
        "a-long-name  unknown  unknown  unknown                  unknown           unknown                  unknown",
        "    why\\x1b[2J",
        "    p:1:1: so",
    ]


def test_colour_changes_no_column_and_goes_by_state_and_urgency() -> None:
    late = replace(WELL, state="drifted", certificate=replace(TIMES, end=NOW + timedelta(days=2)))
    plain = list(table_lines([late], NOW, Style(colour=False)))
    row = list(table_lines([late], NOW, Style(colour=True)))[1]
    assert "\x1b[33mdrifted\x1b[0m" in row
    assert "\x1b[31m2026-11-25 (in 2 days)\x1b[0m" in row
    for code in ("\x1b[33m", "\x1b[31m", "\x1b[0m"):
        row = row.replace(code, "")
    assert row == plain[1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172799, "47 h"), (172800, "2 days")],
)  # fmt: skip
def test_ages(seconds: int, text: str) -> None:
    assert age(timedelta(seconds=seconds)) == text


def test_below_an_environment_are_its_brought_certificates() -> None:
    one = BroughtEnd(name="node", end=NOW + timedelta(days=29), warn=timedelta(days=30))
    over, new = replace(one, name="host", end=NOW), replace(one, name="new", end=None)
    lines = list(table_lines([replace(WELL, brought=[one, over, new])], NOW, Style(colour=True)))[2:]
    assert lines == [
        "    \x1b[33mnode: valid until 2026-12-22 (in 29 days)\x1b[0m",
        "    \x1b[31mhost: valid until 2026-11-23 (expired)\x1b[0m",
        "    \x1b[33mnew: until when it is valid is not known\x1b[0m",
    ]
