"""A look and what the journal has, as the facts of the page; the journal's entries as its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from reconciler.environment.settings import Environment
from reconciler.journal.journal import JournalEntry
from reconciler.kinds.certificate.serving import Serving
from reconciler.model import Observation, Plan
from reconciler.monitor.findings import findings
from reconciler.monitor.status import (
    UNCHANGED,
    LastRun,
    Look,
    environment_status,
    look_body,
    look_from,
)
from reconciler.output.html.facts import Event, Facts, Frame
from reconciler.output.text import many
from reconciler.tls.status import ServiceStatus, from_observation
from reconciler.tls.verify import Check, is_issued

ENDED = {None: "lost: it was interrupted", 0: "done", 2: "done; the rest is waiting", 6: "stale", 7: "locked"}


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the journal has of an environment; nothing where there is none. `settled` as `findings` takes it,
    `since` when each finding began, by its id; `look` is the last one at all of it."""

    entries: Sequence[JournalEntry] = ()
    settled: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, datetime] = field(default_factory=dict)
    look: Look | None = None
    run: LastRun | None = None


def facts_from(
    environment: Environment,
    plan: Plan,
    observation: Observation,
    kept: Kept,
    frame: Frame,
    *,
    checks: Sequence[Check] | None = None,
    source: str | None = None,
    overview: str | None = None,
) -> Facts:
    """The facts of a page about a look; its state is what `status` would say right after it."""
    now = frame.made
    served = from_observation(environment, observation)
    found = findings(environment, plan, observation.seen, kept.settled, now)
    # A saved observation may be older than the last look, which knows nothing of that moment.
    before = kept.look if kept.look and kept.look.at <= now else None
    body = look_body(environment, found, observation, before, now)
    look = look_from((now.isoformat(), 0, body))
    return Facts(
        frame=frame,
        status=environment_status(environment, look, kept.run, (), now=now, oldest=timedelta.max),
        plan=plan,
        issued=is_issued(environment, observation),
        served=served,
        checks=checks,
        findings=found,
        since=kept.since,
        events=(*events(kept.entries), *renewals(each for each in served if each.own)),
        warnings=observation.warnings,
        source=source,
        overview=overview,
    )


def renewals(served: Iterable[ServiceStatus]) -> tuple[Event, ...]:
    """When each certificate that is served was issued, as it says itself (a CA may date it back an hour)."""
    groups: dict[tuple[datetime, str], list[ServiceStatus]] = {}
    for each in served:
        if each.begin and each.release:
            groups.setdefault((each.begin, each.release), []).append(each)
    return tuple(
        Event(at, "Certificate", f"{release}, served by {many(len(group), 'service')} now", "issued")
        for (at, release), group in sorted(groups.items())
    )


def events(entries: Sequence[JournalEntry]) -> tuple[Event, ...]:
    """Runs and findings; the findings of one look with the same verdict are one event."""
    ends = {each.run: each.body for each in entries if each.what == "end"}
    shown = (each for each in entries if each.what != "end")
    groups = groupby(shown, lambda e: (e.at, e.what, e.body.get("verdict"), e.run))
    return tuple(_event(list(group), ends) for _, group in groups)


def _event(group: list[JournalEntry], ends: Mapping[int, object]) -> Event:
    first, at = group[0], datetime.fromisoformat(group[0].at)
    body = first.body
    if first.what == "begin":
        end = ends.get(first.run)
        code = end["code"] if isinstance(end, Mapping) else None
        result = "running" if end is None else ENDED.get(code, f"failed: it ended with {code}")
        approved = f"; approved by {', '.join(body['approvers'])}" if body["approvers"] else ""
        who = str(body["who"]).partition(" (")[0]  # its process and since when are for a lock
        highlights = "".join(f"; {part}" for part in _highlights(end)) if isinstance(end, Mapping) else ""
        detail = f"{many(body['actions'], 'action')}, {who}{approved}{highlights}"
        return Event(at, f"Run {first.run}: {body['command']}", detail, result, idle=code in UNCHANGED)
    if first.what == "refused":
        return Event(at, "Refused", "; ".join(body["reasons"]), "not approved")
    named = [f"{each.body['host']} {each.body['kind']} {each.body['name']}".strip() for each in group]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    result = (
        "recovered" if first.what == "recovery" else "drift" if body["verdict"] == "drifted" else "changes"
    )
    return Event(at, str(body["verdict"]).capitalize(), f"{', '.join(named[:3])}{more}", result)


def _highlights(end: Mapping[str, Any]) -> Iterable[str]:
    """The parts of a run that matter most: where the certificate was switched, and what failed."""
    outcomes = end.get("outcomes", ())
    switched = [o["host"] for o in outcomes if (o["kind"], o["result"]) == (Serving.kind, "done")]
    if switched:
        yield f"certificate switched on {many(len(switched), 'host')}"
    for each in outcomes:
        if each["result"] in ("failed", "unsettled", "lost"):
            yield f"{each['result']}: {each['host']} {each['kind']} {each['name']}: {each['detail']}"
