"""The kind `revocation`: a certificate whose key is thought compromised is revoked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler.messages import Message
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
    View,
    quote,
)
from reconciler.questions.files import TextQuestion
from reconciler.questions.system import CommandQuestion, CommandResult
from reconciler.subjects import Risk, Subject

FIELD = "revocation"
REVOKED = "revoked"
EXPIRED = "expired"
"""What need not be revoked, for its time is over."""
NOWHERE = "not on this host"
HIDDEN = 77
"""How the shell of `held` ends where the account may not look."""


@dataclass(frozen=True, kw_only=True)
class Revocation(Resource):
    """The CA has revoked a certificate whose key is thought compromised, once no host that can be reached
    serves it.

    What counts is the renewal script's own note of it, in a file of root's on the primary. The CA is not
    asked: ACME has no question for it (RFC 8555, section 7.6), Let's Encrypt has had no OCSP since August
    2025 (letsencrypt.org/2025/08/06/ocsp-service-has-reached-end-of-life), and a CRL may come a day later
    (CA/Browser Forum, Baseline Requirements, section 4.9.7). Of one that was revoked elsewhere the CA says so
    when it is to revoke it, and that is noted.

    A host whose switch is to come, has failed or cannot be judged is waited for. One that cannot be reached
    is not: whoever has the key could use it for as long as that lasts.
    """

    kind: ClassVar[str] = "revocation"
    title: ClassVar[str] = "serial"
    subject: ClassVar[str] = Subject.CERTIFICATE
    declarable: ClassVar[bool] = False
    reversible: ClassVar[bool] = False

    serial: str
    """In the form of `compromised.canonical`."""
    script: str
    record: str
    """The file with what was revoked: SECONDS revoked RUN SERIAL, a line each."""
    held: str
    """Shell that prints the path of the certificate on this host; see `held_now` in revoke.sh."""
    lineage: Ref
    serving: tuple[Ref, ...]
    """What switches each host that has the certificate."""

    def ask(self) -> Mapping[str, Question]:
        return {"record": TextQuestion(self.record), "held": CommandQuestion(self.held)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        record: bytes | None | CannotSee = answers["record"]
        held: CommandResult | CannotSee = answers["held"]
        if isinstance(record, CannotSee):
            return record
        if re.search(rf"^[0-9]+ revoked \S+ {self.serial}$".encode(), record or b"", re.MULTILINE):
            return {FIELD: REVOKED}
        if isinstance(held, CannotSee):
            return held
        if held.status == HIDDEN:
            return CannotSee("the account may not look into certbot's folder")
        if held.status == 0 and held.output == EXPIRED:
            return {FIELD: EXPIRED}
        return {FIELD: "none", "certificate": held.output if held.status == 0 else NOWHERE}

    def want(self, look: View) -> State | CannotSee | None:
        own = look.own()
        if isinstance(own, Mapping) and own[FIELD] in (REVOKED, EXPIRED):
            return {FIELD: own[FIELD]}
        for ref in self.serving:
            if look.is_unreachable(ref.host):
                continue
            found = look.value(ref, "current")
            if isinstance(found, CannotSee):
                return CannotSee(f"whether {ref.host} still serves it is not known: {found.reason}")
        return {FIELD: REVOKED}

    @classmethod
    def risks(cls, action: Action) -> Iterable[str]:
        yield Risk.REVOCATION

    def refuses(self, change: Change) -> str | None:
        if change.seen is None or change.seen.get("certificate") != NOWHERE:
            return None
        return (
            f"no certificate with the serial number {self.serial} is on {self.host}, neither in certbot's"
            f" archive nor among the releases {Message.NOT_HELD}: compare the number with `openssl x509"
            " -noout -serial -in FILE`; where the certificate lies elsewhere, revoke it there, and take the"
            " number out of `compromised`"
        )

    def notes(self, seen: State, change: Change | None) -> Iterable[str]:
        if change and not self.refuses(change):
            yield (
                "a revocation cannot be taken back; it waits for each host that can be reached, and for none"
                " that cannot: such a host goes on with the revoked one until an apply finds it well"
            )

    def steps(self, change: Change) -> Iterable[Step]:
        yield Step(
            f"sh {quote(self.script)} revoke {quote(self.serial)}",
            "has the CA revoke it because its key is compromised, and notes that",
            # It waits as long as an order does for another run, and twice for certbot.
            minutes=15,
        )

    def refers(self) -> Iterable[Ref]:
        return self.serving
