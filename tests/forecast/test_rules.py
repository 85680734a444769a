"""Every rule: a case in which it bites, and one in which it does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.environment.brought import Brought
from reconciler.environment.certificate import LETS_ENCRYPT, Certificate
from reconciler.environment.ordered import Ordered
from reconciler.environment.rules import Acknowledged, Notices, Policy
from reconciler.environment.services import Services, TomcatTls
from reconciler.environment.settings import Environment, Host
from reconciler.forecast.facts import ForecastFacts
from reconciler.forecast.judge import BITES, NO_CONCERN, UNKNOWN, RuleVerdict, judge
from reconciler.forecast.rules import RULES
from reconciler.monitor import coming
from reconciler.monitor.status import Look
from tests.support import forged

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OTHER = {"server": "https://acme.example.org/directory"}
KEPT = {"certbot": "5.8.0-1", "anchor": "ISRG Root X9", "usages": "serverAuth"}


@cache
def root(name: str, days: int) -> bytes:
    """A root as PEM that ends so many days after NOW."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = forged.signed(name, key, None, days=(-1, days), is_ca=True, now=NOW)
    return forged.pem(made).encode()


@dataclass(frozen=True)
class Case:
    """Sections of an environment that differ from the defaults, and what is known of its hosts."""

    certificate: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    notices: Mapping[str, Any] = field(default_factory=dict)
    brought: tuple[str, ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()
    names: int = 1
    kept: Mapping[str, str] = field(default_factory=dict)
    now: datetime = NOW
    end: datetime = NOW + timedelta(days=60)
    roots: tuple[tuple[str, int], ...] = ()
    """Common names of the declared roots, and in how many days each ends."""

    def facts(self) -> ForecastFacts:
        pem = b"".join(root(name, days) for name, days in self.roots)
        declared = {"roots": "roots.pem", "trusted": pem} if self.roots else {}
        more = tuple(f"n{number}.example.org" for number in range(self.names - 1))
        environment = Environment(
            name="e",
            router="r.example.org",
            hosts=(Host(name="r.example.org", primary=True),),
            certificate=Certificate(**{"names": more, **declared, **self.certificate}),
            services=Services(**self.services),
            policy=Policy(**self.policy),
            notices=Notices(**self.notices),
            acknowledged=self.acknowledged,
            certificates=tuple(Brought(name=name, file=f"/{name}") for name in self.brought),
        )
        return ForecastFacts(
            environment=environment,
            now=self.now,
            kept={**KEPT, **self.kept},
            end=self.end,
            renewal=self.end - timedelta(days=30),
        )


def judged(rule: str, case: Case) -> RuleVerdict:
    (found,) = (each for each in judge(case.facts()) if each.rule.id == rule)
    return found


def certificate(**settings: Any) -> Case:
    return Case(certificate=settings)


def other_ca(**settings: Any) -> Case:
    return Case(certificate={**OTHER, **settings})


def known(until: str) -> Case:
    one = Acknowledged(kind="file", owner="ada", reason="a test", until=until)
    return Case(acknowledged=(one,))


WEEKLY = {"schedule": "0 3 * * 1", "lifetime": 90}
SHORT = {"lifetime": 6}
BROUGHT = {"brought node": "2027-07-01T00:00+00:00", "brought host": "2027-01-29T22:00+00:00"}
BITING: Mapping[str, tuple[Case, Case]] = {
    "certbot-no-profile": (
        Case(certificate={**OTHER, "profile": "x"}, kept={"certbot": "3.3.0-1"}),
        Case(certificate={"profile": "tlsserver"}, kept={"certbot": "4.0.0-2"}),
    ),
    "le-mails-ended": (Case(), Case(notices={"mail": ("ada@example.org",)})),
    "certbot-loses-profile": (
        Case(certificate=SHORT, kept={"certbot": "4.0.0-2"}),
        Case(certificate={**SHORT, "profile": "shortlived"}, kept={"certbot": "4.0.0"}),
    ),
    "certbot-renews-each-try": (
        Case(certificate=SHORT, kept={"certbot": "2.1.0-4"}),
        Case(certificate={"lifetime": 45}, kept={"certbot": "2.1.0-4"}),
    ),
    "le-shortlived-names": (Case(certificate=SHORT, names=26), Case(certificate=SHORT, names=25)),
    "le-no-common-name": (certificate(lifetime=6), certificate(lifetime=45, profile="classic")),
    "le-client-auth": (
        Case(kept={"usages": "clientAuth serverAuth"}, now=datetime(2026, 8, 1, tzinfo=UTC)),
        Case(kept={"usages": "clientAuth serverAuth"}),
    ),
    "br-200-days": (other_ca(lifetime=398), certificate(lifetime=398)),
    "postgresql-sni": (Case(services={"postgresql": "19"}), Case(services={"postgresql": "18"})),
    "le-tlsserver-names": (
        Case(certificate={"lifetime": 45}, names=26),
        Case(certificate={"lifetime": 45}, names=26, now=datetime(2028, 2, 16, tzinfo=UTC)),
    ),
    "le-64-days": (certificate(lifetime=90), certificate(lifetime=64)),
    "schedule-64-days": (certificate(**WEEKLY), Case()),
    "certbot-64-days": (Case(kept={"certbot": "1:2.9.0-1"}), Case(kept={"certbot": "4.0.0"})),
    "approval-each-renewal": (
        Case(policy={"approvers": 1}),
        Case(policy={"approvers": 1, "without_approval": ("renewal",)}),
    ),
    "tomcat-restarts": (
        Case(services={"tomcat": "10", "tomcat_tls": TomcatTls()}),
        Case(services={"tomcat": "10", "tomcat_tls": TomcatTls(reload="/usr/local/bin/reload")}),
    ),
    "postgresql-restarts": (Case(services={"postgresql": "9.6"}), Case(services={"postgresql": "10"})),
    "le-intermediates-2027": (Case(roots=(("R11", 100),)), Case(roots=(("ISRG Root X1", 100),))),
    "br-100-days": (other_ca(lifetime=101), other_ca(lifetime=100)),
    "schedule-100-days": (other_ca(schedule="0 3 */15 * *"), other_ca(**WEEKLY)),
    "chrome-server-auth": (
        Case(certificate=OTHER, kept={"usages": "clientAuth serverAuth"}),
        other_ca(),
    ),
    "le-45-days": (certificate(lifetime=64), certificate(lifetime=45)),
    "schedule-45-days": (certificate(schedule="0 3 */5 * *"), Case()),
    "certbot-45-days": (Case(kept={"certbot": "3.3.0"}), Case(kept={"certbot": "5.0"})),
    "le-reuse-7-hours": (Case(names=2), Case()),
    "wait-45-days": (certificate(wait_for_hosts=120), certificate(wait_for_hosts=90)),
    "le-intermediates-2028": (Case(roots=(("YR2", 100),)), Case(roots=(("Root YR", 100),))),
    "br-47-days": (other_ca(lifetime=90), other_ca(lifetime=47)),
    "schedule-47-days": (other_ca(**WEEKLY), other_ca()),
    "br-reuse-10-days": (replace(other_ca(), names=2), Case(names=2)),
    "isrg-root-x1": (
        Case(roots=(("ISRG Root X1", 100),)),
        Case(roots=(("ISRG Root X1", 100), ("Root YR", 100)), kept={"anchor": "ISRG Root X1"}),
    ),
    "rsa-2048": (Case(), certificate(key_size=3072)),
    "isrg-root-x2": (Case(kept={"anchor": "ISRG Root X2"}), Case(kept={"anchor": "ISRG Root X1"})),
    "rsa-ends": (certificate(key_size=4096), certificate(key_type="ecdsa-p256")),
    "postgresql-ends": (Case(services={"postgresql": "15"}), Case(services={"postgresql": "19"})),
    "tomcat-ends": (Case(services={"tomcat": "9"}), Case(services={"tomcat": "10"})),
    "root-ends": (Case(roots=(("Root of ours", 40), ("Other", 400))), Case()),
    "brought-ends": (Case(brought=("node", "host"), kept=BROUGHT), Case(kept=BROUGHT)),
    "renewal-missing": (Case(end=NOW + timedelta(days=20)), Case()),
    "acknowledged-ends": (known("2026-12-31"), known("2026-11-25")),
}
"""Of each rule, by its name: a case in which it bites, and one in which it does not."""


def test_every_rule_has_its_cases() -> None:
    assert list(BITING) == [each.id for each in RULES]


@pytest.mark.parametrize("rule", BITING)
def test_it_bites_where_it_should_and_says_what(rule: str) -> None:
    bites, harmless = BITING[rule]
    found = judged(rule, bites)
    assert (found.verdict, bool(found.here), found.day is None) == (BITES, True, False)
    assert judged(rule, harmless).verdict == NO_CONCERN


def test_a_declared_profile_counts_and_not_the_lifetime_that_is_the_default() -> None:
    short = {"profile": "shortlived"}
    found = judged("le-shortlived-names", Case(certificate=short, names=26))
    assert (found.verdict, found.here) == (
        BITES, "the certificate has 26 names, and `certificate: profile` is shortlived",
    )  # fmt: skip
    assert judged("le-tlsserver-names", Case(certificate={"profile": "tlsserver"}, names=26)).verdict == BITES
    assert judged("le-no-common-name", certificate(**short)).here == "`certificate: profile` is shortlived"
    # Its certificates live for six days, whatever the default of `lifetime` is.
    for harmless in ("le-64-days", "le-45-days", "certbot-loses-profile"):
        assert judged(harmless, Case(certificate=short, kept={"certbot": "4.0.0"})).verdict == NO_CONCERN
    assert (
        judged("certbot-renews-each-try", Case(certificate=short, kept={"certbot": "3.0"})).verdict == BITES
    )


def test_a_rule_with_a_day_of_its_own_says_which() -> None:
    assert judged("postgresql-ends", BITING["postgresql-ends"][0]).day == date(2027, 11, 11)
    assert judged("tomcat-ends", BITING["tomcat-ends"][0]).day == date(2027, 3, 31)
    assert judged("root-ends", BITING["root-ends"][0]).day == date(2027, 1, 5)
    assert judged("renewal-missing", BITING["renewal-missing"][0]).day == date(2026, 12, 16)
    brought = judged("brought-ends", BITING["brought-ends"][0])
    assert brought.day == date(2027, 1, 29)
    assert brought.here == "of `certificates`, host ends on 2027-01-29, node ends on 2027-07-01"
    assert judged("acknowledged-ends", known("2026-12-31")).day == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        ("certbot-64-days", Case()),
        ("certbot-loses-profile", Case(certificate=SHORT)),
        ("chrome-server-auth", other_ca()),
        ("isrg-root-x1", Case()),
        ("renewal-missing", Case()),
        ("brought-ends", Case(brought=("node",))),
    ],
)
def test_what_needs_a_look_is_unknown_without_one(rule: str, case: Case) -> None:
    facts = replace(case.facts(), kept={}, end=None, renewal=None)
    (found,) = (each for each in judge(facts) if each.rule.id == rule)
    assert (found.verdict, bool(found.here)) == (UNKNOWN, True)


def test_a_version_that_cannot_be_read_is_not_known() -> None:
    assert judged("certbot-64-days", Case(kept={"certbot": "built by hand"})).verdict == UNKNOWN


def test_an_environment_without_a_certificate_is_concerned_by_nothing() -> None:
    case = Case(certificate={"manage": False}, names=30, policy={"approvers": 2})
    assert {each.verdict for each in judge(case.facts())} == {NO_CONCERN}
    bare = replace(Case(services={"postgresql": "14", "tomcat": "9"}).facts().environment, blueprint=False)
    assert {each.verdict for each in judge(ForecastFacts(environment=bare, now=NOW))} == {NO_CONCERN}


def test_they_are_sorted_by_the_days_and_the_table_is_too() -> None:
    days = [each.day or date.max for each in judge(Case(services={"postgresql": "14"}).facts())]
    assert days == sorted(days)
    begins = [each.begins or date.max for each in RULES]
    assert begins == sorted(begins)


def test_every_rule_has_a_source_that_was_read_and_words_for_people() -> None:
    names = [each.id for each in RULES]
    assert len(set(names)) == len(names) >= 25
    for each in RULES:
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)+", each.id)
        assert re.match(r"https://[^/]+/|docs/", each.source.url)
        assert date(2026, 1, 1) <= each.source.read <= date(2026, 11, 26)
        for text in (each.what, each.do):
            assert 10 < len(text) < 200, each.id
            assert not text.endswith("."), each.id


def test_a_further_certificate_is_judged_beside_the_environments_own() -> None:
    own = Case(certificate=SHORT, kept={"certbot": "4.1.0"}).facts()
    entry = Ordered(
        name="web",
        names=tuple(f"n{number}.example.org" for number in range(26)),
        settings=Certificate(lifetime=6, server=LETS_ENCRYPT),
    )
    environment = replace(own.environment, ordered=(entry,))
    look = Look(at=NOW, entry=0, counts={}, digests={}, certificate=None, kept=own.kept)
    found = {each.rule.id: each for each in judge(coming.facts(environment, look, NOW))}
    assert found["le-shortlived-names"].verdict == BITES
    assert found["le-shortlived-names"].here == (
        "web: the certificate has 26 names, and `certificate: lifetime` is 6"
    )
    # What is said of the environment is said once.
    assert found["le-mails-ended"].here == "`notices:` names nobody"
    assert found["renewal-missing"].verdict == UNKNOWN
    kept = {**own.kept, "ordered web": (NOW + timedelta(days=1)).isoformat()}
    late = judge(coming.facts(environment, replace(look, kept=kept), NOW + timedelta(hours=12)))
    (missing,) = (each for each in late if each.rule.id == "renewal-missing")
    assert (missing.verdict, missing.day) == (BITES, (NOW + timedelta(days=1)).date())
    assert missing.here.startswith("web: its renewal was due about")
