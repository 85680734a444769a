"""Certificates that somebody brings, and what of an environment uses them."""

from __future__ import annotations

from pathlib import Path

from reconciler.blueprint import resources
from reconciler.environment.load import load
from reconciler.model import Ref
from tests import ROOT

HOSTS = """
hosts:
  - {name: cn-1.example.org, primary: true}
  - {name: cn-2.example.org}
  - {name: cn-3.example.org}
"""
NODE = f"environment: e\nrouter: cn.example.org\n{HOSTS}"
BARE = f"environment: e\nblueprint: false\n{HOSTS}"
BROUGHT = """
certificates:
  - {name: node, purpose: client, file: /x/node.pem, hosts: [cn-2.example.org], users: [tomcat]}
  - {name: host, file: /x/c.pem, key: /x/k.pem, group: tls, mode: "0640", names: [cn-2.example.org, "*.org"]}
consumers:
  - {unit: slapd, port: 389, protocol: ldap, certificate: host, user: openldap, on_change: restart}
  - {unit: slapd, port: 636, certificate: host, user: openldap, on_change: restart}
"""
FIRST, SECOND = "cn-1.example.org", "cn-2.example.org"


def made(tmp_path: Path, text: str) -> dict[Ref, object]:
    file = tmp_path / "e.yaml"
    file.write_text(text, encoding="utf-8")
    return {each.ref: each for each in resources(load(str(file)))}


def test_each_is_looked_at_on_its_hosts_without_the_rest_of_the_blueprint_too(tmp_path: Path) -> None:
    found = made(tmp_path, BARE + BROUGHT)
    kinds = {ref.kind for ref in found}
    brought = {"brought_certificate", "brought_key", "brought_serving", "outside", "reachable"}
    assert kinds == {*brought, "service", "account"}
    assert {ref.host for ref in found if ref.name == "node"} == {SECOND}
    key = found[Ref(SECOND, "brought_key", "node")]
    assert (key.key, key.users) == ("/x/node.pem", ("tomcat",))
    assert found[Ref(FIRST, "brought_key", "host")].users == ("openldap",)


def test_what_serves_one_is_proven_there_and_from_the_next_host(tmp_path: Path) -> None:
    found = made(tmp_path, NODE + BROUGHT)
    serving = found[Ref(SECOND, "brought_serving", "host")]
    assert [(each.port, each.protocol, each.names) for each in serving.endpoints] == [
        (389, "ldap", (SECOND,)),
        (636, "tls", (SECOND,)),
    ]
    assert set(serving.needs) == {Ref(SECOND, "brought_key", "host"), Ref(SECOND, "service", "slapd")}
    outside = found[Ref("cn-3.example.org", "outside", f"{SECOND} host")]
    assert outside.endpoints == serving.endpoints
    assert found[Ref(SECOND, "reachable", "cn-3.example.org host")].outside == outside.ref
    # The environment's own is proven beside it, and of nothing else.
    own = found[Ref(SECOND, "serving", "cn.example.org")]
    assert "slapd" not in {each.unit for each in own.endpoints}


def test_one_host_after_another_loads_another_the_primary_last(tmp_path: Path) -> None:
    found = made(tmp_path, NODE + BROUGHT)
    turns = {ref.host: found[ref].follows for ref in found if ref.kind == "brought_serving"}
    assert {host: len(before) for host, before in turns.items()} == {
        SECOND: 0,
        "cn-3.example.org": 1,
        FIRST: 2,
    }


def test_its_service_keeps_what_it_has_while_the_pair_is_no_good(tmp_path: Path) -> None:
    found = made(tmp_path, NODE + BROUGHT)
    unit = found[Ref(FIRST, "service", "slapd")]
    assert unit.judged == Ref(FIRST, "brought_certificate", "host")
    assert (unit.ports, unit.group, unit.on_change) == ((389, 636), "tls", "restart")
    assert set(unit.needs) == {Ref(FIRST, "brought_key", "host"), Ref(FIRST, "account", "openldap")}
    assert found[Ref(FIRST, "account", "openldap")].groups == ("tls",)
    owns = made(tmp_path, (NODE + BROUGHT).replace("group: tls, mode", "owner: openldap, mode"))
    assert owns[Ref(FIRST, "service", "slapd")].group is None
    assert Ref(FIRST, "account", "openldap") not in owns


def test_the_example_holds_both_of_a_coordinating_nodes() -> None:
    environment = load(str(ROOT / "examples" / "brought.yaml"))
    assert [each.purpose for each in environment.certificates] == ["client", "server"]
