"""The rows about the certificate."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.blueprint import resources
from reconciler.environment.certificate import Certificate
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.certificate.lineage import Lineage
from reconciler.kinds.certificate.outside import Outside, Reachable
from reconciler.kinds.certificate.serving import Serving
from reconciler.refs import flat


@pytest.mark.parametrize(
    ("size", "waits"), [(1, [0, 1, 2, 3, 4]), (2, [0, 0, 2, 2, 4]), (9, [0, 0, 0, 0, 4])]
)
def test_as_many_hosts_switch_at_a_time_as_may_and_the_primary_last(size: int, waits: list[int]) -> None:
    hosts = tuple(Host(name=f"h{number}", primary=number == 4) for number in range(5))
    env = Environment(
        name="e", router="r", hosts=hosts, certificate=Certificate(max_unavailable=size, trusted=b"")
    )
    switches = {r.host: r for r in resources(env) if isinstance(r, Serving)}
    found = [sum(ref.kind == "serving" for ref in switches[host.name].follows) for host in hosts]
    assert found == waits
    assert all(sum(ref.kind == "release" for ref in each.follows) == 4 for each in switches.values())
    assert all({ref.host for ref in each.needs} == {each.host} for each in switches.values())


def environment_of(hosts: int, **settings: Any) -> Environment:
    """Hosts of which the last is the primary."""
    return Environment(
        name="e",
        router="r",
        hosts=tuple(Host(name=f"h{number:03}.org", primary=number == hosts - 1) for number in range(hosts)),
        certificate=Certificate(trusted=b"", **settings),
    )


@pytest.mark.parametrize(
    ("percent", "hosts", "at_once"),
    [("10%", 100, 10), ("10%", 109, 10), ("10%", 9, 1), ("1%", 3, 1), ("99%", 3, 2), ("100%", 3, 3)],
)
def test_a_percentage_is_rounded_down_and_at_least_one(percent: str, hosts: int, at_once: int) -> None:
    assert environment_of(hosts, max_unavailable=percent).at_once == at_once


@pytest.mark.parametrize("hosts", [5, 30])
def test_canaries_switch_before_all_others_and_no_more_at_a_time_than_may(hosts: int) -> None:
    env = environment_of(hosts, max_unavailable=2, canary=3)
    switches = {each.host: each for each in resources(env) if isinstance(each, Serving)}
    names = [host.name for host in env.hosts]

    def after(number: int) -> list[str]:
        return sorted(ref.host for ref in flat(switches[names[number]].follows) if ref.kind == "serving")

    turns = [0, 0, 2, 3, 3, 5, 5][: hosts - 1]
    assert [after(number) for number in range(len(turns))] == [names[:count] for count in turns]
    assert after(hosts - 1) == names[:-1]
    tried = [[ref.host for ref in switches[name].tried_first] for name in names]
    assert tried == [[], [], names[:2], *[names[:3]] * (hosts - 3)]


@pytest.mark.parametrize(
    ("hosts", "settings", "told"),
    [
        (4, {}, ""),
        (4, {"max_unavailable": 2}, ""),
        (4, {"canary": 1, "max_unavailable": 2}, "3 waves: h000 as the canary; h001, h002; h003"),
        (5, {"canary": 2}, "5 waves: h000 as a canary; h001 as a canary; h002; h003; h004"),
        (4, {"max_unavailable": "50%"}, "3 waves: h000, h001; h002; h003"),
        (1, {"canary": 1}, "1 wave: h000"),
        (
            100,
            {"canary": 1, "max_unavailable": "10%"},
            "12 waves: h000 as the canary; 10 hosts (h001 to h010); 10 hosts (h011 to h020); …; h099",
        ),
    ],
)
def test_the_waves_are_told_in_a_line_where_they_are_more_than_a_number(
    hosts: int, settings: dict[str, Any], told: str
) -> None:
    env = environment_of(hosts, **settings)
    expected = told and f"the rollout goes in {told}"
    assert {each.waves for each in resources(env) if isinstance(each, Serving)} == {expected}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({}, {"key_type": "rsa"}),
        ({"key_size": 3072}, {"key_type": "rsa", "rsa_key_size": "3072"}),
        ({"key_type": "ecdsa-p384"}, {"key_type": "ecdsa", "elliptic_curve": "secp384r1"}),
    ],
)
def test_what_certbot_renews_by_itself_has_the_declared_key(
    key: dict[str, Any], said: dict[str, str]
) -> None:
    hosts = (Host(name="h", primary=True),)
    env = Environment(name="e", router="r", hosts=hosts, certificate=Certificate(trusted=b"", **key))
    (lineage,) = (each for each in resources(env) if isinstance(each, Lineage))
    keys = {"key_type", "rsa_key_size", "elliptic_curve"}
    assert {name: value for name, value in lineage.renewal if name in keys} == said


def test_a_host_is_seen_from_another_after_all_that_is_compared_with_it() -> None:
    hosts = tuple(Host(name=f"h{number}", primary=number == 0) for number in range(3))
    env = Environment(name="e", router="r", hosts=hosts, certificate=Certificate(trusted=b""))
    made = {each.ref: each for each in resources(env)}
    proven = [each for each in made.values() if isinstance(each, Reachable)]
    assert len(proven) == len(hosts)
    for each in proven:
        outside = made[each.outside]
        assert isinstance(outside, Outside)
        assert {each.serving, each.answer} <= set(outside.needs)
