"""What the rules come to for one environment, in the order of the days. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from reconciler.forecast.bites import Dated
from reconciler.forecast.facts import ForecastFacts, NotKnown
from reconciler.forecast.rules import RULES, Rule

BITES, UNKNOWN, NO_CONCERN = VERDICTS = ("bites", "unknown", "no concern")


@dataclass(frozen=True)
class RuleVerdict:
    """A rule as it is for an environment. `day` is from when on it holds, None where that is the
    environment's own and not known; `here` is what is concerned, or what is not known."""

    rule: Rule
    verdict: str
    day: date | None
    here: str = ""


def judge(facts: ForecastFacts, rules: Iterable[Rule] = RULES) -> list[RuleVerdict]:
    """Every rule, the earliest first; those without a day come last."""
    judged = [_with_further(facts, rule) for rule in rules]
    return sorted(judged, key=lambda each: (each.day or date.max, each.rule.id))


def _with_further(facts: ForecastFacts, rule: Rule) -> RuleVerdict:
    """The verdict of all certificates together: what is worst, and of which it is said."""
    own = _judge(facts, rule)
    for name, each in facts.further.items():
        found = _judge(each, rule)
        if VERDICTS.index(found.verdict) > VERDICTS.index(own.verdict) or found.here == own.here:
            continue  # it concerns the environment, and no certificate, or this one less than another
        same = found.verdict == own.verdict
        here = f"{own.here}; {name}: {found.here}" if same and own.here else f"{name}: {found.here}"
        days = [day for day in (own.day if same else None, found.day) if day]
        own = RuleVerdict(rule, found.verdict, min(days, default=None), here)
    return own


def _judge(facts: ForecastFacts, rule: Rule) -> RuleVerdict:
    try:
        found = rule.here(facts)
    except NotKnown as error:
        return RuleVerdict(rule, UNKNOWN, rule.begins, str(error))
    if found is None:
        return RuleVerdict(rule, NO_CONCERN, rule.begins)
    if isinstance(found, Dated):
        return RuleVerdict(rule, BITES, found.day, found.text)
    return RuleVerdict(rule, BITES, rule.begins, found)


@dataclass(frozen=True)
class Forecast:
    """The rules up to a day: `near` are those that bite by then, and those of which that is not known;
    `later` those that do so after it, and `none` those that concern nothing here."""

    until: date
    near: Sequence[RuleVerdict]
    later: Sequence[RuleVerdict]
    none: Sequence[RuleVerdict]

    @property
    def bites(self) -> Sequence[RuleVerdict]:
        """Those that bite by then."""
        return [each for each in self.near if each.verdict == BITES]

    @property
    def unknown(self) -> Sequence[RuleVerdict]:
        """Those of which it is not known whether they bite by then."""
        return [each for each in self.near if each.verdict == UNKNOWN]


def forecast(facts: ForecastFacts, until: date) -> Forecast:
    """What is to come until that day, with it."""
    judged = judge(facts)
    mine = [each for each in judged if each.verdict != NO_CONCERN]
    return Forecast(
        until=until,
        near=[each for each in mine if each.day is None or each.day <= until],
        later=[each for each in mine if each.day is not None and each.day > until],
        none=[each for each in judged if each.verdict == NO_CONCERN],
    )
