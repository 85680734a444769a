"""The journal's entries as events of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from reconciler.journal.journal import JournalEntry
from reconciler.kinds.certificate.serving import Serving
from reconciler.output.html.facts import Event
from reconciler.output.text import many
from reconciler.tls.status import ServiceStatus

ENDED = {None: "lost: it was interrupted", 0: "done", 2: "done; the rest is waiting", 6: "stale", 7: "locked"}


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
        return Event(at, f"Run {first.run}: {body['command']}", detail, result)
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
