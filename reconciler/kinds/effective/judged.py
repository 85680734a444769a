"""What the kinds of this package share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from reconciler.model import Change, Resource, State, Step, Value, View

LOOPBACK = ("127.", "[::1]", "::1", "localhost")
"""How an address begins on which only the host itself can reach a service."""


@dataclass(frozen=True, kw_only=True)
class Judged(Resource):
    """A resource that is only judged. A field is True where it is as it should be, or else says
    why not, with the place; `advice` says what to do about it.

    What is about to change what it watches also changes the verdict, so it is judged afterwards.
    """

    declarable: ClassVar[bool] = False
    reversible: ClassVar[bool] = False

    def wanted(self) -> Mapping[str, Value]:
        """The fields that should be so."""
        raise NotImplementedError

    def advice(self, field: str, seen: str) -> str:
        """What an administrator can do about a field that is not as desired."""
        raise NotImplementedError

    def with_pending(self, seen: State, pending: tuple[str, ...]) -> State:
        return {**seen, **self.wanted()} if pending else seen

    def want(self, look: View) -> State | None:
        own = look.own()
        # What could not be judged is reported by the resource that keeps it from being judged.
        return {
            name: value for name, value in self.wanted().items() if isinstance(own, Mapping) and name in own
        }

    def verb(self, change: Change) -> str:
        return "change"

    def refuses(self, change: Change) -> str | None:
        advice = [self.advice(name, str(delta.seen)) for name, delta in change.deltas.items()]
        return "; ".join(dict.fromkeys(advice))

    def steps(self, change: Change) -> Iterable[Step]:
        return ()
