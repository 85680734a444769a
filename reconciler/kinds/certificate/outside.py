"""The kinds `outside` and `reachable`: what a host's clients get, seen from another host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.kinds.certificate.answer import ANSWERS, question_to, verdict
from reconciler.kinds.certificate.serving import TlsService, presented, unseen_service
from reconciler.model import CannotSee, Change, Question, Ref, Resource, Seen, State, Step, View
from reconciler.questions.tls import LOCAL, NOTHING
from reconciler.subjects import Subject
from reconciler.unknowns import is_unknown

WEB = "port 80"


@dataclass(frozen=True, kw_only=True)
class Outside(Resource):
    """What a host gets from the services of another one, `peer`; observed only, never changed.

    Where an environment has but one host, it asks itself by its name, so at least not by 127.0.0.1.
    """

    kind: ClassVar[str] = "outside"
    title: ClassVar[str] = "peer"
    subject: ClassVar[str] = Subject.ROLLOUT
    declarable: ClassVar[bool] = False

    peer: str
    router: str
    endpoints: tuple[TlsService, ...]
    web: tuple[str, str] | None = None
    """The path of a URL on port 80, and the line that it answers; None where that is not asked."""
    certificate: str = ""
    """What the YAML calls the one of `certificates` that is asked for; empty: the environment's own."""
    leaf: bool = False
    """Whether the leaf alone counts, as of a brought one."""

    @property
    def name(self) -> str:
        return f"{self.peer} {self.certificate}".strip()

    def ask(self) -> Mapping[str, Question]:
        elsewhere = self.peer not in (self.host, *LOCAL)
        questions: dict[str, Question] = {
            each.label: each.question(self._name(each), self.peer, elsewhere) for each in self.endpoints
        }
        if self.web:
            questions[WEB] = question_to(self.peer, self.router, *self.web)
        return questions

    def _name(self, service: TlsService) -> str | None:
        return self.router if self.router in service.names else service.names[0] if self.certificate else None

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen_service(answers, self.endpoints):
            return hidden
        state = {each.label: presented(answers[each.label], leaf=self.leaf) for each in self.endpoints}
        return {**state, WEB: verdict(answers[WEB], self.web[1])} if self.web else state

    def want(self, look: View) -> State | None:
        return {}

    def steps(self, change: Change) -> Iterable[Step]:
        return ()


@dataclass(frozen=True, kw_only=True)
class Reachable(Resource):
    """Clients get from a host what it has in use: proven from another host, `seen_from`.

    A service that listens on 127.0.0.1 only, or behind a firewall, serves itself and nobody else. What
    a service does not even serve to its own host is reported by the host's `serving` and `service`; one that
    listens at an address of its host's and not on 127.0.0.1 is proven from outside alone.
    """

    kind: ClassVar[str] = "reachable"
    title: ClassVar[str] = "seen_from"
    subject: ClassVar[str] = Subject.ROLLOUT
    declarable: ClassVar[bool] = False
    reversible: ClassVar[bool] = False

    seen_from: str
    outside: Ref
    serving: Ref
    answer: Ref | None
    endpoints: tuple[TlsService, ...]
    names: tuple[str, ...]
    certificate: str = ""
    """As of `outside`."""

    @property
    def name(self) -> str:
        return f"{self.seen_from} {self.certificate}".strip()

    def ask(self) -> Mapping[str, Question]:
        return {}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        return {}

    def want(self, look: View) -> State | CannotSee | None:
        current = look.value(self.serving, "current")
        if isinstance(current, CannotSee):
            return current
        inside = {each.label: look.value(self.serving, each.label) for each in self.endpoints}
        wanted = {
            label: current
            for label, value in inside.items()
            if value == current or (value == NOTHING and look.value(self.outside, label) != NOTHING)
        }
        if self.answer and all(look.value(self.answer, f"as {name}") == ANSWERS for name in self.names):
            wanted[WEB] = ANSWERS
        found = {}
        for label, value in wanted.items():
            seen = look.value(self.outside, label)
            if isinstance(seen, CannotSee):
                return CannotSee(f"whether clients reach {label}: from {self.seen_from} {seen.reason}")
            if seen != value and not is_unknown(value):
                found[label] = f"{value} (from {self.seen_from}: {seen})"
        return found

    def refuses(self, change: Change) -> str | None:
        closed = [label for label, delta in change.deltas.items() if NOTHING in str(delta.want)]
        ports = " or ".join(f"`sport = :{label.split()[-1]}`" for label in closed or change.deltas)
        return (
            f"{self.host} serves it to itself, but {self.seen_from} does not get it; look at the address on"
            f" which it listens (`ss -Hltn` with {ports}), at firewalls, and at which address the name"
            f" {self.host} has on {self.seen_from}"
        )

    def steps(self, change: Change) -> Iterable[Step]:
        return ()

    def refers(self) -> Iterable[Ref]:
        return (self.outside,)
