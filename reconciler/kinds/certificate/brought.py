"""The kinds `brought_certificate` and `brought_key`: a certificate that somebody has put onto the host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from reconciler import x509
from reconciler.kinds.certificate import pair
from reconciler.kinds.certificate.pair import MATCHES
from reconciler.kinds.paths import chown_steps, ownership, parents, type_of, unseen
from reconciler.model import CannotSee, Change, Question, Ref, Resource, Seen, State, Step, Value, View, quote
from reconciler.questions.files import FileEntry, StatQuestion
from reconciler.questions.system import CommandResult
from reconciler.subjects import Subject

WHOLE, TRUSTED, ALL, PRIVATE = "whole", "trusted", "all there", "nobody else may read it"
USAGES = {"server": "serverAuth", "client": "clientAuth"}
"""What the extended key usage of a certificate has to name for a purpose, where it has one."""


@dataclass(frozen=True, kw_only=True)
class BroughtCertificate(Resource):
    """A certificate that somebody brings is there with its key, leads to the roots, and is good for its
    purpose; judged, never changed: whoever has brought it has to bring another.

    A certificate of a private CA need not keep the rules for public ones; what has no extended key usage may
    be used for anything (RFC 5280, section 4.2.1.12).
    """

    kind: ClassVar[str] = "brought_certificate"
    title: ClassVar[str] = "certificate"
    subject: ClassVar[str] = Subject.CERTIFICATE
    declarable: ClassVar[bool] = False
    reversible: ClassVar[bool] = False

    certificate: str
    """What the YAML calls it."""
    file: str
    key: str
    roots: bytes
    """PEM; to one of these the chain must lead."""
    purpose: str = "server"
    names: tuple[str, ...] = ()

    def ask(self) -> Mapping[str, Question]:
        return pair.questions_of(self.file, self.key)

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        text = answers["fullchain"]
        if isinstance(text, CannotSee):
            return CannotSee(f"{self.file}: {text.reason}")
        if text is None:
            return self._judged({"certificate": f"there is no {self.file}"})
        try:
            chain = x509.chain(text)
        except x509.Unreadable as error:
            return self._judged({"certificate": f"unreadable: {error}"})
        leaf = chain[0]
        key = _key(answers["public"], x509.public_key_pem(leaf))
        if isinstance(key, CannotSee):
            return CannotSee(f"{self.key}: {key.reason}")
        begin, end = x509.window(leaf)
        state: dict[str, Value] = {
            "certificate": WHOLE,
            "key": key,
            "chain": x509.why_not_from(chain, self.roots, now) or TRUSTED,
            "purpose": _purpose(x509.usages(leaf), self.purpose),
            "names": self._carried(leaf),
            "release": x509.identity(chain[:1]),
            "subject": x509.subject(leaf),
            "begins": begin.isoformat(timespec="minutes"),
            "expires": end.isoformat(timespec="minutes"),
        }
        return self._judged(state)

    def _judged(self, state: Mapping[str, Value]) -> State:
        return {**state, "good": all(state.get(name) == value for name, value in self._wanted().items())}

    def _carried(self, leaf: Any) -> str:
        """Whether it carries the names. A server's common name counts for no client (RFC 9525, section 2)."""
        carried = {*x509.names(leaf), x509.subject(leaf).lower()}
        if self.purpose == "server":
            lacking = [name for name in self.names if not x509.carries(leaf, name)]
        else:
            lacking = [name for name in self.names if name.lower() not in carried]
        if not lacking:
            return ALL
        known = ", ".join(x509.names(leaf)) or "none"
        return f"it lacks {', '.join(lacking)} (common name: {x509.subject(leaf)}; DNS names: {known})"

    def _wanted(self) -> dict[str, Value]:
        good: dict[str, Value] = {"certificate": WHOLE, "key": MATCHES, "chain": TRUSTED, "names": ALL}
        return {**good, "purpose": self.purpose}

    def want(self, look: View) -> State | None:
        own = look.own()
        is_there = isinstance(own, Mapping) and own.get("certificate") == WHOLE
        return self._wanted() if is_there else {"certificate": WHOLE}

    def refuses(self, change: Change) -> str | None:
        seen = change.seen or {}
        wrong = "; ".join(f"{name}: {seen.get(name)}" for name in change.deltas)
        return (
            f"{wrong}. No certificate is made here, and none is overwritten: bring another one for"
            f" {self.certificate} to {self.host}, the certificate with its chain into {self.file} and the key"
            f" into {self.key}"
        )

    def steps(self, change: Change) -> Iterable[Step]:
        return ()

    def requires(self) -> Iterable[str]:
        paths = (self.file, self.key)
        return (*(f"path:{path}" for path in paths), *(token for path in paths for token in parents(path)))


def ends(seen: Mapping[Ref, Seen]) -> dict[Ref, datetime]:
    """Until when each brought certificate that was seen is valid."""
    found = {}
    for ref, state in seen.items():
        text = state.get("expires") if isinstance(state, Mapping) else None
        if ref.kind == BroughtCertificate.kind and isinstance(text, str):
            found[ref] = datetime.fromisoformat(text)
    return found


def _key(result: CommandResult | CannotSee, public: str) -> str | CannotSee:
    """Whether the key belongs to the certificate; openssl asks for what opens an encrypted one."""
    found = pair.belonging(result, public)
    if found != MATCHES and isinstance(result, CommandResult) and "pass phrase" in result.output:
        return "it is encrypted with a passphrase, so nothing can be told of it"
    return found


def _purpose(usages: tuple[str, ...], purpose: str) -> str:
    """The purpose, if it may be used for it; else what it may be used for."""
    if not usages or USAGES[purpose] in usages:
        return purpose
    return f"for {', '.join(usages)} alone"


@dataclass(frozen=True, kw_only=True)
class BroughtKey(Resource):
    """The file with the key of a brought certificate is for those who use it, and for nobody else. Its
    content is neither read nor written."""

    kind: ClassVar[str] = "brought_key"
    title: ClassVar[str] = "certificate"
    subject: ClassVar[str] = Subject.CERTIFICATE
    declarable: ClassVar[bool] = False

    certificate: str
    key: str
    owner: str | None = None
    group: str | None = None
    mode: str | None = None
    users: tuple[str, ...] = ()
    """Accounts that must be able to read it."""

    def ask(self) -> Mapping[str, Question]:
        return {"stat": StatQuestion(self.key), **pair.readable_by(self.users, self.key)}

    def read(self, answers: Mapping[str, Any], now: datetime) -> Seen:
        entry: FileEntry | None | CannotSee = answers["stat"]
        if entry is None or isinstance(entry, CannotSee):
            return entry  # that there is none is told of the certificate
        state: dict[str, Value] = {"type": type_of(entry)}
        if entry.type != "f":
            return state
        state |= ownership(entry)
        state["others"] = PRIVATE if entry.mode.endswith("0") else f"the mode {entry.mode} gives them rights"
        readable = {user: pair.is_readable(answers[f"readable by {user}"]) for user in self.users}
        if hidden := unseen(*readable.values()):
            return hidden
        return state | {f"readable by {user}": result is True for user, result in readable.items()}

    def want(self, look: View) -> State | None:
        own = look.own()
        if own is None:
            return None
        if isinstance(own, Mapping) and own["type"] != "file":
            return {"type": "file"}
        named = {"owner": self.owner, "group": self.group, "mode": self.mode}
        return {
            "type": "file",
            "others": PRIVATE,
            **{name: value for name, value in named.items() if value is not None},
            **{f"readable by {user}": True for user in self.users},
        }

    def refuses(self, change: Change) -> str | None:
        if "type" in change.deltas:
            seen = (change.seen or {})["type"]
            return f"{self.key} is a {seen}: name the file itself, for its rights are what counts"
        readers = [field.removeprefix("readable by ") for field in change.deltas if "readable by" in field]
        if len(readers) == len(change.deltas):
            return (
                f"{', '.join(readers)} cannot read {self.key}: give {self.certificate} an `owner`, a `group`"
                " or a `mode` that lets them, and look at the rights of the folders above it"
            )
        return None

    def steps(self, change: Change) -> Iterable[Step]:
        yield from chown_steps(self.key, change)
        if "others" in change.deltas and self.mode is None:
            yield Step(
                f"chmod o= {quote(self.key)}", "takes the rights of all others away", where=(self.key,)
            )

    def provides(self) -> Iterable[str]:
        return (f"brought-key:{self.certificate}",)

    def requires(self) -> Iterable[str]:
        named = {self.owner, self.group, *self.users} - {None}
        accounts = (f"account:{name}" for name in sorted(map(str, named)))
        return (f"path:{self.key}", *parents(self.key), *accounts)
