"""The clock: whoever needs the time is given a function that tells it, so that tests can be at any time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the time now, as an aware datetime in UTC."""


def utc_now() -> datetime:
    """The time by this machine's clock, in UTC: the only place that reads it."""
    return datetime.now(UTC)
