"""What is wrong, in the order in which somebody has to look at it. Each fact is told once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import Plan
from reconciler.monitor import severity
from reconciler.monitor.status import CertificateTimes
from reconciler.output.html.facts import Facts
from reconciler.output.html.text import day
from reconciler.output.overview import brought_words
from reconciler.output.text import many, summary, utc
from reconciler.tls.verify import INSIDE

NAMED = 3
"""Things that are named; more are counted."""


@dataclass(frozen=True)
class Issue:
    """`short` is a few words, for a title; `target` is the section of the page that has more."""

    tone: str
    short: str
    text: str
    target: str


def problems(facts: Facts) -> list[Issue]:
    """All that is wrong or not known, the worst first."""
    found = [
        *_certificate(facts),
        *_brought(facts),
        *_services(facts),
        *_checks(facts),
        *_run(facts),
        *_refused(facts),
        *_drifted(facts),
        *_unseen(facts),
    ]
    return sorted(found, key=lambda each: -severity.TONES.index(each.tone))


def verdict(facts: Facts) -> tuple[str, str]:
    """How it stands, in a tone and a few words."""
    found = problems(facts)
    if found and found[0].tone == severity.BAD:
        return found[0].tone, found[0].short
    if facts.waiting and (facts.status.state == "pending" or not found):
        return severity.WARN, f"{many(len(facts.waiting), 'action')} pending"
    if found:
        return found[0].tone, found[0].short
    return severity.OK, "all well"


def pending_tone(facts: Facts) -> str:
    """How bad it is what is pending; that nothing is known to be is not that nothing is."""
    return severity.WARN if facts.waiting or not facts.plan.complete else severity.OK


def pending_words(facts: Facts) -> str:
    """How much is pending, in a sentence."""
    plan = facts.plan
    if plan.hosts and len(plan.unreachable) >= len(plan.hosts) and not plan.actions:
        return "Not known: no host could be looked at."
    known = len(plan.actions) - len(facts.waiting)
    return f"{summary(plan)} Acknowledged: {known}." if known else summary(plan)


def no_certificate(facts: Facts) -> str:
    """What stands in place of the certificate's end where that is not known."""
    if not facts.status.owns:
        return "not managed here"
    return "no certificate yet" if facts.issued is False else "not known"


def renewal_words(times: CertificateTimes, now: datetime) -> str:
    """About when the certificate is renewed, or since when that is due."""
    return f"{'renews about' if times.renewal > now else 'renewal due since'} {day(times.renewal)}"


def services_tone(facts: Facts) -> str:
    """How bad the worst is that a service serves."""
    return severity.worst(severity.of_service(each, facts.issued)[0] for each in facts.served)


def checks_tone(facts: Facts) -> str:
    """How bad the worst check is."""
    return severity.worst(facts.judged(each)[0] for each in facts.checks or ())


def hosts_tone(facts: Facts) -> str:
    """How bad it is that hosts could not be looked at, or not wholly."""
    return severity.OK if facts.plan.complete and not facts.warnings else severity.WARN


def _certificate(facts: Facts) -> Iterator[Issue]:
    status, times = facts.status, facts.status.certificate
    if times is None:
        if status.owns and facts.issued is False:
            text = "No certificate has been issued yet; until then, no service can serve it."
            yield Issue(severity.WARN, "no certificate yet", text, "services")
        return
    tone = severity.of_certificate(status, facts.when)
    if times.end <= facts.when:
        yield Issue(severity.BAD, "the certificate has expired", "The certificate has expired.", "services")
    elif tone != severity.OK:
        text = f"The renewal of the certificate is overdue: about {times.renewal:%Y-%m-%d} it was due."
        yield Issue(tone, "the renewal is overdue", text, "services")


def _brought(facts: Facts) -> Iterator[Issue]:
    for each in facts.status.brought:
        if each.urgency(facts.when) in ("warn", "bad"):
            tone = severity.of_certificate(each, facts.when)
            which = "a further certificate" if each.ordered else "a brought certificate"
            short = f"{which} has ended" if tone == severity.BAD else f"{which} ends"
            what = "its renewal is overdue" if each.ordered else "bring another"
            text = f"{each.name}: {brought_words(each, facts.when)}; {what}."
            yield Issue(tone, short, text, "services" if each.ordered else "brought")


def _services(facts: Facts) -> Iterator[Issue]:
    judged = [(each, severity.of_service(each, facts.issued)[0]) for each in facts.served]
    wrong = [each for each, tone in judged if tone == severity.BAD]
    if wrong:
        number = f"{len(wrong)} of {many(len(facts.served), 'service')}"
        verb = "does" if len(wrong) == 1 else "do"
        hosts = _named(facts, dict.fromkeys(each.host for each in wrong))
        text = f"{number} {verb} not serve the certificate that was issued ({hosts})."
        yield Issue(severity.BAD, "some services serve the wrong certificate", text, "services")
    hidden = [
        each
        for each, tone in judged
        if tone == severity.WARN and facts.issued is not False and each.host not in facts.plan.unreachable
    ]
    if hidden:
        hosts = _named(facts, dict.fromkeys(each.host for each in hidden))
        text = f"What {many(len(hidden), 'service')} should serve cannot be told ({hosts})."
        yield Issue(severity.WARN, "some services cannot be judged", text, "services")


def _checks(facts: Facts) -> Iterator[Issue]:
    """From outside: what a host sees itself is told of its services."""
    asked = [each for each in facts.checks or () if each.seen_from != INSIDE]
    wrong = [each for each in asked if facts.judged(each)[0] == severity.BAD]
    if wrong:
        hosts = _named(facts, dict.fromkeys(each.endpoint.host for each in wrong))
        first, *others = dict.fromkeys(each.detail for each in wrong)
        more = f"; and {many(len(others), 'other reason')}" if others else ""
        text = f"{len(wrong)} of {many(len(asked), 'check')} from outside failed ({hosts}): {first}{more}."
        yield Issue(severity.BAD, "checks from outside failed", text, "checks")


def _run(facts: Facts) -> Iterator[Issue]:
    run = facts.status.run
    if run is not None and (tone := severity.of_run(run)) != severity.OK:
        text = f"Run {run.number} ({run.command}) of {utc(run.began)}: {run.result}."
        yield Issue(tone, "the last run failed", text, "timeline")


def _refused(facts: Facts) -> Iterator[Issue]:
    refused = [each for each in facts.waiting if each.blocked]
    if refused:
        names = _some(f"{each.ref.kind} {each.ref.name} ({each.ref.host})" for each in refused)
        text = f"{many(len(refused), 'action')} cannot be carried out as things are: {names}."
        yield Issue(severity.BAD, "actions are refused", text, "plan")


def by_reason(plan: Plan) -> dict[str, list[str]]:
    """The hosts that could not be looked at, by why."""
    reasons: dict[str, list[str]] = {}
    for host, reason in plan.unreachable.items():
        reasons.setdefault(reason, []).append(host)
    return reasons


def _unseen(facts: Facts) -> Iterator[Issue]:
    """Hosts by the reason: our own mistake is one problem, and not one of each host."""
    plan = facts.plan
    everyone = len(plan.unreachable) >= len(plan.hosts)
    for reason, hosts in by_reason(plan).items():
        whole = len(hosts) > 1 and len(hosts) == len(plan.hosts)
        who = f"None of the {len(hosts)} hosts" if whole else _named(facts, hosts)
        verb = "could" if whole else "could not"
        short = "no host could be looked at" if everyone else "not every host could be looked at"
        yield Issue(severity.WARN, short, f"{who} {verb} be looked at: {reason}", "plan")
    if left := {ref for ref in plan.unknown if ref.host not in plan.unreachable}:
        where = _named(facts, sorted({ref.host for ref in left}))
        text = f"{many(len(left), 'resource')} could not be judged ({where})."
        yield Issue(severity.WARN, "checked partially", text, "plan")
    for host, why in facts.warnings.items():
        text = f"{_named(facts, [host])} was looked at without root: {why}"
        yield Issue(severity.WARN, "looked without root", text, "services")


def _drifted(facts: Facts) -> Iterator[Issue]:
    drifted = [each for each in facts.findings if each.verdict == "drifted" and not each.acknowledged]
    if drifted:
        since = min((facts.since[each.id] for each in drifted if each.id in facts.since), default=None)
        begun = f" since {utc(since)}" if since else ""
        hosts = _named(facts, dict.fromkeys(each.host for each in drifted))
        names = _some(dict.fromkeys(f"{each.kind} {each.name}" for each in drifted))
        text = f"{many(len(drifted), 'resource')} drifted{begun} ({hosts}): {names}."
        yield Issue(severity.WARN, "drifted", text, "plan")


def _named(facts: Facts, hosts: Iterable[str]) -> str:
    return _some(facts.short.get(host, host) for host in hosts)


def _some(names: Iterable[str]) -> str:
    every: Sequence[str] = list(names)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return f"{', '.join(every[:NAMED])}{more}"
