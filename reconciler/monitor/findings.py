"""What a look finds: drifted, declared but not applied yet, expiring, not seen. Pure.

And of which of that people are notified: once, again by policy, and once when it is over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from reconciler.approval.policy import expiries, lifetimes
from reconciler.environment.rules import Acknowledged
from reconciler.environment.settings import Environment
from reconciler.kinds.certificate import brought
from reconciler.model import Plan, Ref, Seen, State
from reconciler.plan.judgement import digest


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, or will not be. `verdict` is drifted, pending, expiring, unseen
    or forecast (`rules.VERDICTS`); `kind` and `name` are empty where it is about a whole host."""

    verdict: str
    host: str
    kind: str
    name: str
    detail: str
    acknowledged: str = ""
    """By whom, why and until when it is taken; empty where it is not."""

    @property
    def id(self) -> str:
        """The same for the same thing, however often it is found."""
        text = f"{self.verdict}|{self.host}|{self.kind}|{self.name}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def document(self) -> dict[str, Any]:
        """As JSON documents, notices and the journal have it."""
        names = ("id", "verdict", "host", "kind", "name", "detail")
        return {name: getattr(self, name) for name in names}

    @property
    def subject(self) -> str:
        """What it is about, as text: a ref, or a host."""
        return f"{self.host} {self.kind} {self.name}".strip()


def want_digest(want: State | None) -> str:
    """What is desired of a resource, as 64 hexadecimal digits; None is desired to be absent."""
    return digest(None if want is None else dict(want))


def findings(
    environment: Environment,
    plan: Plan,
    seen: Mapping[Ref, Seen],
    settled: Mapping[str, str],
    now: datetime,
) -> list[Finding]:
    """Everything that is not as it should be, in the order of the plan.

    `settled` holds, by ref, the digest of what was desired when a resource was last seen to be
    so: what is desired just the same now and is not so has drifted; else it is pending. `now`
    is aware.
    """
    found: list[Finding] = []
    for action in plan.actions:
        same = settled.get(str(action.ref)) == want_digest(plan.wants.get(action.ref))
        verdict = "drifted" if same else "pending"
        fields = ", ".join(delta.field for delta in action.deltas)
        found.append(Finding(verdict, action.ref.host, action.ref.kind, action.ref.name, fields))
    found += [Finding("unseen", host, "", "", why) for host, why in sorted(plan.unreachable.items())]
    for ref, why in sorted(plan.unknown.items()):
        found.append(Finding("unseen", ref.host, ref.kind, ref.name, why))
    own = lifetimes(seen)
    for ref, until in sorted(expiries(seen).items()):
        lifetime = own.get(ref) or environment.lifetime_of(ref)
        if ref.host not in plan.unreachable and (until - now) * 100 < lifetime * environment.notices.expiring:
            detail = f"valid until {until.isoformat(timespec='minutes')}"
            found.append(Finding("expiring", ref.host, ref.kind, ref.name, detail))
    found += _brought_expiring(environment, plan, seen, now)
    return [acknowledge(each, environment.acknowledged, now) for each in found]


def _brought_expiring(
    environment: Environment, plan: Plan, seen: Mapping[Ref, Seen], now: datetime
) -> Iterable[Finding]:
    """The brought certificates that end within the days that each declares."""
    warn = {each.name: timedelta(days=each.warn) for each in environment.certificates}
    for ref, until in sorted(brought.ends(seen).items()):
        if ref.host not in plan.unreachable and until - now < warn.get(ref.name, timedelta()):
            detail = f"valid until {until.isoformat(timespec='minutes')}; nothing renews it: bring another"
            yield Finding("expiring", ref.host, ref.kind, ref.name, detail)


def acknowledge(finding: Finding, known: Iterable[Acknowledged], now: datetime) -> Finding:
    """The same, with who has acknowledged it, where somebody has and its last day is not over."""
    for each in known:
        end = last_moment(each)
        applies = each.host in (None, finding.host) and each.kind == finding.kind
        if (
            applies
            and each.name in (None, finding.name)
            and finding.verdict in ("drifted", "pending", "forecast")
            and now <= end
        ):
            why = f"{each.reason} ({each.owner}, until {each.until})"
            return replace(finding, acknowledged=why)
    return finding


def last_moment(known: Acknowledged) -> datetime:
    """When the last day is over on which it is accepted, in UTC."""
    return datetime.combine(date.fromisoformat(known.until), time.max, UTC)


@dataclass(frozen=True)
class Alert:
    """A finding that is open: since when, in how many looks, and when it was last told (None:
    never). Both times are aware."""

    finding: Finding
    since: datetime
    looks: int = 1
    notified: datetime | None = None


@dataclass(frozen=True)
class Changes:
    """What a look changes: what is new, still so, and over; and what people are notified of."""

    onset: Sequence[Finding]
    lasting: Sequence[Finding]
    recovered: Sequence[Alert]
    notify: Sequence[Finding]
    notify_recovered: Sequence[Alert]


def changes(
    environment: Environment, open_: Mapping[str, Alert], found: Sequence[Finding], now: datetime
) -> Changes:
    """Compares what is found with what was known.

    What cannot be seen now is not over: its alert stays open until somebody has looked.
    """
    notices = environment.notices
    current = {each.id: each for each in found if not each.acknowledged}
    hosts = {each.host for each in found if each.verdict == "unseen" and not each.kind}
    refs = {(each.host, each.kind, each.name) for each in found if each.verdict == "unseen" and each.kind}
    recovered = [
        alert
        for key, alert in open_.items()
        if key not in current and not _hidden(alert.finding, hosts, refs)
    ]
    notify = []
    for key, finding in current.items():
        known = open_.get(key)
        looks = known.looks + 1 if known else 1
        notified = known.notified if known else None
        again = notified is not None and notices.remind and now - notified >= timedelta(hours=notices.remind)
        if finding.verdict in notices.alert and looks >= notices.after and (notified is None or again):
            notify.append(finding)
    return Changes(
        onset=[each for key, each in current.items() if key not in open_],
        lasting=[each for key, each in current.items() if key in open_],
        recovered=recovered,
        notify=notify,
        notify_recovered=[alert for alert in recovered if alert.notified is not None],
    )


def _hidden(finding: Finding, hosts: set[str], refs: set[tuple[str, str, str]]) -> bool:
    return finding.host in hosts or (finding.host, finding.kind, finding.name) in refs
