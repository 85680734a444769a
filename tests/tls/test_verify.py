"""What `verify` makes of what services show, without a host."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from reconciler import x509
from reconciler.blueprint.managed import managed
from reconciler.document import as_json
from reconciler.environment.certificate import Certificate
from reconciler.environment.ordered import Ordered
from reconciler.environment.services import Consumer, Services
from reconciler.environment.settings import Environment, Host
from reconciler.model import CannotSee, Observation, Ref
from reconciler.output import junit, text
from reconciler.output.documents.results import verify_document
from reconciler.tls import verify
from reconciler.tls.endpoint import NoHandshake, TlsAnswer
from tests.support.forged import authority, pem, rsa_key, signed
from tests.support.schemas import hold

ROOT, INTERMEDIATE = authority()
NOW = datetime.now(UTC)
ENVIRONMENT = Environment(
    name="e",
    router="cn.example.org",
    hosts=(Host(name="a.example.org", primary=True), Host(name="b.example.org", address="10.0.0.2")),
    certificate=Certificate(trusted=pem(ROOT.certificate).encode(), ping="/ping"),
    services=Services(postgresql="15"),
)
KEY = rsa_key()


def shown(sent: tuple[bytes, ...], ping: int | None = 200) -> TlsAnswer:
    return TlsAnswer(sent, "TLSv1.3", ping)


def chain(
    names: tuple[str, ...] = ENVIRONMENT.names, days: tuple[float, float] = (-1, 89)
) -> tuple[bytes, ...]:
    leaf = signed(names[0], KEY, INTERMEDIATE, names=names, days=days)
    return tuple(each.public_bytes(Encoding.DER) for each in (leaf, INTERMEDIATE.certificate))


GOOD = chain()
ID = x509.identity(x509.chain_der(GOOD))


def judged(answer: TlsAnswer | NoHandshake, release: str | None = ID) -> list[verify.Check]:
    answers = dict.fromkeys(verify.endpoints(ENVIRONMENT), answer)
    return list(verify.outside(ENVIRONMENT, answers, release, NOW))


def test_every_host_service_and_name_is_asked() -> None:
    asked = {(each.host, each.address, each.port, each.name) for each in verify.endpoints(ENVIRONMENT)}
    for host, address in (("a.example.org", "a.example.org"), ("b.example.org", "10.0.0.2")):
        assert {(host, address, 443, name) for name in (host, "cn.example.org", None)} <= asked
        assert (host, address, 5432, None) in asked
    assert len(asked) == 8


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        (shown(GOOD), "ok", f"it serves {ID}"),
        (shown(chain()), "wrong", f"but {ID} was issued"),
        (shown(GOOD[:1]), "wrong", "does not lead to a known root"),
        (shown(chain(days=(-90, -1))), "wrong", "it expired on"),
        (shown(chain(ENVIRONMENT.names[:-1])), "wrong", "it does not carry b.example.org"),
        (shown((b"nonsense",)), "wrong", "what it presents is not a certificate"),
        (NoHandshake("connection refused", listens=False), "wrong", "connection refused"),
    ],
    ids=["good", "another", "leaf only", "expired", "a name less", "nonsense", "refused"],
)
def test_what_is_shown_is_judged(answer: TlsAnswer | NoHandshake, verdict: str, words: str) -> None:
    for check in judged(answer):
        assert (check.verdict, words in check.detail) == (verdict, True), check


def test_a_ping_that_is_not_answered_is_wrong_on_443_only() -> None:
    wrong = [check for check in judged(shown(GOOD, 503)) if check.verdict == "wrong"]
    assert {check.endpoint.port for check in wrong} == {443}
    assert {check.detail for check in wrong} == {"/ping answers 503, not 200"}


def test_what_should_be_served_may_be_unknown() -> None:
    assert {check.verdict for check in judged(shown(GOOD), None)} == {"unknown"}
    lineage = Ref("a.example.org", "certificate", "cn.example.org")
    names = " ".join(sorted(ENVIRONMENT.names))
    good = {"release": ID, "names": names, "key": "RSA", "pair": "matches", "chain": "trusted"}
    assert verify.wanted(ENVIRONMENT, Observation({lineage: good})) == ID
    assert verify.wanted(ENVIRONMENT, Observation({lineage: {**good, "pair": "not"}})) is None
    assert verify.wanted(ENVIRONMENT, Observation({lineage: CannotSee("away")})) is None


def test_what_serves_a_compromised_key_serves_the_wrong_one_until_another_is_issued() -> None:
    lineage = Ref("a.example.org", "certificate", "cn.example.org")
    names = " ".join(sorted(ENVIRONMENT.names))
    good = {"release": ID, "names": names, "key": "RSA", "pair": "matches", "chain": "trusted"}
    wanted = verify.wanted(ENVIRONMENT, Observation({lineage: {**good, "compromised": True}}))
    assert {(each.verdict, each.detail) for each in judged(shown(GOOD), wanted)} == {
        ("wrong", f"it serves {ID}, but no certificate with another key was issued")
    }
    assert verify_document("e", wanted, []).release is None
    assert verify.wanted(ENVIRONMENT, Observation({lineage: {**good, "compromised": False}})) == ID


def test_what_hosts_see_themselves_counts_too_and_all_of_it_is_told() -> None:
    serving = Ref("a.example.org", "serving", "cn.example.org")
    sight = Observation(
        {serving: {"apache on 443": ID, "postgresql on 5432": "older"}}, {"b.example.org": "it is down"}
    )
    checks = list(verify.inside(ENVIRONMENT, sight, ID))
    assert [(each.endpoint.host[0], each.verdict, each.detail) for each in checks] == [
        ("a", "ok", f"it serves {ID}"),
        ("a", "wrong", f"older, but {ID} was issued"),
        ("b", "unknown", "it is down"),
        ("b", "unknown", "it is down"),
    ]
    assert {each.verdict for each in verify.inside(ENVIRONMENT, sight, None)} == {"unknown"}
    everything = [*judged(shown(GOOD)), *checks]
    assert verify.summary(ENVIRONMENT, everything).endswith("12 checks, 1 wrong, 2 could not be judged.")
    assert verify.summary(ENVIRONMENT, judged(shown(GOOD))) == "Verified: 8 checks of e, all as desired."
    lines = list(text.check_lines(everything, text.Style(True)))
    assert sum(line.startswith("\x1b[31m") for line in lines) == 1
    suite = ET.fromstring(junit.checks_xml("e", everything))
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["12", "1", "2"]
    hold(as_json(verify_document("e", ID, everything)), "verify")


def test_a_further_certificate_is_judged_by_its_own_names_roots_and_release() -> None:
    names = ("web.example.org",)
    entry = Ordered(name="web", names=names, settings=Certificate(trusted=pem(ROOT.certificate).encode()))
    env = replace(
        ENVIRONMENT, ordered=(entry,), consumers=(Consumer(unit="nginx", port=8444, certificate="web"),)
    )
    own, web = managed(env)
    asked = verify.endpoints(env, web)
    assert {(each.host, each.port, each.name) for each in asked} == {
        (host.name, 8444, "web.example.org") for host in env.hosts
    }
    assert 8444 not in {each.port for each in verify.endpoints(env, own)}
    right = chain(names)
    release = x509.identity(x509.chain_der(right))

    def outside(sent: tuple[bytes, ...], wanted: str) -> set[str]:
        answers = dict.fromkeys(asked, shown(sent))
        return {each.verdict for each in verify.outside(env, answers, wanted, NOW, web)}

    assert (outside(right, release), outside(right, ID), outside(GOOD, ID)) == ({"ok"}, {"wrong"}, {"wrong"})
    lineage, serving = (Ref("a.example.org", kind, "web") for kind in ("certificate", "serving"))
    good = {
        "release": release,
        "names": "web.example.org",
        "key": "RSA",
        "pair": "matches",
        "chain": "trusted",
    }
    sight = Observation({lineage: good, serving: {"nginx on 8444": release}})
    assert verify.wanted(env, sight, web) == release
    assert verify.wanted(env, sight) is None
    assert [each.verdict for each in verify.inside(env, sight, release, web)] == ["ok", "unknown"]
