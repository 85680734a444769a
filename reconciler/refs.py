"""How resources are named: one by one, and several that many others wait for as one. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


class Ref(NamedTuple):
    """Names one resource: which host, which kind, which one of that kind.

    A tuple, because a plan of many hosts compares and looks up millions of them."""

    host: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.host} {self.kind} {self.name}"


class OwnRef:
    """The ref of a resource, as an attribute of it: made when it is first asked for, and then kept, for a
    look and a plan ask a dozen times."""

    def __get__(self, resource: Any, kind: type) -> Ref:
        if resource is None:
            raise AttributeError(f"only a resource has a ref, not {kind.__name__}")
        made = Ref(resource.host, resource.kind, resource.name)
        # It hides this descriptor from now on.
        object.__setattr__(resource, "ref", made)
        return made


@dataclass(frozen=True, eq=False)
class Joint:
    """Several resources that many others wait for, as one: an edge to each of those, in place of one for each
    pair. It is the one that it is: another with the same members is another."""

    name: str
    members: tuple[Ref | Joint, ...]

    def __str__(self) -> str:
        return self.name


def flat(named: Iterable[Ref | Joint]) -> list[Ref]:
    """The refs among these, and those that the joints among them are made of, each once."""
    found: dict[Ref, None] = {}
    stack, known = [*named][::-1], set[Joint]()
    while stack:
        each = stack.pop()
        if isinstance(each, Ref):
            found[each] = None
        elif each not in known:
            known.add(each)
            stack += each.members[::-1]
    return list(found)


def short_names(hosts: Iterable[str]) -> dict[str, str]:
    """Each host's name up to its first dot; whole where two would be called the same."""
    first: dict[str, list[str]] = defaultdict(list)
    for host in hosts:
        short = host.partition(".")[0]
        first[host if short.isdecimal() else short].append(host)  # an address has no short name
    return {host: short if len(same) == 1 else host for short, same in first.items() for host in same}
