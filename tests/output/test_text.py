"""What several outputs say alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from reconciler.output.text import did_text, utc


def test_a_moment_is_told_in_utc_wherever_it_was_taken() -> None:
    at = datetime(2026, 11, 26, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert utc(at) == utc(at.astimezone(UTC)) == "2026-11-25 22:30 UTC"


def test_what_a_run_was_for() -> None:
    assert did_text("apply", 1, ()) == "apply, 1 action"
    assert did_text("apply --auto", 2, ["ada", "bob"]) == "apply --auto, 2 actions, approved by ada, bob"
