"""Hosts × services: what each serves, and how long that is good for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.output.html.facts import Facts
from reconciler.output.html.text import badge, clock, code, day, days, esc, section, table
from reconciler.output.text import many
from reconciler.tls.status import ServiceStatus
from reconciler.tls.verify import Check

VERDICTS = {"ok": "ok", "wrong": "bad", "unknown": "warn"}


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
            f'<span id="release-{esc(release)}">{code(release)}</span>',
            '<ul class="names">' + "".join(f"<li>{esc(name)}</li>" for name in group[0].names) + "</ul>",
            day(group[0].begin) if group[0].begin else "not known",
            bar(facts, group[0]),
            f"{many(len(group), 'service')} on {many(len({each.host for each in group}), 'host')}",
        ]
        for release, group in users.items()
    ]
    columns = ("Release", "Names", "Issued", "Left", "Served by")
    note = "A release is one certificate with its chain. More than one in use means a rollout is not over."
    return section(
        "certificates", "Certificates in use", [table("Certificates in use", columns, [(None, rows)])], note
    )


def services(facts: Facts) -> str:
    """The table of hosts and services."""
    if not facts.served:
        why = (
            "The certificate of this environment is not managed here, so nothing is known of what is served."
        )
        return section("services", "Services", [f'<p class="empty">{why}</p>'])
    hosts = list(dict.fromkeys(each.host for each in facts.served))
    groups = [
        (_host(facts, host), [_row(facts, e) for e in facts.served if e.host == host]) for host in hosts
    ]
    columns = ("Service", "Serves", "Valid until", "Left", "State")
    return section(
        "services",
        "Services",
        [table("What each service serves", columns, groups)],
        "What every service presents in a handshake that was completed, under every name.",
    )


def _host(facts: Facts, host: str) -> str:
    pending = sum(action.ref.host == host for action in facts.plan.actions)
    if host in facts.plan.unreachable:
        state = badge("warn", "could not be looked at")
    elif pending:
        state = badge("warn", f"{many(pending, 'action')} pending")
    elif any(ref.host == host for ref in facts.plan.unknown):
        state = badge("warn", "checked partially")
    else:
        state = badge("ok", "as declared")
    warning = facts.warnings.get(host)
    without_root = f' <span class="dim">looked without root: {esc(warning)}</span>' if warning else ""
    return f"<span>{esc(host)}</span> {state}{without_root}"


def _row(facts: Facts, each: ServiceStatus) -> list[str]:
    shown = (
        f'<a href="#release-{esc(each.release)}">{code(each.release)}</a>'
        if each.release
        else f'<span class="detail">{esc(each.detail)}</span>'
    )
    state = {True: ("ok", "as desired"), False: ("bad", "not as desired"), None: ("warn", "not known")}
    return [
        f'<strong>{esc(each.service)}</strong> <span class="dim">on {each.port}</span>',
        shown,
        clock(each.end) if each.end else "–",
        bar(facts, each) if each.end else "–",
        badge(*state[each.as_wanted]),
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
    return (
        f'<span class="left"><span class="bar {facts.tone(each)}" aria-hidden="true">'
        f'<i style="width:{100 * facts.fraction(each):.0f}%"></i></span> {text}</span>'
    )


def outside(facts: Facts) -> str:
    """What was asked from where the page was made, as a client would."""
    checks = facts.checks
    if checks is None:
        return ""
    wrong = [each for each in checks if each.verdict != "ok"]
    all_well = f"{many(len(checks), 'check')}, all as desired"
    parts = [] if wrong else [f"<p>{badge('ok', all_well)}</p>"]
    if wrong:
        parts.append(_checks("Checks that are not as desired", wrong))
    good = [each for each in checks if each.verdict == "ok"]
    if good:
        summary = f"{many(len(good), 'check')} as desired"
        parts.append(
            f"<details><summary>{summary}</summary>{_checks('Checks that are as desired', good)}</details>"
        )
    note = "Every host, service and name, asked as a client asks, from outside and from the host itself."
    return section("checks", "Checks", parts, note)


def _checks(label: str, checks: Sequence[Check]) -> str:
    rows: Iterable[list[str]] = (
        [
            esc(each.endpoint.host),
            f"{esc(each.endpoint.service)} on {each.endpoint.port}",
            esc(each.endpoint.name or "without a name" if each.seen_from == "outside" else each.seen_from),
            badge(VERDICTS[each.verdict], each.verdict),
            f'<span class="detail">{esc(each.detail)}</span>',
        ]
        for each in checks
    )
    return table(label, ("Host", "Service", "Name", "Verdict", "Detail"), [(None, rows)])
