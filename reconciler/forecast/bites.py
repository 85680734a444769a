"""Whether a rule bites an environment, and how it does here: the predicates of `rules`. Pure.

Each takes `ForecastFacts` and returns None where the rule does not concern the environment, else in words
what is concerned; with the day, where that is the environment's own and not the rule's. `NotKnown` passes
through them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date

from reconciler.environment.profiles import PROFILES
from reconciler.environment.rules import safe_gap
from reconciler.forecast.facts import ForecastFacts, NotKnown


@dataclass(frozen=True)
class Dated:
    """What is concerned here, and from which day on."""

    day: date
    text: str


Here = Callable[[ForecastFacts], str | Dated | None]


def _whose(facts: ForecastFacts, lets_encrypt: bool) -> bool:
    return facts.lets_encrypt if lets_encrypt else facts.other_public_ca


def lifetime_over(days: int, *, lets_encrypt: bool = True) -> Here:
    """The declared lifetime is longer than the CA then gives."""

    def here(facts: ForecastFacts) -> str | None:
        declared = facts.certificate.days
        if not _whose(facts, lets_encrypt) or declared <= days:
            return None
        return f"`certificate: lifetime` is {declared}"

    return here


def schedule_too_slow(days: int, *, lets_encrypt: bool = True) -> Here:
    """Cron tries too seldom to renew certificates of so many days; what is declared for shorter ones is
    an error of `validate` today."""

    def here(facts: ForecastFacts) -> str | None:
        if not _whose(facts, lets_encrypt):
            return None
        hours, most = facts.gap.total_seconds() / 3600, safe_gap(days)
        if hours <= most:
            return None
        schedule = facts.certificate.schedule
        return (
            f"`certificate: schedule` is `{schedule}`: up to {hours:.0f} hours between tries; {most} are safe"
        )

    return here


def many_names(facts: ForecastFacts) -> str | None:
    """More than one name has to be proven."""
    names = len(facts.environment.names)
    return f"the certificate has {names} names" if names > 1 else None


def lets_encrypt_names(facts: ForecastFacts) -> str | None:
    """Let's Encrypt has to be shown more than one name."""
    return many_names(facts) if facts.lets_encrypt else None


def other_ca_names(facts: ForecastFacts) -> str | None:
    """Another public CA has to be shown more than one name."""
    return many_names(facts) if facts.other_public_ca else None


def names_over(most: int, profile: str) -> Here:
    """The certificate has more names than a profile allows that is asked for."""

    def here(facts: ForecastFacts) -> str | None:
        names = len(facts.environment.names)
        if not facts.lets_encrypt or facts.profile != profile or names <= most:
            return None
        return f"the certificate has {names} names, and {facts.asked}"

    return here


def no_common_name(facts: ForecastFacts) -> str | None:
    """The profile that is asked for has no common name."""
    known = PROFILES.get(facts.profile)
    if not facts.lets_encrypt or known is None or known.common_name:
        return None
    return (
        facts.asked if facts.certificate.profile else f"{facts.asked}: that takes the profile {facts.profile}"
    )


def profile_is_lost(facts: ForecastFacts) -> str | None:
    """A lifetime takes a profile that nothing here asks for, and certbot does not keep it for renewals."""
    asked = None if facts.certificate.profile else no_common_name(facts)
    if asked is None or (version := facts.certbot) >= (4, 1):
        return None
    return f"{asked}, and certbot is {version[0]}.{version[1]}"


def profile_not_asked(facts: ForecastFacts) -> str | None:
    """A profile is declared, and certbot cannot ask for one, so that nothing is ordered."""
    declared = facts.environment.owns_certificate and facts.certificate.profile
    if not declared or (version := facts.certbot) >= (4, 0):
        return None
    return f"{facts.asked}, and certbot is {version[0]}.{version[1]}"


def thirty_days_before(days: int) -> Here:
    """Certbot renews 30 days before the end, whatever the lifetime."""

    def here(facts: ForecastFacts) -> str | None:
        if not facts.lets_encrypt or (version := facts.certbot) >= (4, 0):
            return None
        return f"certbot is {version[0]}.{version[1]}: it renews every {days - 30} days"

    return here


def renewed_each_try(facts: ForecastFacts) -> str | None:
    """Certbot renews at each try, since no certificate lives for 30 days."""
    lifetime = facts.certificate.days
    if not facts.lets_encrypt or lifetime > 30 or (version := facts.certbot) >= (4, 0):
        return None
    return f"certbot is {version[0]}.{version[1]}, and {facts.asked}"


LAST_CLIENT_AUTH = date(2026, 10, 6)
"""When the last certificate of Let's Encrypt's ended that was for clients too: 90 days after 2026-07-08."""


def has_client_auth(*, lets_encrypt: bool) -> Here:
    """The certificate in use may be used by clients."""

    def here(facts: ForecastFacts) -> str | None:
        if lets_encrypt and facts.now.date() > LAST_CLIENT_AUTH:
            return None
        if not _whose(facts, lets_encrypt) or "clientAuth" not in facts.seen("usages").split():
            return None
        return "the certificate in use still is one for clients too"

    return here


def pins(names: Collection[str]) -> Here:
    """One of these intermediates is in the file of `certificate: roots`."""

    def here(facts: ForecastFacts) -> str | None:
        found = [name for name, _ in facts.roots if name in names]
        return f"`certificate: roots` holds {', '.join(found)}" if facts.lets_encrypt and found else None

    return here


def hangs_on(root: str, successors: Collection[str]) -> Here:
    """Trust hangs on one root alone: the declared ones, else the chain in use."""

    def here(facts: ForecastFacts) -> str | None:
        if not facts.lets_encrypt:
            return None
        if declared := {name for name, _ in facts.roots}:
            if root not in declared or declared & set(successors):
                return None
            return f"`certificate: roots` holds {root}, and none of {', '.join(successors)}"
        return f"the chain in use leads to {root}" if facts.seen("anchor") == root else None

    return here


def root_ends(facts: ForecastFacts) -> Dated | None:
    """A certificate in the file of `certificate: roots` ends."""
    ends = sorted((end.date(), name) for name, end in facts.roots)
    if not ends:
        return None
    return Dated(ends[0][0], f"{ends[0][1] or 'one without a name'} in `certificate: roots` ends")


def rsa_below(bits: int | None) -> Here:
    """The key is RSA of fewer bits than that; None: of any size."""

    def here(facts: ForecastFacts) -> str | None:
        size = facts.certificate.key_size
        is_rsa = facts.environment.owns_certificate and facts.certificate.key_type == "rsa"
        if not is_rsa or (bits is not None and size >= bits):
            return None
        more = ", and the portal signs its tokens with it" if facts.environment.services.portal else ""
        return f"the key is RSA {size}{more}"

    return here


def waits_too_long(facts: ForecastFacts) -> str | None:
    """A rollout waits for hosts for longer than a renewed certificate of 45 days leaves."""
    left = max(0, round(45 * 24 * (1 / 3 - facts.certificate.overdue / 100)))
    hours = facts.certificate.wait_for_hosts
    if not facts.lets_encrypt or hours <= left:
        return None
    return f"`certificate: wait_for_hosts` is {hours}, and only {left} hours are left until it is overdue"


def people_sign_renewals(facts: ForecastFacts) -> str | None:
    """Each renewal waits for people."""
    policy = facts.environment.policy
    if not facts.lets_encrypt or not policy.approvers or "renewal" in policy.without_approval:
        return None
    return f"`policy: approvers` is {policy.approvers}, and `without_approval` has no `renewal`"


def restarts_tomcat(facts: ForecastFacts) -> str | None:
    """Tomcat is restarted for each renewal."""
    tls = facts.environment.services.tomcat_tls
    if not facts.lets_encrypt or not facts.environment.services.tomcat or tls is None or tls.reload:
        return None
    return "`services: tomcat_tls` has no `reload`: each renewal restarts Tomcat on every host"


def nobody_is_told(facts: ForecastFacts) -> str | None:
    """Nobody hears of a renewal that does not come."""
    notices = facts.environment.notices
    named = notices.mail or notices.webhooks or notices.apprise or notices.heartbeat
    if not facts.lets_encrypt or named:
        return None
    return "`notices:` names nobody"


def brought_ends(facts: ForecastFacts) -> Dated | None:
    """A brought certificate ends. Raises `NotKnown`."""
    if not facts.brought:
        return None
    known = sorted((end.date(), name) for name, end in facts.brought.items() if end)
    unknown = [name for name, end in facts.brought.items() if not end]
    if not known:
        raise NotKnown(f"until when these of `certificates` are valid: {', '.join(unknown)}")
    told = [f"{name} ends on {day}" for day, name in known] + [f"{name} is not known" for name in unknown]
    return Dated(known[0][0], f"of `certificates`, {', '.join(told)}")


def renewal_is_missing(facts: ForecastFacts) -> Dated | None:
    """The certificate in use should have been renewed, and was not."""
    if not facts.environment.owns_certificate:
        return None
    end, renewal = facts.times()
    if facts.now < renewal + 2 * facts.gap:
        return None
    return Dated(end.date(), f"its renewal was due about {renewal:%Y-%m-%d}, and nothing newer was seen")


def acknowledged_ends(facts: ForecastFacts) -> Dated | None:
    """Drift is acknowledged until a day."""
    days = sorted((each.until, each.kind, each.owner) for each in facts.environment.acknowledged)
    coming = [each for each in days if each[0] >= f"{facts.now:%Y-%m-%d}"]
    if not coming:
        return None
    until, kind, owner = coming[0]
    return Dated(date.fromisoformat(until), f"drift of {kind} is acknowledged until then ({owner})")


def _major(version: str) -> float:
    return float(".".join(version.split(".")[:2]))


def ends(program: str, days: Mapping[str, str]) -> Here:
    """The declared version of a service gets no more fixes from a day on; the newest are in no table yet."""

    def here(facts: ForecastFacts) -> Dated | None:
        declared: str | None = getattr(facts.environment.services, program)
        if not facts.environment.blueprint or declared is None or declared not in days:
            return None
        return Dated(date.fromisoformat(days[declared]), f"`services: {program}` is {declared}")

    return here


def postgresql_restarts(facts: ForecastFacts) -> str | None:
    """PostgreSQL cannot load another certificate while it runs."""
    version = facts.environment.services.postgresql
    if not facts.lets_encrypt or version is None or _major(version) >= 10:
        return None
    return f"`services: postgresql` is {version}"


def postgresql_sni(facts: ForecastFacts) -> str | None:
    """PostgreSQL may take its certificates from another file."""
    version = facts.environment.services.postgresql
    if not facts.environment.owns_certificate or version is None or _major(version) < 19:
        return None
    return f"`services: postgresql` is {version}"
