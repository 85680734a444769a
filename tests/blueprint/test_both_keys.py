"""What is made of two certificates on one port, one with each kind of key."""

from __future__ import annotations

from dataclasses import replace

from reconciler.blueprint import resources
from reconciler.environment.load import load
from reconciler.kinds.certificate.release import LOADABLE
from reconciler.model import Change, Delta, Ref
from reconciler.plan.order import edges, ordered
from reconciler.questions.tls import KEYS
from tests import ROOT

EXAMPLE = load(str(ROOT / "examples" / "both-keys.yaml"))
MADE = {each.ref: each for each in resources(EXAMPLE)}
OWN, OTHER = EXAMPLE.router, "ecdsa"
ONE, TWO = (host.name for host in EXAMPLE.hosts)
PORTS = [("apache", 443), ("nginx", 8444), ("haproxy", 8445), ("dovecot", 993), ("postfix", 25)]


def test_each_is_asked_for_by_its_kind_of_key_from_the_host_and_from_the_next() -> None:
    for name, further, key in ((OWN, "", "RSA"), (OTHER, f" {OTHER}", "ECDSA")):
        serving, outside = MADE[Ref(TWO, "serving", name)], MADE[Ref(ONE, "outside", f"{TWO}{further}")]
        assert [(each.service, each.port) for each in serving.endpoints] == [
            (f"{service} ({key})", port) for service, port in PORTS
        ]
        asked = [q for r in (serving, outside) for q in r.ask().values() if hasattr(q, "protocol")]
        assert {each.key for each in asked} == {key}
        assert all(f"-sigalgs {KEYS[key]}" in type(each).script([each]) for each in asked)
        labels = [each.label for each in serving.endpoints]
        state = {"current": "a", "proven": "a"}
        change = Change({label: Delta(label, "b", "a") for label in labels}, state, state)
        proofs = [step.command for step in serving.steps(change) if " prove " in step.command]
        assert [
            f" {port} " in each and f"+{key} " in each for each, (_, port) in zip(proofs, PORTS, strict=True)
        ] == [True] * 5


def test_a_name_is_asked_for_on_the_host_that_has_it() -> None:
    (other,) = {each.names for each in MADE[Ref(TWO, "serving", OTHER)].endpoints}
    assert other == (EXAMPLE.router, TWO)


def test_a_unit_is_one_service_with_each_port_once() -> None:
    assert MADE[Ref(ONE, "service", "nginx")].ports == (8444,)


def test_apache_has_both_once_both_are_there() -> None:
    vhost = MADE[Ref(ONE, "file", "/etc/apache2/sites-available/cn-ssl.conf")]
    current = [f"/var/lib/reconciler/{each}/current" for each in ("certificate", f"certificates/{OTHER}")]
    lines = [line.split() for line in vhost.content.splitlines() if "SSLCertificate" in line]
    assert lines == [
        [directive, f"{folder}/{file}.pem"]
        for folder in current
        for directive, file in (("SSLCertificateFile", "fullchain"), ("SSLCertificateKeyFile", "privkey"))
    ]
    assert {ref.name for ref in vhost.needs} == {*current}
    sites = MADE[Ref(ONE, "apache_config", "apache2")].sites
    assert sites[1].certificates == (*current[:1], current[1])
    needed = {(ref.kind, ref.name) for ref in MADE[Ref(ONE, "serving", OTHER)].needs}
    assert {("service", "apache2"), ("apache_config", "apache2")} <= needed
    assert ("service", "postgresql@None-main") not in needed


def test_challenges_are_proven_before_the_vhost_that_needs_what_they_are_for() -> None:
    """Else the order of the second would wait for Apache, and Apache for what was ordered."""
    (answer,) = (each for ref, each in MADE.items() if ref.kind == "answer" and ref.host == ONE)
    first, second = answer.established
    good = {"type": "link", "leads to": LOADABLE}
    assert answer.owner not in answer.needed({first: good})
    assert answer.owner in answer.needed({first: good, second: good})
    for seen in ({}, {first: good}, {first: good, second: good}):
        assert len(ordered(edges(MADE.values(), seen))) == len(MADE)


def test_a_host_that_has_one_of_them_has_one_in_apache() -> None:
    (entry,) = EXAMPLE.ordered
    env = replace(EXAMPLE, ordered=(replace(entry, hosts=("primary",)),), consumers=(), resources=())
    made = {each.ref: each for each in resources(env)}
    vhost = made[Ref(TWO, "file", "/etc/apache2/sites-available/cn-ssl.conf")]
    assert OTHER not in vhost.content
    assert Ref(TWO, "serving", OTHER) not in made
