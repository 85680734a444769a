"""What is to come for an environment, as a JSON document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from reconciler.document import Document, Meta, Part
from reconciler.environment.settings import Environment
from reconciler.forecast.judge import Forecast, RuleVerdict


class RulePart(Part, frozen=True, kw_only=True):
    """A dated rule, and whether it bites the environment."""

    rule: Annotated[str, Meta(description="Its name, as in the table of all rules.")]
    verdict: Annotated[
        Literal["bites", "unknown", "later", "no concern"],
        Meta(description="`later`: after `until` it bites, or may."),
    ]
    day: Annotated[str | None, Meta(description="From when on (YYYY-MM-DD); null where that is not known.")]
    what: Annotated[str, Meta(description="What the rule says.")]
    here: Annotated[str, Meta(description="What is concerned, or what is not known; empty: nothing.")]
    do: Annotated[str, Meta(description="What to do where it bites.")]
    source: Annotated[str, Meta(description="Who says so: a URL.")]
    read: Annotated[str, Meta(description="Of which day the copy is that was read (YYYY-MM-DD).")]


class ForecastDocument(Document, frozen=True, kw_only=True):
    """What `reconcile forecast --json` gives: every rule, in the order of the days within each verdict."""

    document: Literal["forecast"] = "forecast"
    at: Annotated[str, Meta(description="In UTC (ISO 8601).")]
    environment: str
    file: str
    until: Annotated[str, Meta(description="The last day that counts (YYYY-MM-DD).")]
    looked: Annotated[
        str | None, Meta(description="When the last look was recorded (ISO 8601); null: there is none here.")
    ]
    exit_code: int
    rules: list[RulePart]


def forecast_document(
    environment: Environment, found: Forecast, looked: datetime | None, now: datetime, code: int
) -> ForecastDocument:
    """The forecast as a document."""
    rules = [_part(each, each.verdict) for each in found.near]
    rules += [_part(each, "later") for each in found.later]
    return ForecastDocument(
        at=now.isoformat(timespec="seconds"),
        environment=environment.name,
        file=environment.file,
        until=found.until.isoformat(),
        looked=looked.isoformat(timespec="seconds") if looked else None,
        exit_code=code,
        rules=[*rules, *(_part(each, each.verdict) for each in found.none)],
    )


def _part(each: RuleVerdict, verdict: str) -> RulePart:
    return RulePart(
        rule=each.rule.id,
        verdict=verdict,  # type: ignore[arg-type]  # one of judge.VERDICTS, or later
        day=each.day.isoformat() if each.day else None,
        what=each.rule.what,
        here=each.here,
        do=each.rule.do,
        source=each.rule.source.url,
        read=each.rule.source.read.isoformat(),
    )
