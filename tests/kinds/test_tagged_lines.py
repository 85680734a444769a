"""Lines of authorized_keys and known_hosts in large environments: what all hosts say is said once."""

from __future__ import annotations

from typing import Any

from reconciler.blueprint import resources
from reconciler.environment.settings import Environment, Host
from reconciler.kinds.tagged_lines import AuthorizedKeys, KnownHosts, TaggedLines
from reconciler.model import CannotSee, Ref, Seen, Value


class Told:
    """What a resource is told: its own state, and the key of each host."""

    def __init__(self, own: Seen = None) -> None:
        self._own = own

    def own(self) -> Seen:
        return self._own

    def is_unreachable(self, host: str) -> bool:
        return False

    def value(self, ref: Ref, name: str) -> Value | CannotSee:
        return f"ssh-ed25519 {ref.host.replace('.', '')}"


def tagged(hosts: int) -> list[TaggedLines]:
    environment = Environment(
        name="large",
        router="cn.example.org",
        hosts=tuple(Host(name=f"h{number}.example.org", primary=number == 0) for number in range(hosts)),
    )
    return [each for each in resources(environment) if isinstance(each, (AuthorizedKeys, KnownHosts))]


def test_what_hosts_say_of_the_same_peer_is_one_object() -> None:
    for kind in (AuthorizedKeys, KnownHosts):
        one, other = [each for each in tagged(4) if type(each) is kind][:2]
        wants: list[Any] = [each.want(Told()) for each in (one, other)]
        field = next(name for name in wants[0] if "h3.example.org" in name)
        assert wants[0][field] is wants[1][field]
        assert next(name for name in wants[1] if name == field) is field
        named = [{entry[0]: entry for entry in each.keys_of} for each in (one, other)]
        peer = next(name for name in named[0] if "h3" in name)
        assert named[0][peer] is named[1][peer]


def test_a_line_that_lets_a_key_do_more_is_found_among_many_others() -> None:
    (lines, *_) = (each for each in tagged(3) if isinstance(each, AuthorizedKeys))
    want = dict(lines.want(Told()) or {})
    key = "h1exampleorg"
    loose = {
        f"other line of {key}": f"ssh-ed25519 {key}",
        "other line of AAAA": "ssh-ed25519 AAAA",
        "n": None,
    }
    asked = dict(lines.want(Told({**want, **loose})) or {})
    assert asked[f"other line of {key}"] is None
    assert "other line of AAAA" not in asked
