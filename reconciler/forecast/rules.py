"""The dated rules, as data: from when on each holds, who says so, what it means and what to do. Pure.

What a page says since the day on which it was read is not known here. The table in docs/forecast.md is made
of this. A rule is one entry, and its predicate in `bites`, if none does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from reconciler.forecast import bites
from reconciler.forecast.bites import Here
from reconciler.forecast.sources import (
    BR,
    CERTBOT,
    CHROME,
    CLASSIC_45,
    CLASSIC_64,
    END,
    GEN_2024,
    GEN_Y,
    LE_45,
    LE_CHAINS,
    LE_FEATURES,
    LE_PROFILES,
    NIST,
    POSTGRESQL,
    POSTGRESQL_ENDS,
    TOMCAT,
    TOMCAT_ENDS,
    Source,
)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One dated rule. `begins` is None where each environment has its own day."""

    id: str
    begins: date | None
    source: Source
    what: str
    do: str
    here: Here


RULES: Sequence[Rule] = (
    Rule(
        id="certbot-no-profile",
        begins=date(2025, 4, 7),
        what="certbot before 4.0 cannot ask for a profile, so nothing is ordered",
        do="install certbot 4.0 or newer on the primary, or take `certificate: profile` out",
        here=bites.profile_not_asked,
        source=CERTBOT,
    ),
    Rule(
        id="le-mails-ended",
        begins=date(2025, 6, 4),
        what="Let's Encrypt no longer warns by mail of a certificate that ends",
        do=(
            "name somebody under `notices:` (`mail`, `webhooks`, `apprise` or `heartbeat`), and run "
            "`drift` from cron"
        ),
        here=bites.nobody_is_told,
        source=LE_FEATURES,
    ),
    Rule(
        id="certbot-loses-profile",
        begins=date(2025, 6, 10),
        what="certbot before 4.1 forgets at each renewal which profile was asked for",
        do="name it under `certificate: profile`: each renewal asks for it then",
        here=bites.profile_is_lost,
        source=CERTBOT,
    ),
    Rule(
        id="certbot-renews-each-try",
        begins=date(2026, 1, 15),
        what=(
            "certbot before 4.0 renews 30 days before the end: a certificate that lives shorter is "
            "ordered at each try, until Let's Encrypt's limit of 5 a week"
        ),
        do="install certbot 4.1 or newer on the primary before certificates get that short",
        here=bites.renewed_each_try,
        source=CERTBOT,
    ),
    Rule(
        id="le-shortlived-names",
        begins=date(2026, 1, 15),
        what="Let's Encrypt's certificates of 6 days carry at most 25 names",
        do="take names out of `certificate: names`, or ask for longer lifetimes",
        here=bites.names_over(25, "shortlived"),
        source=LE_PROFILES,
    ),
    Rule(
        id="le-no-common-name",
        begins=date(2026, 1, 15),
        what="Let's Encrypt's profiles `shortlived` and `tlsserver` have no common name",
        do=(
            "make sure that nothing reads the subject: monitoring, keystore aliases, scripts; names "
            "are in the SAN"
        ),
        here=bites.no_common_name,
        source=LE_PROFILES,
    ),
    Rule(
        id="le-client-auth",
        begins=date(2026, 2, 11),
        what="Let's Encrypt's certificates are for servers alone; none may be used by a client any more",
        do="give what logs in with this certificate as a client one of a private CA, before the next renewal",
        here=bites.has_client_auth(lets_encrypt=True),
        source=LE_FEATURES,
    ),
    Rule(
        id="br-200-days",
        begins=date(2026, 3, 15),
        what="public CAs issue for at most 200 days",
        do="set `certificate: lifetime` to what the CA gives",
        here=bites.lifetime_over(200, lets_encrypt=False),
        source=BR,
    ),
    Rule(
        id="postgresql-sni",
        begins=date(2026, 3, 18),
        what=(
            "PostgreSQL 19 can choose certificates by name: with `ssl_sni` on, pg_hosts.conf counts, "
            "and no longer `ssl_cert_file`"
        ),
        do="leave `ssl_sni` off, or name the same files in pg_hosts.conf",
        here=bites.postgresql_sni,
        source=Source("https://github.com/postgres/postgres/commit/4f433025f6", date(2026, 11, 26)),
    ),
    Rule(
        id="le-tlsserver-names",
        begins=date(2026, 5, 13),
        what="Let's Encrypt's profile `tlsserver`, of 45 days, carries at most 25 names",
        do="take names out of `certificate: names`, or stay with the default profile",
        here=bites.names_over(25, "tlsserver"),
        source=LE_PROFILES,
    ),
    Rule(
        id="le-64-days",
        begins=CLASSIC_64,
        what=(
            "Let's Encrypt's certificates are valid for 64 days; thresholds are fractions of the "
            "declared lifetime"
        ),
        do="set `certificate: lifetime` to 64 once the first of them is in use",
        here=bites.lifetime_over(64),
        source=LE_45,
    ),
    Rule(
        id="schedule-64-days",
        begins=CLASSIC_64,
        what="cron has to try more often for certificates of 64 days",
        do="let `certificate: schedule` try twice a day, as by default",
        here=bites.schedule_too_slow(64),
        source=LE_45,
    ),
    Rule(
        id="certbot-64-days",
        begins=CLASSIC_64,
        what="certbot before 4.0 renews 30 days before the end, so a certificate of 64 days is used for 34",
        do="install certbot 4.1 or newer on the primary",
        here=bites.thirty_days_before(64),
        source=CERTBOT,
    ),
    Rule(
        id="approval-each-renewal",
        begins=CLASSIC_64,
        what="certificates of 64 days are renewed every six weeks, those of 45 every month",
        do="let renewals run by themselves: `policy: without_approval` with `renewal` and `reload`",
        here=bites.people_sign_renewals,
        source=LE_45,
    ),
    Rule(
        id="tomcat-restarts",
        begins=CLASSIC_64,
        what="certificates of 64 days are renewed every six weeks, those of 45 every month",
        do="give `services: tomcat_tls` a `reload` command, such as the manager's sslReload",
        here=bites.restarts_tomcat,
        source=LE_45,
    ),
    Rule(
        id="postgresql-restarts",
        begins=CLASSIC_64,
        what="PostgreSQL before 10 has to be restarted for each certificate, from then on every six weeks",
        do="upgrade PostgreSQL",
        here=bites.postgresql_restarts,
        source=Source("https://www.postgresql.org/docs/10/release-10.html", date(2026, 11, 26)),
    ),
    Rule(
        id="le-intermediates-2027",
        begins=date(2027, 3, 12),
        what="Let's Encrypt's intermediates E5 to E9 and R10 to R14 end",
        do="declare roots alone in `certificate: roots`: an intermediate may change at any renewal",
        here=bites.pins(GEN_2024),
        source=LE_CHAINS,
    ),
    Rule(
        id="br-100-days",
        begins=date(2027, 3, 15),
        what="public CAs issue for at most 100 days",
        do="set `certificate: lifetime` to what the CA then gives",
        here=bites.lifetime_over(100, lets_encrypt=False),
        source=BR,
    ),
    Rule(
        id="schedule-100-days",
        begins=date(2027, 3, 15),
        what="cron has to try more often for certificates of 100 days",
        do="let `certificate: schedule` try twice a day, as by default",
        here=bites.schedule_too_slow(100, lets_encrypt=False),
        source=BR,
    ),
    Rule(
        id="chrome-server-auth",
        begins=date(2027, 3, 15),
        what="Chrome wants every new certificate of a public CA to be for servers alone",
        do="give what logs in with this certificate as a client one of a private CA, before the next renewal",
        here=bites.has_client_auth(lets_encrypt=False),
        source=CHROME,
    ),
    Rule(
        id="le-45-days",
        begins=CLASSIC_45,
        what=(
            "Let's Encrypt's certificates are valid for 45 days; thresholds are fractions of the "
            "declared lifetime"
        ),
        do="set `certificate: lifetime` to 45 once the first of them is in use",
        here=bites.lifetime_over(45),
        source=LE_45,
    ),
    Rule(
        id="schedule-45-days",
        begins=CLASSIC_45,
        what="cron has to try more often for certificates of 45 days",
        do="let `certificate: schedule` try twice a day, as by default",
        here=bites.schedule_too_slow(45),
        source=LE_45,
    ),
    Rule(
        id="certbot-45-days",
        begins=CLASSIC_45,
        what="certbot before 4.0 renews 30 days before the end, so a certificate of 45 days is used for 15",
        do="install certbot 4.1 or newer on the primary",
        here=bites.thirty_days_before(45),
        source=CERTBOT,
    ),
    Rule(
        id="le-reuse-7-hours",
        begins=CLASSIC_45,
        what=(
            "Let's Encrypt remembers a proven name for 7 hours (before: 10 days): every renewal, and "
            "nearly every retry, proves every name"
        ),
        do=(
            "take names out whose host is gone, and let `verify` run daily: one host that does not "
            "answer blocks all"
        ),
        here=bites.lets_encrypt_names,
        source=LE_45,
    ),
    Rule(
        id="wait-45-days",
        begins=CLASSIC_45,
        what="a renewed certificate of 45 days leaves 15 days for its rollout",
        do="shorten `certificate: wait_for_hosts`: from `overdue` on nothing waits for a host",
        here=bites.waits_too_long,
        source=LE_45,
    ),
    Rule(
        id="le-intermediates-2028",
        begins=date(2028, 9, 2),
        what="Let's Encrypt's intermediates YE1 to YE3 and YR1 to YR3 end",
        do="declare roots alone in `certificate: roots`: an intermediate may change at any renewal",
        here=bites.pins(GEN_Y),
        source=LE_CHAINS,
    ),
    Rule(
        id="br-47-days",
        begins=date(2029, 3, 15),
        what="public CAs issue for at most 47 days",
        do="set `certificate: lifetime` to what the CA then gives",
        here=bites.lifetime_over(47, lets_encrypt=False),
        source=BR,
    ),
    Rule(
        id="schedule-47-days",
        begins=date(2029, 3, 15),
        what="cron has to try more often for certificates of 47 days",
        do="let `certificate: schedule` try twice a day, as by default",
        here=bites.schedule_too_slow(47, lets_encrypt=False),
        source=BR,
    ),
    Rule(
        id="br-reuse-10-days",
        begins=date(2029, 3, 15),
        what="public CAs remember a proven name for 10 days: every renewal proves every name",
        do=(
            "take names out whose host is gone, and let `verify` run daily: one host that does not "
            "answer blocks all"
        ),
        here=bites.other_ca_names,
        source=BR,
    ),
    Rule(
        id="isrg-root-x1",
        begins=date(2030, 6, 4),
        what="ISRG Root X1 leaves the stores of browsers, 15 years after its key was made",
        do=(
            "add Let's Encrypt's newer roots to `certificate: roots` and to the trust stores of "
            "clients (old Java)"
        ),
        here=bites.hangs_on("ISRG Root X1", ("ISRG Root X2", "Root YE", "Root YR")),
        source=LE_CHAINS,
    ),
    Rule(
        id="rsa-2048",
        begins=date(2031, 1, 1),
        what="NIST's draft deprecates RSA of 2048 bits after 2030",
        do="set `certificate: key_size` to 3072, once all clients can",
        here=bites.rsa_below(3072),
        source=NIST,
    ),
    Rule(
        id="isrg-root-x2",
        begins=date(2035, 9, 4),
        what="ISRG Root X2 leaves the stores of browsers, 15 years after its key was made",
        do="add Let's Encrypt's newer roots to `certificate: roots` and to the trust stores of clients",
        here=bites.hangs_on("ISRG Root X2", ("Root YE", "Root YR")),
        source=LE_CHAINS,
    ),
    Rule(
        id="rsa-ends",
        begins=date(2036, 1, 1),
        what="NIST's draft disallows RSA after 2035",
        do="plan for another kind of key; the portal has to sign its tokens with another one first",
        here=bites.rsa_below(None),
        source=NIST,
    ),
    Rule(
        id="postgresql-ends",
        begins=None,
        what="PostgreSQL gets no more fixes, five years after its first release",
        do="upgrade PostgreSQL, then `services: postgresql`",
        here=bites.ends("postgresql", POSTGRESQL_ENDS),
        source=POSTGRESQL,
    ),
    Rule(
        id="tomcat-ends",
        begins=None,
        what="Tomcat gets no more fixes",
        do="upgrade Tomcat, then `services: tomcat`",
        here=bites.ends("tomcat", TOMCAT_ENDS),
        source=TOMCAT,
    ),
    Rule(
        id="root-ends",
        begins=None,
        what="a root that is past its end proves no chain",
        do="replace it in the file that `certificate: roots` names",
        here=bites.root_ends,
        source=END,
    ),
    Rule(
        id="brought-ends",
        begins=None,
        what="a certificate that somebody brings ends, and nothing here orders another",
        do="have its CA issue another, and bring it to each of its hosts before that day",
        here=bites.brought_ends,
        source=END,
    ),
    Rule(
        id="renewal-missing",
        begins=None,
        what="the certificate in use ends, and clients refuse it then",
        do="look why cron does not renew: `reconcile plan`; `apply` orders it once it is overdue",
        here=bites.renewal_is_missing,
        source=END,
    ),
    Rule(
        id="acknowledged-ends",
        begins=None,
        what="acknowledged drift counts again",
        do="settle it, or say why it may stay under `acknowledged:`",
        here=bites.acknowledged_ends,
        source=Source("docs/operations.md#drift", date(2026, 11, 26)),
    ),
)
"""Every rule, in the order of the days from which they hold."""
