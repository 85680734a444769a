"""How often cron runs something. Pure; the one door to cronsim."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, pairwise

from cronsim import CronSim, CronSimError

_FROM = datetime(2026, 1, 1)  # noqa: DTZ001 - crontab(5) knows no time zone, and any year will do
_MOST = 3000
"""Runs that are looked at: those of a year, where there are not more than eight a day."""


def longest_gap(schedule: str) -> timedelta:
    """The longest time between two runs. Raises `ValueError` for an invalid schedule."""
    try:
        runs = list(islice(CronSim(schedule, _FROM), _MOST))
    except CronSimError as error:
        raise ValueError(str(error).lower()) from None
    if len(runs) < 2:
        raise ValueError("it never comes round")
    return max(later - earlier for earlier, later in pairwise(runs))
