"""The kind `brought_serving`: the services of a host use a certificate that somebody has brought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from reconciler import x509
from reconciler.kinds.certificate.serving import (
    TlsService,
    contents,
    identity_of,
    loading,
    presented,
    service_questions,
    unseen_service,
)
from reconciler.kinds.service import just_started
from reconciler.model import (
    Action,
    CannotSee,
    Change,
    Question,
    Ref,
    Resource,
    Seen,
    State,
    Step,
    Value,
    View,
    quote,
)
from reconciler.questions.tls import (
    LOOPBACK,
    NOTHING,
    STARTTLS,
    CertificatesQuestion,
    HandshakeResult,
)
from reconciler.subjects import Risk, Subject

SHORT = "cut -c -32"
BUT = ", but "


@dataclass(frozen=True, kw_only=True)
class BroughtServing(Resource):
    """Every service that has a brought certificate completes handshakes with the one that is on disk, under
    every name. One that shows another is told to load it, if what is on disk is good: else it keeps what it
    has. There is nothing to go back to, for the file is somebody else's.

    The leaf is compared, as a service may send the chain from another file; what it sends has to lead to the
    roots all the same. `deadline` is in seconds.
    """

    kind: ClassVar[str] = "brought_serving"
    title: ClassVar[str] = "certificate"
    subject: ClassVar[str] = Subject.ROLLOUT
    declarable: ClassVar[bool] = False
    reversible: ClassVar[bool] = False
    depends: ClassVar[bool] = True

    certificate: str
    brought: Ref
    """What judges the pair on disk."""
    file: str
    key: str
    roots: bytes
    endpoints: tuple[TlsService, ...]
    deadline: int = 60

    def ask(self) -> Mapping[str, Question]:
        return {
            "on disk": CertificatesQuestion(self.file),
            **service_questions(self.endpoints),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        if hidden := unseen_service(answers, self.endpoints):
            return hidden
        current = identity_of(answers["on disk"], leaf=True)
        state: dict[str, Value] = {"current": current}
        for each in self.endpoints:
            found = [self._served_leaf(answers[f"{each.label} {name}"], current, now) for name in each.names]
            state[each.label] = next((one for one in found if one != current), found[0])
            for name in each.names:
                state |= contents(answers[f"{each.label} {name}"], leaf=True)
            coming = just_started(each.unit, answers[f"unit {each.unit}"], self.deadline)
            if coming and current not in ("none", state[each.label]):
                return coming
        return state

    def _served_leaf(self, result: HandshakeResult, current: str, now: datetime) -> str:
        shown = presented(result, leaf=True)
        if shown != current:
            return shown
        why_not = x509.why_not_from(x509.chain(result.certificates), self.roots, now)
        return f"{shown}{BUT}{why_not}" if why_not else shown

    def want(self, look: View) -> State | None | CannotSee:
        own, good = look.own(), look.value(self.brought, "good")
        if isinstance(good, CannotSee):
            return good
        if not (good is True and isinstance(own, Mapping)):
            return {}
        # A service that is down is reported by its own resource; it loads this one when it starts.
        labels = (each.label for each in self.endpoints if own[each.label] != NOTHING)
        return {"current": own["current"], **dict.fromkeys(labels, own["current"])}

    def refuses(self, change: Change) -> str | None:
        for label, delta in change.deltas.items():
            if str(delta.seen).startswith(f"{delta.want}{BUT}"):
                why_not = str(delta.seen).partition(BUT)[2]
                return (
                    f"{label} serves it, but what it sends with it is not enough ({why_not}): it has to send"
                    f" the whole of {self.file}; configure it so, or reload it if that was changed"
                )
        return None

    @classmethod
    def risks(cls, action: Action) -> Iterable[str]:
        if any(step.command.startswith("systemctl restart ") for step in action.steps):
            yield Risk.RESTART

    def verb(self, change: Change) -> str:
        told = [each.reload or "" for each in self._touched(change)]
        restarts = any(command.startswith("systemctl restart ") for command in told)
        return "restart" if restarts else "reload"

    def _touched(self, change: Change) -> list[TlsService]:
        return [each for each in self.endpoints if each.label in change.deltas]

    def steps(self, change: Change) -> Iterable[Step]:
        release = str((change.want or {}).get("current"))
        yield self._same(release)
        yield from loading(self._touched(change), partial(self._proof, release))

    def _same(self, release: str) -> Step:
        """Between the look and the reload somebody may bring another, the certificate before its key."""
        file, key = quote(self.file), quote(self.key)
        return Step(
            f'[ "$(openssl x509 -outform DER -in {file} | sha256sum | {SHORT})" = {quote(release)} ]'
            f' && [ "$(openssl x509 -noout -pubkey -in {file})" ='
            f' "$(openssl pkey -pubout -in {key} </dev/null 2>/dev/null)" ]'
            " || { echo 'the files have changed since they were looked at'; exit 1; }",
            "the certificate is still that one, and its key belongs to it",
            where=(f"@{self.file}", f"@{self.key}"),
        )

    def _proof(self, release: str, each: TlsService) -> Step:
        """Handshakes that were completed, for only that proves the key."""
        start = f" -starttls {STARTTLS[each.protocol]}" if each.protocol in STARTTLS else ""
        tries = []
        for name in each.names:
            sni = f"-servername {quote(name)}" if name else "-noservername"
            tries.append(
                f"o=$(timeout 10 openssl s_client -connect {LOOPBACK}:{each.port}{start} {sni} </dev/null"
                ' 2>/dev/null) && [ "$(printf %s "$o" | openssl x509 -outform DER 2>/dev/null | sha256sum'
                f' | {SHORT})" = {quote(release)} ]'
            )
        late = quote(f"{each.label} does not serve it after {self.deadline} s [not-served]")
        return Step(
            f"end=$(($(date +%s) + {self.deadline})); until {' && '.join(tries)};"
            f' do [ "$(date +%s)" -lt $end ] || {{ echo {late}; exit 1; }}; sleep 0.3; done',
            "proves by handshakes that it is served",
            minutes=1 + (self.deadline + 10) // 60,
        )

    def refers(self) -> Iterable[Ref]:
        return (self.brought,)
