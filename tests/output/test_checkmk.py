"""Lines of a local check, as Checkmk's agent section takes them apart."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.monitor.status import BroughtEnd, CertificateTimes, EnvironmentStatus, Look
from reconciler.output.checkmk import local_check_lines

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
COUNTS = {"drifted": 1, "pending": 0, "unseen": 0, "acknowledged": 0}
STAGE = EnvironmentStatus(
    environment="stage",
    file="s.yaml",
    state="drifted",
    reason="1 drifted",
    look=Look(at=NOW - timedelta(minutes=5), entry=1, counts=COUNTS, digests={}, certificate=None),
)
LINE = re.compile(r'([0-3]) "([^"\']+)" (-|[a-z_]+=[0-9.-]+(?:\|[a-z_]+=[0-9.-]+)*) (\S.*)')
"""Exactly one space between the parts (docs.checkmk.com, "Local checks"; so before 2.4.0p5)."""


def parsed(found: EnvironmentStatus) -> list[tuple[str, ...]]:
    lines = list(local_check_lines([found], NOW))
    matches = [LINE.fullmatch(line) for line in lines]
    assert all(matches), lines
    return [each.groups() for each in matches if each]


def test_the_four_parts() -> None:
    assert parsed(STAGE) == [
        (
            "1",
            "reconcile stage",
            "drifted=1|pending=0|unseen=0|acknowledged=0|look_age=300",
            "drifted, looked at 5 min ago: 1 drifted",
        )
    ]


@pytest.mark.parametrize(
    ("state", "number"), [("in sync", "0"), ("pending", "1"), ("drifted", "1"), ("unknown", "3")]
)
def test_each_state_has_its_number(state: str, number: str) -> None:
    assert parsed(replace(STAGE, state=state))[0][0] == number


@pytest.mark.parametrize(("days", "number"), [(60, "0"), (20, "1"), (5, "2"), (-3, "2"), (None, "3")])
def test_the_certificate_is_a_service_of_its_own(days: int | None, number: str) -> None:
    times = None
    if days is not None:
        lifetime = timedelta(days=90)
        times = CertificateTimes(end=NOW + timedelta(days=days), lifetime=lifetime, renewal=NOW, seen=NOW)
    state, name, metrics, _ = parsed(replace(STAGE, owns=True, certificate=times))[1]
    assert (state, name) == (number, "reconcile stage certificate")
    assert metrics == ("-" if days is None else f"days_left={days}")


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_makes_one_line_without_details(name: str, reason: str) -> None:
    (line,) = parsed(replace(STAGE, environment=f"x{name}", reason=reason, problems=(reason,)))
    assert "\\" not in "".join(line)


def test_each_brought_certificate_is_a_service_of_its_own() -> None:
    ends = {"node": timedelta(days=20), "host": timedelta(days=31), "old": timedelta(days=-1)}
    warn = timedelta(days=30)
    brought = [BroughtEnd(name=name, end=NOW + left, warn=warn) for name, left in ends.items()]
    brought.append(BroughtEnd(name="new", end=None, warn=warn))
    found = parsed(replace(STAGE, brought=brought))[1:]
    assert [(number, name, metrics) for number, name, metrics, _ in found] == [
        ("1", "reconcile stage certificate node", "days_left=20"),
        ("0", "reconcile stage certificate host", "days_left=31"),
        ("2", "reconcile stage certificate old", "days_left=-1"),
        ("3", "reconcile stage certificate new", "-"),
    ]
    assert found[0][3] == "valid until 2026-12-13 (in 20 days)"
