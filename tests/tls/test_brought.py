"""What `verify` makes of services that use a brought certificate, without a host."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from reconciler import x509
from reconciler.environment.brought import Brought
from reconciler.environment.services import Consumer
from reconciler.environment.settings import Environment, Host
from reconciler.model import Observation, Ref
from reconciler.tls import brought
from reconciler.tls.endpoint import NoHandshake, TlsAnswer
from tests.support.forged import authority, pem, rsa_key, signed

ROOT, INTERMEDIATE = authority()
NOW = datetime.now(UTC)
NAME = "ldap.example.org"
ENVIRONMENT = Environment(
    name="e",
    router="",
    blueprint=False,
    hosts=(Host(name="a.example.org"), Host(name="b.example.org", address="10.0.0.2")),
    certificates=(Brought(name="ldap", file="/x", names=(NAME,), trusted=pem(ROOT.certificate).encode()),),
    consumers=(
        Consumer(unit="slapd", port=389, protocol="ldap", certificate="ldap", hosts=("b.example.org",)),
    ),
)
KEY = rsa_key()


def chain(name: str = NAME, days: tuple[float, float] = (-1, 89)) -> tuple[bytes, ...]:
    leaf = signed(name, KEY, INTERMEDIATE, names=(name,), days=days)
    return tuple(each.public_bytes(Encoding.DER) for each in (leaf, INTERMEDIATE.certificate))


GOOD = chain()
LEAF = x509.identity(x509.chain_der(GOOD)[:1])
ON_DISK = Ref("b.example.org", "brought_certificate", "ldap")
SERVING = Ref("b.example.org", "brought_serving", "ldap")


def test_each_service_is_asked_on_its_hosts_under_the_names_of_the_certificate() -> None:
    (asked,) = brought.endpoints(ENVIRONMENT)
    assert (asked.host, asked.address, asked.port, asked.protocol, asked.name) == (
        "b.example.org", "10.0.0.2", 389, "ldap", NAME,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "good", "verdict", "said"),
    [
        (GOOD, True, "ok", f"it serves {LEAF}"),
        (GOOD, False, "unknown", "what is in /x is no good, or was not seen"),
        (GOOD[:1], True, "wrong", "it does not lead to one of the roots"),
        (chain(days=(-9, -1)), True, "wrong", "it expired on"),
        (chain("other.example.org"), True, "wrong", f"it does not carry {NAME}"),
        (chain(), True, "wrong", f"but {LEAF} is in /x"),
        (None, True, "wrong", "connection refused"),
    ],
    ids=["as on disk", "no good", "no chain", "expired", "other name", "another", "refused"],
)
def test_what_is_shown_from_outside_is_what_is_on_that_hosts_disk(
    answer: tuple[bytes, ...] | None, good: bool, verdict: str, said: str
) -> None:
    asked = brought.endpoints(ENVIRONMENT)
    shown = TlsAnswer(answer, "TLSv1.3", None) if answer else NoHandshake("connection refused", listens=False)
    seen = Observation({ON_DISK: {"good": good, "release": LEAF}})
    (found,) = brought.outside(asked, dict.fromkeys(asked, shown), seen, NOW)
    assert (found.verdict, said in found.detail) == (verdict, True), found


def test_what_the_host_sees_itself_is_judged_so_too() -> None:
    def judged(observation: Observation) -> tuple[str, str]:
        (found,) = brought.inside(ENVIRONMENT, observation)
        return found.verdict, found.detail

    good = {ON_DISK: {"good": True, "release": LEAF}}
    assert judged(Observation({**good, SERVING: {"slapd on 389": LEAF}})) == ("ok", f"it serves {LEAF}")
    assert judged(Observation({**good, SERVING: {"slapd on 389": "nothing listens"}}))[0] == "wrong"
    assert judged(Observation({SERVING: {"slapd on 389": LEAF}}))[0] == "unknown"
    assert judged(Observation(good)) == ("unknown", "it was not looked at")
    assert judged(Observation({}, {"b.example.org": "no answer"})) == ("unknown", "no answer")
