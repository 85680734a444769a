"""Further services that use the certificate."""

from __future__ import annotations

from dataclasses import replace

from reconciler.blueprint import resources
from reconciler.blueprint.managed import own
from reconciler.blueprint.rollout import endpoints
from reconciler.environment.load import load
from reconciler.environment.services import Consumer
from reconciler.kinds.certificate.release import Release
from reconciler.kinds.certificate.serving import Serving
from reconciler.kinds.service import Service
from reconciler.model import Change, Delta, Ref
from tests import ROOT

EXAMPLE = load(str(ROOT / "examples" / "consumers.yaml"))
ONE, TWO = EXAMPLE.hosts


def of(kind: type, *consumers: Consumer) -> dict[str, list]:
    """What there is of a kind, by host, where these are the consumers."""
    made = resources(replace(EXAMPLE, consumers=consumers, resources=()))
    return {host.name: [r for r in made if type(r) is kind and r.host == host.name] for host in (ONE, TWO)}


def test_each_switches_and_is_proven_after_the_nodes_own() -> None:
    found = [(each.service, each.port, each.protocol, each.reload) for each in endpoints(own(EXAMPLE), ONE)]
    assert found == [
        ("apache", 443, "tls", "systemctl reload apache2"),
        ("nginx", 8444, "tls", "systemctl reload nginx"),
        ("haproxy", 8445, "tls", "systemctl reload haproxy"),
        ("dovecot", 143, "imap", "systemctl reload dovecot"),
        ("dovecot", 993, "tls", "systemctl reload dovecot"),
        ("postfix", 25, "smtp", "systemctl reload postfix"),
        ("slapd", 389, "ldap", "systemctl restart slapd"),
        ("vsftpd", 21, "ftp", "systemctl restart vsftpd"),
    ]
    (serving,) = of(Serving, *EXAMPLE.consumers)[ONE.name]
    assert {Ref(ONE.name, "service", each.unit) for each in EXAMPLE.consumers} <= set(serving.needs)


def test_one_is_on_the_hosts_that_it_names() -> None:
    nginx = Consumer(unit="nginx", port=8444, hosts=("replicas",))
    found = {host: [each.unit for each in units] for host, units in of(Service, nginx).items()}
    assert "nginx" not in found[ONE.name]
    assert "nginx" in found[TWO.name]


def test_one_with_several_ports_is_one_service_that_listens_on_all_and_is_told_once() -> None:
    imap = Consumer(unit="dovecot", port=143, protocol="imap", package="dovecot-imapd", check="doveconf")
    found = of(Service, imap, Consumer(unit="dovecot", port=993, loads=("/etc/dovecot",)))
    (unit,) = [each for each in found[ONE.name] if each.unit == "dovecot"]
    assert (unit.ports, unit.check, unit.loads) == ((143, 993), "doveconf", ("/etc/dovecot",))
    both = replace(EXAMPLE, consumers=(imap, replace(imap, port=993, protocol="tls")), resources=())
    (serving,) = [r for r in resources(both) if isinstance(r, Serving) and r.host == ONE.name]
    ports = {each.label: Delta(each.label, "a", "b") for each in serving.endpoints}
    state = {"current": "a", "proven": "a"}
    commands = [step.command for step in serving.steps(Change(ports, state, state))]
    assert commands.count("systemctl reload dovecot") == commands.count("doveconf") == 1
    assert [each.split()[4] for each in commands if " prove " in each] == ["443", "143", "993"]


def test_what_one_paragraph_says_of_a_unit_holds_for_a_switch_of_its_other_port() -> None:
    one = Consumer(unit="x", port=1, check="a")
    two = Consumer(
        unit="x.service", port=2, on_change="restart", loads=("/etc/x",), check="b", protocol="imap"
    )
    env = replace(EXAMPLE, consumers=(one, two, replace(one, port=3, hosts=("replicas",), check="c")))
    mine = [each for each in endpoints(own(env), ONE) if each.service == "x"]
    assert [(each.port, each.protocol) for each in mine] == [(1, "tls"), (2, "imap")]
    assert {(each.unit, each.check, each.reload) for each in mine} == {("x", "a && b", "systemctl restart x")}
    (unit,) = [each for each in of(Service, *env.consumers)[ONE.name] if each.unit.startswith("x")]
    assert (unit.check, unit.on_change, unit.loads, unit.ports) == ("a && b", "restart", ("/etc/x",), (1, 2))
    there = {each.check for each in endpoints(own(env), TWO) if each.service == "x"}
    assert there == {"a && b && c"}


def test_the_account_that_reads_the_key_is_in_its_group_where_the_service_is() -> None:
    slapd = Consumer(unit="slapd", port=389, package="slapd", user="openldap", hosts=(ONE.name,))
    found = of(Release, slapd)
    assert [release.users for (release,) in found.values()] == [("openldap",), ()]
    (unit,) = [each for each in of(Service, slapd)[ONE.name] if each.unit == "slapd"]
    assert unit.group == "ssl-cert"
    assert Ref(ONE.name, "account", "openldap") in unit.needs
