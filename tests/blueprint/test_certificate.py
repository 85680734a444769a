"""The rows about the certificate."""

from __future__ import annotations

import pytest

from reconciler.blueprint import resources
from reconciler.environment.settings import Certificate, Environment, Host
from reconciler.kinds.certificate.outside import Outside, Reachable
from reconciler.kinds.certificate.serving import Serving


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
