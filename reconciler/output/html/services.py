"""Hosts × services: what each serves, and how long that is good for. What is the same is one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from reconciler.monitor import severity
from reconciler.output.html.facts import Facts
from reconciler.output.html.text import badge, clock, code, day, days, esc, meter, section, table
from reconciler.output.overview import brought_words
from reconciler.output.text import many
from reconciler.tls.status import ServiceStatus
from reconciler.tls.verify import INSIDE, Check


def certificates(facts: Facts) -> str:
    """Every release that is in use somewhere: its names, its dates, and by how many services."""
    users: dict[str, list[ServiceStatus]] = {}
    for each in facts.served:
        if each.release:
            users.setdefault(each.release, []).append(each)
    if not users:
        return ""
    rows = [
        [
            f'<span id="release-{esc(release)}">{code(release)}</span>'
            + ("" if group[0].own else f" {badge('note', 'not of this environment')}"),
            '<ul class="names">' + "".join(f"<li>{esc(name)}</li>" for name in group[0].names) + "</ul>",
            day(group[0].begin) if group[0].begin else "not known",
            bar(facts, group[0]) if group[0].own else f"until {day(group[0].end)}" if group[0].end else "–",
            f"{many(len(group), 'service')} on {many(len({each.host for each in group}), 'host')}",
        ]
        for release, group in sorted(users.items(), key=lambda item: not item[1][0].own)
    ]
    columns = ("Release", "Names", "Issued", "Left", "Served by")
    note = "A release is one certificate with its chain. More than one in use means a rollout is not over."
    return section(
        "certificates", "Certificates in use", [table("Certificates in use", columns, [(None, rows)])], note
    )


def brought(facts: Facts) -> str:
    """The certificates that somebody brings: until when each is valid, on the host where it ends first."""
    rows = [
        [
            f"<strong>{esc(each.name)}</strong>",
            clock(each.end) if each.end else "not known",
            badge(severity.of_certificate(each, facts.when), brought_words(each, facts.when)),
        ]
        for each in facts.status.brought
        if not each.ordered
    ]
    if not rows:
        return ""
    shown = table("Brought certificates", ("Certificate", "Valid until", "State"), [(None, rows)])
    return section(
        "brought", "Brought certificates", [shown], "Nothing renews these: somebody brings another."
    )


def services(facts: Facts) -> str:
    """The table of hosts and services; where the certificate is not managed, only of hosts."""
    if not facts.served:
        why = (
            "The certificate of this environment is not managed here, so nothing is known of what is served."
        )
        rows = [
            [f"<strong>{esc(host)}</strong>{_note(facts, host)}", _host(facts, host)]
            for host in facts.plan.hosts
        ]
        hosts = [table("Hosts", ("Host", "State"), [(None, rows)])] if rows else []
        return section("services", "Hosts", [f'<p class="empty">{why}</p>', *hosts])
    # Hosts of which the same is to be said stand together.
    alike: dict[object, list[str]] = {}
    told: dict[object, tuple[str, list[list[str]]]] = {}
    for host in dict.fromkeys(each.host for each in facts.served):
        about, lines = f"{_host(facts, host)}{_note(facts, host)}", list(_rows(facts, host))
        key = (about, tuple(map(tuple, lines)))
        alike.setdefault(key, []).append(host)
        told[key] = about, lines
    groups = [
        (f"<span>{', '.join(map(esc, alike[key]))}</span> {about}", lines)
        for key, (about, lines) in told.items()
    ]
    columns = ("Service", "Serves", "Valid until", "Left", "State")
    return section(
        "services",
        "Services",
        [table("What each service serves", columns, groups)],
        "What every service presents in a handshake that was completed, under every name.",
    )


def _host(facts: Facts, host: str) -> str:
    pending = sum(action.ref.host == host for action in facts.waiting)
    if host in facts.plan.unreachable:
        return badge(severity.WARN, "could not be looked at")
    if pending:
        return badge(severity.WARN, f"{many(pending, 'action')} pending")
    if any(ref.host == host for ref in facts.plan.unknown):
        return badge(severity.WARN, "checked partially")
    if known := sum(ref.host == host for ref in facts.acknowledged):
        return badge(severity.OK, f"{known} acknowledged")
    return badge(severity.OK, "as declared")


def _note(facts: Facts, host: str) -> str:
    warning = facts.warnings.get(host)
    return f' <span class="dim">looked without root: {esc(warning)}</span>' if warning else ""


def _rows(facts: Facts, host: str) -> Iterable[list[str]]:
    """Services of a host that serve the same are one row."""

    def same(each: ServiceStatus) -> tuple[object, ...]:
        return each.detail, each.release, each.end, each.as_wanted, each.own

    groups: dict[tuple[object, ...], list[ServiceStatus]] = {}
    for each in facts.served:
        if each.host == host:
            groups.setdefault(same(each), []).append(each)
    for group in groups.values():
        yield _row(facts, group)


def _row(facts: Facts, group: Sequence[ServiceStatus]) -> list[str]:
    first = group[0]
    shown = (
        f'<a href="#release-{esc(first.release)}">{code(first.release)}</a>'
        if first.release
        else f'<span class="detail">{esc(first.detail)}</span>'
    )
    if first.end and not first.own:
        shown += ' <span class="dim">not a certificate of this environment</span>'
    named = (
        f'<li><strong>{esc(each.service)}</strong> <span class="dim">on {each.port}</span></li>'
        for each in group
    )
    return [
        f'<ul class="names">{"".join(named)}</ul>',
        shown,
        clock(first.end) if first.end and first.own else "–",
        bar(facts, first) if first.end and first.own else "–",
        badge(*severity.of_service(first, facts.issued)),
    ]


def bar(facts: Facts, each: ServiceStatus) -> str:
    """The days that are left, as a part of the certificate's lifetime."""
    if each.end is None:
        return ""
    left = facts.left(each)
    if left.total_seconds() < 0:
        text = f"expired {days(-left)} days ago"
    elif each.begin is None:
        text = f"{days(left)} days"
    else:
        text = f"{days(left)} of {days(each.end - each.begin)} days"
    return meter(facts.tone(each), facts.fraction(each), text)


def outside(facts: Facts) -> str:
    """What was asked from where the page was made, as a client would."""
    checks = facts.checks
    if checks is None:
        return ""
    wrong = [each for each in checks if each.verdict != "ok"]
    all_well = f"{many(len(checks), 'check')}, all as desired"
    parts = [] if wrong else [f"<p>{badge(severity.OK, all_well)}</p>"]
    if wrong:
        parts.append(_checks(facts, "Checks that are not as desired", wrong))
    good = [each for each in checks if each.verdict == "ok"]
    if good:
        summary = f"{many(len(good), 'check')} as desired"
        table_of_good = _checks(facts, "Checks that are as desired", good)
        parts.append(f"<details><summary>{summary}</summary>{table_of_good}</details>")
    note = "Every host, service and name, asked as a client asks, from outside and from the host itself."
    return section("checks", "Checks", parts, note)


def _checks(facts: Facts, label: str, checks: Sequence[Check]) -> str:
    """Checks with one result are one row, with what they asked."""

    def same(each: Check) -> tuple[str, ...]:
        _, words = facts.judged(each)
        return words, each.detail, each.seen_from

    rows = []
    for (words, detail, seen_from), alike in groupby(sorted(checks, key=same), same):
        group = list(alike)
        tone, _ = facts.judged(group[0])
        asked = dict.fromkeys(f"{each.endpoint.service} on {each.endpoint.port}" for each in group)
        rows.append(
            [
                badge(tone, words),
                f'<span class="detail">{esc(detail)}</span>',
                ", ".join(map(esc, asked)),
                _hosts(facts, dict.fromkeys(each.endpoint.host for each in group)),
                _names(seen_from, dict.fromkeys(each.endpoint.name or "without a name" for each in group)),
            ]
        )
    return table(label, ("Verdict", "Detail", "Services", "Hosts", "Asked"), [(None, rows)])


def _hosts(facts: Facts, hosts: Iterable[str]) -> str:
    return ", ".join(esc(facts.short.get(host, host)) for host in hosts)


def _names(seen_from: str, names: Iterable[str]) -> str:
    if seen_from == INSIDE:
        return esc(seen_from)
    every = list(names)
    if len(every) == 1:
        return esc(every[0])
    items = "".join(f"<li>{esc(each)}</li>" for each in every)
    return f'<details><summary>{many(len(every), "name")}</summary><ul class="names">{items}</ul></details>'
