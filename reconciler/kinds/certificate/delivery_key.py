"""The kinds `delivery_key` and `delivery_pins`: what the pair is encrypted to on its way, and signed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler import x509
from reconciler.kinds.certificate.pair import MATCHES, belonging, public_half
from reconciler.kinds.paths import (
    NEW,
    chown_steps,
    into_place,
    move_aside,
    ownership,
    parents,
    type_of,
    unseen,
)
from reconciler.kinds.tagged_lines import KnownHosts
from reconciler.model import CannotSee, Change, Question, Resource, Seen, State, Step, View, quote
from reconciler.questions.files import FileEntry, StatQuestion
from reconciler.questions.system import CommandResult
from reconciler.questions.tls import CertificatesQuestion
from reconciler.subjects import Subject
from reconciler.unknowns import CERTIFICATE

KEY, CERTIFICATE_FILE = "/etc/ssh/reconciler/delivery-key.pem", "/etc/ssh/reconciler/delivery.pem"
PINS = "/etc/ssh/reconciler/delivery-pins"

USABLE = "a pair"


@dataclass(frozen=True, kw_only=True)
class DeliveryKey(Resource):
    """Root's key on a host: deliveries to it are encrypted to this key, and those from it are signed by it.

    It is made on the host, and root alone reads it. Its certificate is what CMS takes for a public key
    (RFC 5652): nobody has issued it, and neither its name nor its dates count, only that it is the one that
    the other hosts were told.
    """

    kind: ClassVar[str] = "delivery_key"
    title: ClassVar[str] = "path"
    subject: ClassVar[str] = Subject.DISTRIBUTION
    declarable: ClassVar[bool] = False
    unknowns: ClassVar[Mapping[str, str]] = {"public": CERTIFICATE}

    path: str = KEY
    certificate: str = CERTIFICATE_FILE

    def ask(self) -> Mapping[str, Question]:
        return {
            "private": StatQuestion(self.path),
            "derived": public_half(self.path),
            "certificate": CertificatesQuestion(self.certificate),
        }

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry: FileEntry | None = answers["private"]
        if entry is None or (hidden := unseen(entry, answers["derived"], answers["certificate"])):
            return entry if entry is None else hidden
        if entry.type != "f":
            return {"type": type_of(entry)}
        said: CommandResult = answers["derived"]
        if said.status != 0 and "Permission denied" in said.output:
            return CannotSee("the account may not read the key")
        try:
            (certificate,) = x509.chain(answers["certificate"] or "")
        except (x509.Unreadable, ValueError):
            return {"type": "a file without its certificate"}
        pair = belonging(said, x509.public_key_pem(certificate))
        if isinstance(pair, CannotSee):
            return pair
        if pair != MATCHES:
            return {"type": "a key that its certificate does not belong to"}
        return {"type": USABLE, "public": x509.base64_der(certificate), **ownership(entry)}

    def want(self, look: View) -> State | None:
        return None if self.absent else {"type": USABLE, "mode": "0600", "owner": "root"}

    def steps(self, change: Change) -> Iterable[Step]:
        path, certificate = quote(self.path), quote(self.certificate)
        if change.removes:
            yield Step(f"rm -f -- {path} {certificate}", "declared absent", where=(self.path,))
        elif change.creates or "type" in change.deltas:
            new, to = self.path + NEW, self.certificate + NEW
            yield Step(
                # A hundred years: what it is good for ends when it is no longer declared, not by a date.
                "(umask 077; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256"
                f" -days 36500 -subj '/CN=reconcile delivery' -keyout {quote(new)} -out {quote(to)})",
                "makes root's key for deliveries; it stays on this host",
                where=(self.path,),
            )
            yield from move_aside(self.path, change)
            yield Step(
                f"{into_place(to, self.certificate)} && {into_place(new, self.path)}",
                "puts both in place",
                where=(self.path,),
            )
        else:
            yield from chown_steps(self.path, change)

    def provides(self) -> Iterable[str]:
        return (f"path:{self.path}", f"path:{self.certificate}")

    def requires(self) -> Iterable[str]:
        return parents(self.path)


@dataclass(frozen=True, kw_only=True)
class DeliveryPins(KnownHosts):
    """The keys of the other hosts' roots: by them this host encrypts a delivery, and knows whose it is.

    A line is a host's name and its certificate (base64 of DER).
    """

    kind: ClassVar[str] = "delivery_pins"
    subject: ClassVar[str] = Subject.DISTRIBUTION
    declarable: ClassVar[bool] = False
