"""From look to look: what has drifted since when, and who has been notified. Writes the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from reconciler.environment.settings import Environment
from reconciler.journal.journal import Journal
from reconciler.journal.team import TeamJournal
from reconciler.model import Observation, Plan, Ref, Seen
from reconciler.monitor import coming, delivery, findings, notices, status
from reconciler.monitor.findings import Alert, Finding

APPROVAL = "approval"
"""Under this id the digest of the plan is kept that people were asked to approve."""


def settled_wants(plan: Plan) -> dict[Ref, str]:
    """What is as desired, with the digest of what is desired of it."""
    open_ = {action.ref for action in plan.actions}
    return {ref: findings.want_digest(want) for ref, want in plan.wants.items() if ref not in open_}


def remember(journal: Journal, environment: Environment, plan: Plan) -> None:
    """Keeps what was seen to be as desired, so that a later look can tell drift from what was
    never applied. Raises `NoJournal`."""
    known, wants = journal.settled(environment.name), settled_wants(plan)
    TeamJournal(journal).seen_here(environment.name, wants)
    news = {ref: want_digest for ref, want_digest in wants.items() if known.get(str(ref)) != want_digest}
    if news:
        journal.settle(environment.name, news)


def assess(journal: Journal, environment: Environment, plan: Plan, seen: Mapping[Ref, Seen]) -> list[Finding]:
    """What a look finds, in the light of what earlier ones have seen. Raises `NoJournal`."""
    remember(journal, environment, plan)
    settled = known_settled(journal, environment, plan)
    return findings.findings(environment, plan, seen, settled, journal.clock())


def known_settled(journal: Journal, environment: Environment, plan: Plan) -> dict[str, str]:
    """By ref, the digest of what was desired when a resource was last as desired: seen so here, or settled by
    a run elsewhere since. Raises `NoJournal`."""
    elsewhere = TeamJournal(journal).settled(
        environment.name, plan.wants, lambda ref: findings.want_digest(plan.wants[ref])
    )
    return {**journal.settled(environment.name), **elsewhere}


def keep_look(
    journal: Journal,
    environment: Environment,
    found: Sequence[Finding],
    observation: Observation,
    entry: int | None = None,
) -> None:
    """Keeps what a look at the whole environment has found, for `status`. `entry` is the newest entry of
    the journal when it began; None: there is none since. Raises `NoJournal`."""
    before = status.look_from(journal.last_look(environment.name))
    told = TeamJournal(journal).newest()
    body = status.look_body(environment, found, observation, before, journal.clock(), told)
    journal.keep_look(environment.name, journal.head()[0] if entry is None else entry, body)


def to_come(journal: Journal, environment: Environment) -> list[Finding]:
    """The dated rules that bite within `notices: forecast` days, by the last look that is kept. Raises
    `NoJournal`."""
    return coming.findings_to_come(
        environment, status.look_from(journal.last_look(environment.name)), journal.clock()
    )


def watch(journal: Journal, environment: Environment, found: Sequence[Finding]) -> dict[str, datetime]:
    """Records what began and what is over, and puts notices of it into the outbox.

    Returns since when each finding has been open, by its id. Raises `NoJournal`.
    """
    at, kept = journal.clock(), journal.alerts(environment.name)
    open_ = dict(_known(kept))
    changes = findings.changes(environment, open_, found, at)
    news = [("onset", finding.document()) for finding in changes.onset]
    for alert in changes.recovered:
        since = alert.since.isoformat(timespec="seconds")
        news.append(("recovery", {**alert.finding.document(), "since": since}))
    if news:
        journal.append_all(0, environment.name, news)
    over = {alert.finding.id for alert in changes.recovered}
    notified = {finding.id for finding in changes.notify}
    alerts = {key: alert for key, alert in open_.items() if key not in over}
    for finding in (*changes.onset, *changes.lasting):
        old = open_.get(finding.id)
        alerts[finding.id] = Alert(
            finding,
            since=old.since if old else at,
            looks=old.looks + 1 if old else 1,
            notified=at if finding.id in notified else old.notified if old else None,
        )
    if changes.notify:
        delivery.post(journal, environment, notices.alert(environment, changes.notify))
    if changes.notify_recovered:
        delivery.post(journal, environment, notices.recovery(environment, changes.notify_recovered))
    bodies = {key: _body(alert) for key, alert in alerts.items()}
    if APPROVAL in kept:
        bodies[APPROVAL] = kept[APPROVAL]
    journal.keep_alerts(environment.name, bodies)
    return {key: alert.since for key, alert in alerts.items()}


def open_since(journal: Journal, environment: Environment) -> dict[str, datetime]:
    """Since when each finding has been open, by its id. Raises `NoJournal`."""
    return {key: alert.since for key, alert in _known(journal.alerts(environment.name))}


def ask_for_approval(
    journal: Journal,
    environment: Environment,
    document: dict[str, Any] | None,
    lines: Sequence[str],
    why: Sequence[str],
) -> None:
    """Notifies once that a plan waits for approval; `document` is the plan's, None where none
    waits any more. Raises `NoJournal`."""
    kept = journal.alerts(environment.name)
    before = kept.pop(APPROVAL, {}).get("digest")
    if document is not None:
        kept[APPROVAL] = {"digest": document["changes"]}
        if document["changes"] != before:
            delivery.post(journal, environment, notices.approval(environment, document, lines, why))
    journal.keep_alerts(environment.name, kept)


def deliver(journal: Journal, environment: Environment, say: Callable[[str], None]) -> None:
    """Sends what is in the outbox, and the heartbeat. Raises nothing: `say` gets the failures."""
    delivery.flush(journal, environment, say)
    delivery.ping_heartbeat(environment.notices, say)


def _body(alert: Alert) -> dict[str, Any]:
    return {
        **alert.finding.document(),
        "since": alert.since.isoformat(timespec="seconds"),
        "looks": alert.looks,
        "told": alert.notified.isoformat(timespec="seconds") if alert.notified else None,
    }


def _known(kept: Mapping[str, Any]) -> Iterator[tuple[str, Alert]]:
    """The alerts in the journal; one that cannot be read is left out, and begins anew."""
    for key, body in kept.items():
        with suppress(LookupError, TypeError, ValueError):
            if key != APPROVAL:
                yield key, _alert(body)


def _alert(body: Mapping[str, Any]) -> Alert:
    finding = Finding(*(body[name] for name in ("verdict", "host", "kind", "name", "detail")))
    notified = datetime.fromisoformat(body["told"]) if body["told"] else None
    return Alert(finding, datetime.fromisoformat(body["since"]), body["looks"], notified)
