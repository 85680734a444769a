"""How often cron runs something. Pure; the one door to cronsim."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from itertools import islice, pairwise

from cronsim import CronSim, CronSimError

_FROM = datetime(2026, 1, 1)  # noqa: DTZ001 - crontab(5) knows no time zone, and any year will do
_YEAR = timedelta(days=366)
_MOST = 3000
"""Runs that are looked at: those of a year, where there are not more than eight a day."""


@cache
def longest_gap(schedule: str) -> timedelta:
    """The longest time between two runs. Raises `ValueError` for an invalid schedule."""
    try:
        longest = timedelta(0)
        for earlier, later in islice(pairwise(CronSim(schedule, _FROM)), _MOST):
            longest = max(longest, later - earlier)
            if later - _FROM > _YEAR:
                break
    except CronSimError as error:
        raise ValueError(str(error).lower()) from None
    if not longest:
        raise ValueError("it never comes round")
    return longest
