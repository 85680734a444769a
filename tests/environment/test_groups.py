"""Groups of hosts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.environment.load import InvalidEnvironment, load

HOSTS = [
    {"name": "a.example.org", "primary": True, "groups": ["web"]},
    {"name": "b.example.org", "groups": ["web", "db"]},
    {"name": "c.example.org"},
]


def raw(hosts: list[dict[str, Any]], *resources: dict[str, Any]) -> bytes:
    made = {"environment": "e", "router": "r.example.org", "blueprint": False, "hosts": hosts}
    return json.dumps({**made, "resources": resources}).encode()


def test_a_resource_is_for_the_hosts_of_its_groups() -> None:
    of = {"/web": ["web"], "/db": ["db", "c.example.org"], "/all": ["primary", "replicas"]}
    made = load("e.yaml", raw(HOSTS, *({"directory": path, "hosts": hosts} for path, hosts in of.items())))
    found = {path: [each.host[0] for each in made.resources if each.ref.name == path] for path in of}
    assert found == {"/web": ["a", "b"], "/db": ["b", "c"], "/all": ["a", "b", "c"]}
    assert {name: [host[0] for host in hosts] for name, hosts in made.groups.items()} == {
        "db": ["b"], "primary": ["a"], "replicas": ["b", "c"], "web": ["a", "b"],
    }  # fmt: skip


def test_a_group_that_nobody_is_in_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InvalidEnvironment) as caught:
        load("e.yaml", raw(HOSTS, {"directory": "/x", "hosts": ["wep"]}))
    known = "a.example.org, b.example.org, c.example.org, db, primary, replicas, web"
    assert str(caught.value).endswith(f": there is no host or group wep (known: {known})")


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("replicas", "replicas is a group of every environment already"),
        ("b", "b is b.example.org already"),
        ("2nd", "a word of letters, digits, `-` and `_`"),
    ],
)
def test_a_word_means_one_thing(group: str, said: str) -> None:
    with pytest.raises(InvalidEnvironment) as caught:
        load("e.yaml", raw([*HOSTS[:2], {"name": "c.example.org", "groups": [group]}]))
    assert said in str(caught.value)
