"""How resources are named: one by one, and several that many others wait for as one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Ref(NamedTuple):
    """Names one resource: which host, which kind, which one of that kind.

    A tuple, because a plan of many hosts compares and looks up millions of them."""

    host: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.host} {self.kind} {self.name}"


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
