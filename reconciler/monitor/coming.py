"""What is known for a forecast, and which of its rules are near enough to warn of. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.environment.settings import Environment
from reconciler.forecast.facts import ForecastFacts
from reconciler.forecast.judge import forecast
from reconciler.monitor.findings import Finding, acknowledge
from reconciler.monitor.status import Look


def facts(environment: Environment, look: Look | None, now: datetime) -> ForecastFacts:
    """What is known of an environment: its file, and the last look at all of it. `now` is aware."""
    times = look.certificate if look and environment.owns_certificate else None
    return ForecastFacts(
        environment=environment,
        now=now,
        kept=look.kept if look else {},
        end=times.end if times else None,
        renewal=times.renewal if times else None,
    )


def findings_to_come(environment: Environment, look: Look | None, now: datetime) -> list[Finding]:
    """A finding for each rule that bites within `notices: forecast` days. Each is the same text every day, so
    that people are notified once. What is not known of a rule is for `forecast` to tell."""
    days = environment.notices.forecast
    if not days:
        return []
    until = (now + timedelta(days=days)).date()
    found = [
        Finding(
            "forecast", environment.router, "forecast", each.rule.id, f"{each.rule.what}; from {each.day} on"
        )
        for each in forecast(facts(environment, look, now), until).bites
    ]
    return [acknowledge(each, environment.acknowledged, now) for each in found]
