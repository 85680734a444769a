"""What is known for a forecast, and which of its rules are near enough to warn of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from reconciler.environment.ordered import Ordered
from reconciler.environment.settings import Environment
from reconciler.forecast.facts import KEPT, ForecastFacts, as_environment, ordered_ends, ordered_lifetimes
from reconciler.forecast.judge import forecast
from reconciler.monitor.findings import Finding, acknowledge
from reconciler.monitor.status import Look, usual_renewal


def facts(environment: Environment, look: Look | None, now: datetime) -> ForecastFacts:
    """What is known of an environment: its file, and the last look at all of it. `now` is aware."""
    times = look.certificate if look and environment.owns_certificate else None
    kept = look.kept if look else {}
    return ForecastFacts(
        environment=environment,
        now=now,
        kept=kept,
        end=times.end if times else None,
        renewal=times.renewal if times else None,
        further={each.name: _further(environment, each, kept, now) for each in environment.ordered},
    )


def _further(
    environment: Environment, entry: Ordered, kept: Mapping[str, str], now: datetime
) -> ForecastFacts:
    """What is known of a further certificate that is ordered."""
    end = ordered_ends(environment, kept)[entry.name]
    lifetime = ordered_lifetimes(environment, kept)[entry.name]
    mine = {name: kept[f"{name} {entry.name}"] for name in KEPT if f"{name} {entry.name}" in kept}
    return ForecastFacts(
        environment=as_environment(environment, entry),
        now=now,
        kept={**mine, **{name: kept[name] for name in ("certbot",) if name in kept}},
        end=end,
        renewal=end and usual_renewal(end, lifetime),
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
