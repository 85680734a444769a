"""What follows from the surveys of all hosts: settings and remarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.discovery import environment
from reconciler.discovery.environment import ImportInput, Undetermined
from reconciler.environment.services import TomcatTls
from reconciler.environment.settings import Environment, Host
from reconciler.model import State
from tests.discovery.surveys import ROUTER, A, B

HOSTS = (Host(name=A), Host(name=B))
BOTH: State = {"router": ROUTER, "hosts": f"{B} {A}", "sync.account": "rsync_user", "services.tomcat": "9"}


def made(surveys: Mapping[str, State], **more: Any) -> tuple[Environment, dict[str, list[str]]]:
    return environment.environment(ImportInput("e", HOSTS, **more), surveys)


def test_the_primary_is_where_the_lineage_lives() -> None:
    found, remarks = made({A: BOTH, B: {**BOTH, "lineage": ROUTER, "certificate.server": "https://x/"}})
    assert (found.primary.name, found.router) == (B, ROUTER)
    assert [host.name for host in found.hosts] == [B, A]  # as node.properties names them
    assert found.certificate.server == "https://x/"
    assert "hosts" not in remarks
    assert "its roots cannot be found out" in remarks["certificate.roots"][0]


@pytest.mark.parametrize("fact", [{"renewed by": "/etc/cron.weekly/x"}, {"timer": True}])
def test_among_copies_of_the_lineage_the_one_that_is_renewed_counts(fact: dict[str, Any]) -> None:
    copy = {**BOTH, "lineage": ROUTER}
    found, remarks = made(
        {
            A: {**copy, **fact, "certificate.email": "a@x"},
            B: {**copy, "names": "z", "certificate.email": "b@x"},
        }
    )
    assert (found.primary.name, found.certificate.email, found.certificate.names) == (A, "a@x", ())
    assert "hosts" not in remarks
    assert made({A: {**copy, **fact}, B: copy}, primary=B)[0].primary.name == B


def test_a_primary_that_cannot_be_told_is_a_remark() -> None:
    copy = {**BOTH, "lineage": ROUTER}
    found, remarks = made({A: copy, B: copy})
    assert found.primary.name == B
    assert f"is on each of {B}, {A}" in remarks["hosts"][0]
    _, remarks = made({A: BOTH, B: BOTH})
    assert "is on none of them" in remarks["hosts"][0]
    assert f"{B} has no lineage" in remarks["certificate.names"][0]


def test_what_hosts_disagree_on_is_told() -> None:
    found, remarks = environment.environment(
        ImportInput("e", (*HOSTS, Host(name="c"))),
        {A: BOTH, B: BOTH, "c": {**BOTH, "services.tomcat": "10", "hosts": f"{A} {B} d"}},
    )
    assert (found.services.tomcat, found.sync.account) == ("9", "rsync_user")
    assert remarks["services.tomcat"] == ["c has 10, which is not what most hosts have"]
    found, remarks = made({A: {**BOTH, "hosts": f"{A} {B} d"}, B: {"environment": "f"}})
    assert "environment.hosts also names d" in remarks["hosts"][0]
    assert f"{B} belongs to the environment f, not to e" in remarks[""]


def test_it_is_called_as_most_hosts_say_by_whom_they_were_written() -> None:
    assert (
        environment.environment_name(
            {"a": {"environment": "x"}, "b": {"environment": "y"}, "c": {"environment": "y"}}
        )
        == "y"
    )
    with pytest.raises(Undetermined, match="--name"):
        environment.environment_name({"a": {}})


def test_without_a_router_there_is_no_environment() -> None:
    with pytest.raises(Undetermined, match="give it with --router"):
        made({A: {}, B: {}})
    assert made({A: {}, B: {}}, router=ROUTER)[0].router == ROUTER
    assert made({A: {"lineage": ROUTER}, B: {}})[0].router == ROUTER


@pytest.mark.parametrize(
    ("seen", "portal", "key_type"),
    [
        ({"key": "ECDSA secp384r1"}, False, "ecdsa-p384"),
        ({"key": "ECDSA secp256r1", "certificate.key_type": "ecdsa-p384"}, False, "ecdsa-p384"),
        ({"key": "ECDSA secp384r1"}, True, "rsa"),
        ({"key": "ECDSA secp521r1"}, False, "rsa"),
    ],
)
def test_a_key_on_a_curve_is_described_where_nothing_needs_an_rsa_key(
    seen: dict[str, str], portal: bool, key_type: str
) -> None:
    state = {**BOTH, "lineage": ROUTER, "names": ROUTER, **seen, "services.portal": portal}
    found, _ = made({A: {**state, "certificate.key_size": 2048}, B: {**BOTH, "services.portal": portal}})
    assert found.certificate.key_type == key_type


def test_further_names_and_what_is_left_alone() -> None:
    state = {**BOTH, "lineage": "cn-0001", "names": f"{A} {ROUTER} more.example.org", "key": "RSA 4096"}
    aside = {
        "left alone": "/etc/cron.weekly/x",
        "other sites": "y.conf",
        "other keys": 2,
        "hidden": "units",
    }
    found, remarks = made({A: {**state, **aside}, B: {**BOTH, "without root": True}}, roots="r.pem")
    assert (found.certificate.names, found.certificate.key_size) == (("more.example.org",), 4096)
    assert (found.certificate.roots, found.services.tomcat_tls) == ("r.pem", None)
    told = "\n".join(remarks[""])
    for word in (
        "/etc/cron.weekly/x",
        "y.conf",
        "2 keys",
        "units",
        "cn-0001",
        "without root",
    ):
        assert word in told
    assert made({A: {**BOTH, "services.tomcat_tls.port": 8443}, B: {}})[0].services.tomcat_tls == TomcatTls()
